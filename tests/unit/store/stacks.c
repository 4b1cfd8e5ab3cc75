/* SPDX-License-Identifier: Apache-2.0 */
/* The contract tests for mem with each of its abilities missing, and for every
 * filter and stack of filters over it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/stat.h"
#include "store/check.h"
#include "store/delay.h"
#include "store/fault.h"
#include "store/limit.h"
#include "store/mem.h"
#include "store/open.h"
#include "store/retry.h"
#include "store/stat.h"
#include "store/store.h"
#include "unit/store/contract.h"

struct recipe {
	const char *name;
	struct mem_config mem;
	/* Put filters on s; NULL: none. */
	int (*filters)(struct store **s, struct err *e);
	struct mem_data *data;
};

static int
with_limit(struct store **s, struct err *e)
{
	return limit_store_new(*s, &(struct limit_config){.max = 3}, s, e);
}

static int
with_one_slot(struct store **s, struct err *e)
{
	return limit_store_new(*s, &(struct limit_config){.max = 1}, s, e);
}

static int
with_retry(struct store **s, struct err *e)
{
	return retry_store_new(*s, &(struct retry_config){.late_ns = -1}, s,
	    e);
}

static int
with_delay(struct store **s, struct err *e)
{
	return delay_store_new(*s,
	    &(struct delay_config){.min_ns = NS_PER_MS, .max_ns = 50 * NS_PER_MS,
	    .bytes_per_s = 1 << 20, .seed = 1}, s, e);
}

static struct stat_set stats;

static int
with_stat(struct store **s, struct err *e)
{
	return stat_store_new(*s, &stats, s, e);
}

static int
with_stack(struct store **s, struct err *e)
{
	return store_stack(*s, &(struct store_tuning){0}, &stats, s, e);
}

static int
with_check(struct store **s, struct err *e)
{
	return check_store_new(*s, 7, s, e);
}

static int
with_no_faults(struct store **s, struct err *e)
{
	return fault_store_new(*s, 7, s, e);
}

/* A tenth of all requests fails before or after they are done; retry makes
 * nothing of it, or it would be seen. */
static int
with_faults(struct store **s, struct err *e)
{
	static const struct fault_rule rules[] = {
		{.permille = 30, .kind = FAULT_FAIL, .rc = -EAGAIN},
		{.permille = 30, .kind = FAULT_FAIL, .rc = -ECONNREFUSED},
		{.permille = 30, .kind = FAULT_LOST, .rc = -EAGAIN},
		{.ops = 1 << STORE_GET | 1 << STORE_LIST | 1 << STORE_HEAD,
		    .permille = 30, .kind = FAULT_FAIL, .rc = -ETIMEDOUT},
		{.ops = 1 << STORE_PUT | 1 << STORE_DELETE,
		    .permille = 30, .kind = FAULT_LOST},
	};
	struct store *f;
	int rc = fault_store_new(*s, 11, &f, e);

	for (size_t i = 0; rc == 0 && i < sizeof(rules) / sizeof(rules[0]); i++)
		rc = fault_add(f, &rules[i]);
	if (rc == 0)
		rc = store_stack(f, &(struct store_tuning){0}, &stats, s, e);
	return rc < 0 ? rc : with_check(s, e);
}

static int
with_all(struct store **s, struct err *e)
{
	int rc = with_delay(s, e);

	return rc < 0 ? rc : with_stack(s, e);
}

static int
recipe_open(struct loop *l, void *arg, struct store **out, struct err *e)
{
	struct recipe *r = arg;
	struct store *s;
	int rc = mem_store_open(l, r->name, r->data, &r->mem, &s, e);

	if (rc == 0 && r->filters != NULL)
		rc = r->filters(&s, e);
	if (rc == 0)
		*out = s;
	return rc;
}

int
main(void)
{
	struct recipe recipes[] = {
		{"mem"},
		{"mem that lacks much", {.needs_sync = true,
		    .no_if_absent = true, .no_range = true, .no_meta = true,
		    .no_tags = true, .no_batch = true}},
		{"mem with small pages", {.max_keys = 7,
		    .batch_deletes = true, .max_batch = 5}},
		{"limit over mem", {0}, with_limit},
		{"limit of one over mem", {0}, with_one_slot},
		{"retry over mem", {0}, with_retry},
		{"stat over mem", {0}, with_stat},
		{"delay over mem", {0}, with_delay},
		{"stack over mem", {0}, with_stack},
		{"stack over delay over mem", {0}, with_all},
		{"check over mem", {0}, with_check},
		{"fault without rules over mem", {0}, with_no_faults},
		{"check over stack over faults over mem", {0}, with_faults},
	};
	int failed = 0;

	for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
		struct recipe *r = &recipes[i];
		struct contract c = {.name = r->name, .open = recipe_open,
		    .arg = r, .prefix = "t/", .virtual_time = true};

		r->data = mem_data_new();
		if (r->data == NULL)
			return 1;
		failed += contract_run(&c);
		mem_data_unref(r->data);
	}
	return failed > 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* pail store scrub: read everything of a pool, mend what is damaged. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/parse.h"
#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/store.h"
#include "cli/tool.h"
#include "raw/pool.h"
#include "raw/scrub.h"

static const struct conf_opt own[] = {{NULL}};

static const struct tool_usage usage = {
    .verb = "store scrub",
    .operands = "PATH...",
    .about = "Read every fragment of a store and its parity, verify it, and\n"
	     "rewrite what is damaged. Exit status 3: something is lost.",
    .examples = "  pail store scrub /srv/pail.img\n",
    .own = own,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS,
};

struct scrubbing {
	struct tool tool;
	struct progress bar;
	struct scrub_result result;
	bool done;
};

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	progress_set(&((struct scrubbing *)arg)->bar, done, total);
}

static void
lost(void *arg, const char *key, const struct err *why)
{
	progress_erase();
	fprintf(stderr, "pail store scrub: %s: %s\n", key, err_text(why));
}

static void
done(void *arg, const struct scrub_result *r)
{
	struct scrubbing *s = arg;

	s->result = *r;
	s->done = true;
}

static int
tell(struct scrubbing *s)
{
	const struct scrub_result *r = &s->result;
	char n[FORMAT_MAX], size[FORMAT_MAX];

	if (s->tool.json)
		return tool_print_json(
		    json_pack("{s:I, s:I, s:I, s:I}", "objects",
			(json_int_t)r->objects, "bytes", (json_int_t)r->bytes,
			"fragments_repaired", (json_int_t)r->repaired,
			"objects_lost", (json_int_t)r->lost),
		    stdout, &s->tool.err);
	if (!s->tool.set.quiet)
		printf("%s objects, %s read: %llu fragments mended, %llu "
		       "objects lost\n",
		    format_count(n, r->objects), format_size(size, r->bytes),
		    (unsigned long long)r->repaired,
		    (unsigned long long)r->lost);
	return 0;
}

static int
scrub(struct scrubbing *s, char **paths)
{
	struct scrub_ops ops = {
	    .progress = progress, .lost = lost, .done = done, .arg = s};
	struct tool *t = &s->tool;
	struct pool *pool;
	struct err e = ERR_INIT;
	int rc = store_pool_open(t, t->noperands, paths, false, &pool);

	if (rc < 0)
		return rc;
	progress_start(&s->bar, progress_stderr(t->set.quiet), "Scrubbing",
	    NULL, 0, 0);
	if (scrub_start(pool, &ops))
		rc = loop_run_until(t->set.loop, &s->done);
	else
		rc = err_set(&t->err, -ENOMEM, "no memory");
	progress_end(&s->bar);
	if (pool_close(pool, &e) < 0 && rc == 0) {
		rc = e.rc;
		t->err = e;
	}
	if (rc == 0)
		rc = tell(s);
	if (rc == 0 && s->result.lost > 0)
		rc = CLI_DAMAGE;
	return rc;
}

int
store_scrub_run(int argc, char **argv)
{
	struct scrubbing s = {0};
	int rc, status = tool_begin(&s.tool, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("what was mended stays so");
	rc = tool_start(&s.tool);
	if (rc == 0)
		rc = scrub(&s, argv + 1);
	return tool_end(&s.tool, rc);
}

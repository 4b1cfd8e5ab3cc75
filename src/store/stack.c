/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack of filters that a volume uses:
 *
 *	stat	counts requests and how long the layers above waited
 *	retry	a request is asked again, after a pause; counts failed tries
 *	limit	so many tries at once, the urgent ones first; its queue's time
 *	leaf	s3 (whose http_ rows count single exchanges), dir ...
 *
 * The order has reasons.  Limit must see every try, since it learns from
 * SlowDown, and a pause between tries must not hold one of its slots: so retry
 * is above it.  Stat is above both, so that its times are those that somebody
 * waited; the parts of them are in the rows of the others.
 */
#include "config.h"

#include "base/err.h"
#include "store/limit.h"
#include "store/open.h"
#include "store/retry.h"
#include "store/stat.h"
#include "store/store.h"

#define TRY_NS (15 * 1000000000LL)
#define START_NS (4 * 1000000000LL) /* no answer at all: a wrong address */

int
store_stack(struct store *s, const struct store_tuning *t,
    struct stat_set *stats, struct store **out, struct err *e)
{
	const struct limit_config limit = {
		.max = t->max_inflight,
		.try_ns = t->request_timeout_ns != 0 ? t->request_timeout_ns
						     : TRY_NS,
		.stats = stats,
		.yields = s->info.remote,
	};
	const struct retry_config retry = {
		.deadline_ns = t->retry_deadline_ns,
		.start_ns = START_NS,
		.seed = t->seed,
		.stats = stats,
	};
	int rc;

	if (stats != NULL && s->ops->use_stats != NULL)
		s->ops->use_stats(s, stats);
	rc = limit_store_new(s, &limit, &s, e);
	if (rc < 0)
		return rc;
	rc = retry_store_new(s, &retry, &s, e);
	if (rc == 0 && stats != NULL)
		rc = stat_store_new(s, stats, &s, e);
	if (rc == 0)
		*out = s;
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yield: writes make room for reads in a place that we do not see.
 *
 * Slots here are reserved for reads (limit.c), but 64 uploads in flight are a
 * queue in the server or on the way to it, and a read waits behind them there.
 * Where a few uploads keep the server busy the rest does not make it faster,
 * and reads take many times as long (measured: 55 ms in place of 1.4 ms).  Where
 * the way is long or the server large all of them are needed, and cost the
 * reader nothing.  Which of it is so is found out by trying:
 *
 *	somebody begins to read		YIELD_MIN writes at once, no more
 *	a round of reads beside those	its median is the base
 *	a round within 2/5 above it	more writes: 4 times as many at first,
 *					a quarter more when it was too much once
 *	a round beyond that		back to what it was
 *	two, without a step before	half as many
 *
 * A round is YIELD_ROUND reads that began when the number was what it is, so
 * what was sent before does not count.  It goes by the median: in a server far
 * away now and then a read takes ten times as long, which says nothing of our
 * writes, and with the mean would hold them down.  Rounds beside YIELD_MIN writes renew the base
 * whatever they say: a server that has become slow for other reasons would
 * else hold the writes down for good.  What is learnt is kept through a pause of
 * KEEP_NS, so that not every reader begins by holding up the writers.
 *
 * To try costs those who read meanwhile.  So one that is clearly too much ends
 * after a part of the round, and after each step up that was too much in a row
 * the next is tried after twice as many rounds, up to PATIENCE_MAX: where one
 * write is all that a server bears it has two for one round of 32.  Two rounds,
 * since by chance one in twenty is too long where times differ much.
 *
 * One, since on a machine that is server and client two uploads keep both
 * processors busy: a read beside two took 4.9 ms, beside one 3.0, alone 1.5, and
 * uploads went at 25 and 20 MB/s.
 *
 * Who reads now and then, with more than ACTIVE_NS between, finds the queue that
 * there is: to keep it short for a read in the future costs more than it gives.
 */
#include "config.h"

#include "store/yield.h"

#include <stdbool.h>

#include "base/clock.h"

#define ACTIVE_NS (20 * NS_PER_MS)
#define KEEP_NS (10 * NS_PER_S)
#define EARLY 8 /* reads that say that it is clearly too much */
#define PATIENCE_MAX 32 /* rounds */

void
yield_init(struct yield *y, unsigned slots)
{
	*y = (struct yield){.slots = slots, .max = YIELD_MIN, .grow = 4};
}

static bool
is_active(const struct yield *y, int64_t now)
{
	return y->reading > 0 ||
	    (y->last_ns != 0 && now - y->last_ns < ACTIVE_NS);
}

static unsigned
floor_of(const struct yield *y, unsigned ahead)
{
	unsigned n = (y->reading + ahead) / 2;

	return n > YIELD_MIN ? n : YIELD_MIN;
}

unsigned
yield_max(const struct yield *y, int64_t now_ns, unsigned ahead)
{
	unsigned n = floor_of(y, ahead);

	n = y->max > n ? y->max : n;
	return is_active(y, now_ns) && n < y->slots ? n : y->slots;
}

static void
new_round(struct yield *y, int64_t now)
{
	y->n = 0;
	y->since_ns = now;
}

void
yield_read_begins(struct yield *y, int64_t now_ns, unsigned others,
    unsigned ahead)
{
	if (!is_active(y, now_ns)) {
		if (y->last_ns == 0 || now_ns - y->last_ns > KEEP_NS)
			yield_init(y, y->slots);
		new_round(y, now_ns);
	}
	y->reading++;
	/* What was sent before is still on its way. */
	if (others > yield_max(y, now_ns, ahead))
		new_round(y, now_ns + 1);
}

/* Into its place among those of the round. */
static void
insert(struct yield *y, int64_t took_ns)
{
	unsigned i = y->n++;

	for (; i > 0 && y->took_ns[i - 1] > took_ns; i--)
		y->took_ns[i] = y->took_ns[i - 1];
	y->took_ns[i] = took_ns;
}

/* Too much: back to where the last step began; if there was none and it is so
 * for the second time, the server has become slower. */
static void
step_down(struct yield *y)
{
	if (y->before) {
		y->max = y->before;
		y->patience = y->patience > 0 ? 2 * y->patience : 1;
		if (y->patience > PATIENCE_MAX)
			y->patience = PATIENCE_MAX;
	} else if (y->doubt) {
		y->max = y->max / 2 > YIELD_MIN ? y->max / 2 : YIELD_MIN;
	}
	y->doubt = y->before == 0 && !y->doubt;
	y->before = 0;
	y->grow = 0;
	y->wait = y->patience;
}

static void
step_up(struct yield *y)
{
	unsigned max = y->grow > 0 ? y->max * y->grow
				   : y->max + y->max / 4 + 1;

	if (y->before) /* that step was not too much */
		y->patience = 0;
	y->before = y->max;
	y->max = max < y->slots ? max : y->slots;
}

/* A round is over: so long did its reads take. */
static void
judge(struct yield *y, int64_t median, unsigned others)
{
	if (y->base_ns == 0)
		y->base_ns = median;
	else if (y->max == YIELD_MIN)
		y->base_ns += (median - y->base_ns) / 4;
	/* Clearly less only: chance would drag it down. */
	else if (median < y->base_ns - y->base_ns / 3)
		y->base_ns -= y->base_ns / 8;
	if (median > y->base_ns + y->base_ns * 2 / 5) {
		step_down(y);
		return;
	}
	y->doubt = false;
	if (y->wait > 0)
		y->wait--;
	else if (others > y->max / 2) /* more are wanted */
		step_up(y);
}

/* There is no need to look at more of them. */
static bool
is_clear(const struct yield *y)
{
	return y->n % EARLY == 0 && y->max > YIELD_MIN &&
	    y->base_ns != 0 && y->took_ns[y->n / 2] > 2 * y->base_ns;
}

void
yield_read_ended(struct yield *y, int64_t now_ns, int64_t began_ns,
    unsigned others)
{
	unsigned was = y->max;

	y->reading--;
	y->last_ns = now_ns;
	if (began_ns < y->since_ns)
		return;
	insert(y, now_ns - began_ns);
	if (y->n < YIELD_ROUND && !is_clear(y))
		return;
	judge(y, y->took_ns[y->n / 2], others);
	new_round(y, y->max != was ? now_ns + 1 : y->since_ns);
}

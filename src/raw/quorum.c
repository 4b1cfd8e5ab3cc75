/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum.c: which devices are members, and are they enough; see quorum.h.
 *
 * The membership has a number, the epoch.  It grows with every opening for
 * writing and with every change, and the new one is durable on all who belong
 * to it before anything is acknowledged in it.  So of the devices given, those
 * with the highest epoch know best; a member that is not in their table any
 * more has missed something.
 *
 * Can others, who are not here, have a higher one?  To open for writing needs
 * more than half of the members that were online in the last epoch known here.
 * If these had gone on without us, in an epoch of their own, then more than half
 * of the same members know of it, and one of them is among ours; and that one's
 * table would be the best.  So there are never two histories, unless somebody
 * insists (force).
 *
 * Who insists may make two.  It shows when they meet: the table of the one says
 * that a member left in epoch L, but that one's superblock has a later epoch.
 * An opening by force skips QUORUM_FORCED_EPOCHS, so that it is later even if L
 * was set by a change that the member just did not see.  Then nobody can say
 * which one is wanted, and it is asked.
 */
#include "raw/quorum.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "raw/format.h"

static bool
newer(const struct raw_super *a, const struct raw_super *b)
{
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	return a->generation > b->generation;
}

static bool
is_out(const struct raw_member *m)
{
	return m->state != RAW_MEMBER_ONLINE &&
	    m->state != RAW_MEMBER_REBUILDING;
}

/* The column of a device in a table; N if it is not there. */
static unsigned
column_of(const struct raw_super *table, const struct raw_super *device)
{
	unsigned n = (unsigned)table->k + table->m, c = 0;

	while (c < n &&
	    memcmp(table->member[c].uuid, device->member_uuid, 16) != 0)
		c++;
	return c;
}

bool
quorum_diverged(const struct raw_super *pool, const struct raw_super *device)
{
	unsigned c = column_of(pool, device);

	return c < (unsigned)pool->k + pool->m && is_out(&pool->member[c]) &&
	    pool->member[c].left_epoch > 0 &&
	    device->epoch > pool->member[c].left_epoch;
}

/* Two of the devices have gone on without each other. */
static int
check_histories(
    const struct quorum_device *devs, unsigned n, unsigned best, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		/* Older tables are out of date, not another history. */
		if (devs[i].super->epoch != devs[best].super->epoch)
			continue;
		for (unsigned j = 0; j < n; j++)
			if (quorum_diverged(devs[i].super, devs[j].super))
				return err_set(e, -ESTALE,
				    "store \"%s\": %s and %s have each been "
				    "written without the other (to epoch %llu "
				    "and %llu). Nothing was changed. Name only "
				    "the members of the history that you keep, "
				    "then give it the others back with online "
				    "--force",
				    devs[i].super->name, devs[i].path,
				    devs[j].path,
				    (unsigned long long)devs[i].super->epoch,
				    (unsigned long long)devs[j].super->epoch);
	}
	return 0;
}

static void
assign(struct quorum_device *d, const struct raw_super *table)
{
	unsigned c = column_of(table, d->super);

	d->column = c;
	if (c == (unsigned)table->k + table->m)
		d->role = QUORUM_REPLACED;
	else if (table->member[c].state == RAW_MEMBER_ONLINE)
		d->role = QUORUM_CURRENT;
	else if (table->member[c].state == RAW_MEMBER_REBUILDING)
		d->role = QUORUM_REBUILDING;
	else
		d->role = QUORUM_STALE;
}

int
quorum_decide(struct quorum_device *devs, unsigned n, bool read_only,
    bool force, unsigned *best, struct err *e)
{
	unsigned have = 0, some = 0, online = 0;
	const struct raw_super *s;
	int rc;

	*best = 0;
	for (unsigned i = 1; i < n; i++)
		if (newer(devs[i].super, devs[*best].super))
			*best = i;
	s = devs[*best].super;
	rc = check_histories(devs, n, *best, e);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < n; i++) {
		assign(&devs[i], s);
		have += devs[i].role == QUORUM_CURRENT;
		some += devs[i].role == QUORUM_REBUILDING;
	}
	for (unsigned c = 0; c < (unsigned)s->k + s->m; c++)
		online += s->member[c].state == RAW_MEMBER_ONLINE;
	/* What one has that is not rebuilt to its end is better than nothing,
	 * to read. */
	if (have + (read_only ? some : 0) < s->k)
		return err_set(e, -ENODEV,
		    "store \"%s\": %u of %u members are here and up to date, at "
		    "least %u are needed; nothing was changed",
		    s->name, have, s->k + s->m, s->k);
	if (2 * have <= online && !force && !read_only)
		return err_set(e, -ENODEV,
		    "store \"%s\": only %u of %u members that were in use are "
		    "here, and the others may have newer data. Bring one more, "
		    "mount it read-only, or accept to lose what only they have "
		    "with force-degraded=yes (raw:PATH?force-degraded=yes)",
		    s->name, have, online);
	return 0;
}

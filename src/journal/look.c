/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c: the superblock on its device, and what is done to a journal that
 * nobody has open: looking, formatting, discarding.
 *
 * There are two copies.  Each change writes the one that is not the newest
 * (after a crash that one may be torn), flushes, then the other, and flushes: so
 * one of them is whole at any moment, and as a rule both say the same, which
 * survives damage to either.
 *
 * Where nothing was before there is no other copy to fall back on.  So formatting
 * begins with a mark in both places, a magic number and zeros, which no power cut
 * tears; who finds one and no superblock knows that it was not finished.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "journal/internal.h"

static uint8_t *
page_new(void)
{
	void *p;

	return posix_memalign(&p, JOURNAL_PAGE, JOURNAL_PAGE) == 0 ? p : NULL;
}

static bool
all_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, JOURNAL_PAGE - 1) == 0;
}

static void
mark(uint8_t *page)
{
	memset(page, 0, JOURNAL_PAGE);
	memcpy(page, JOURNAL_MAGIC, 8);
}

static bool
is_mark(const uint8_t *page)
{
	uint8_t want[JOURNAL_PAGE];

	mark(want);
	return memcmp(page, want, sizeof(want)) == 0;
}

int
super_read(struct rdev *d, struct journal_super *s, struct err *e)
{
	struct journal_super *one = malloc(sizeof(*one));
	uint8_t *page = page_new();
	int best = 0, rc = -ENOMEM;
	bool blank = true, marked = false, found = false;

	if (!page || !one) {
		err_errno(e, rc, "journal %s", d->path);
		goto out;
	}
	if (d->bytes < 2 * JOURNAL_PAGE) {
		rc = err_set(e, -ENOENT, "%s: too short to be a journal",
		    d->path);
		goto out;
	}
	for (unsigned i = 0; i < 2; i++) {
		rc = rdev_wait(d, RDEV_READ, i * JOURNAL_PAGE, page,
		    JOURNAL_PAGE, e);
		if (rc < 0)
			goto out;
		blank = blank && all_zero(page);
		marked = marked || is_mark(page);
		rc = journal_super_decode(one, page);
		if (rc == 0 && one->bytes > d->bytes)
			rc = -EINVAL;
		if (rc < 0) {
			if (best == 0 || best == -EBADMSG)
				best = rc;
			continue;
		}
		if (!found || one->serial > s->serial) {
			*s = *one;
			s->copy = i;
		}
		found = true;
	}
	rc = found ? 0 : blank || marked ? -ENOENT : best;
	if (rc == -ENOENT)
		err_set(e, rc, "%s: there is no journal in it", d->path);
	else if (rc == -EPROTONOSUPPORT)
		err_set(e, rc, "%s: a journal of a newer version of pail",
		    d->path);
	else if (rc < 0)
		err_set(e, rc,
		    "%s: not a journal, or both copies of its superblock are "
		    "damaged; what it held cannot be told", d->path);
out:
	free(page);
	free(one);
	return rc;
}

int
super_write_wait(struct rdev *d, struct journal_super *s, struct err *e)
{
	uint8_t *page = page_new();
	int rc = 0;

	if (!page)
		return err_errno(e, -ENOMEM, "journal %s", d->path);
	s->serial++;
	journal_super_encode(s, page);
	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		s->copy = !s->copy;
		rc = rdev_wait(d, RDEV_WRITE, s->copy * JOURNAL_PAGE, page,
		    JOURNAL_PAGE, e);
		if (rc == 0)
			rc = rdev_wait(d, RDEV_FLUSH, 0, NULL, 0, e);
	}
	free(page);
	return rc;
}

const char *
journal_verdict_name(enum journal_verdict v)
{
	static const char *const name[] = {"empty", "whole", "damaged"};

	return name[v];
}

/* --- formatting ------------------------------------------------------------------ */

static uint32_t
seg_size_for(uint64_t bytes)
{
	uint32_t size = JOURNAL_SEG_MIN;

	while (size < JOURNAL_SEG_MAX && bytes / size > 64)
		size *= 2;
	return size;
}

/* Two of the largest writes, and what is lost at ends of segments. */
uint64_t
journal_min_bytes(uint32_t block_size)
{
	uint64_t n = JOURNAL_NSEG_MIN;

	while (n * (JOURNAL_SEG_MIN / 2) < 4 * (uint64_t)block_size)
		n++;
	return JOURNAL_DATA + n * JOURNAL_SEG_MIN;
}

static int
write_marks(struct rdev *d, struct err *e)
{
	uint8_t *page = page_new();
	int rc = 0;

	if (!page)
		return err_errno(e, -ENOMEM, "journal %s", d->path);
	mark(page);
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		rc = rdev_wait(d, RDEV_WRITE, i * JOURNAL_PAGE, page,
		    JOURNAL_PAGE, e);
	if (rc == 0)
		rc = rdev_wait(d, RDEV_FLUSH, 0, NULL, 0, e);
	free(page);
	return rc;
}

/* *blank: there is nothing, not even an empty journal. */
static int
refuse_used(struct rdev *d, bool *blank, struct err *e)
{
	struct journal_super *old = malloc(sizeof(*old));
	int rc;

	if (!old)
		return err_errno(e, -ENOMEM, "journal %s", d->path);
	rc = super_read(d, old, NULL);
	*blank = rc == -ENOENT;
	if (rc == 0 && !(old->flags & (JOURNAL_CLEAN | JOURNAL_VOID)))
		rc = err_set(e, -EEXIST,
		    "%s: holds a journal of %s that may not be empty; 'pail "
		    "journal status %s' tells", d->path, old->url, d->path);
	else if (rc == -ENOENT || rc == 0)
		rc = 0;
	else
		rc = err_set(e, -EEXIST,
		    "%s: holds something that is no journal that can be read; "
		    "clear its first 8 KiB if it is to become one", d->path);
	free(old);
	return rc;
}

int
journal_format(struct rdev *d, const struct journal_id *id, struct err *e)
{
	struct journal_super *s;
	uint64_t body;
	bool blank = false;
	int rc = refuse_used(d, &blank, e);

	if (rc < 0)
		return rc;
	if (d->bytes < journal_min_bytes(id->block_size))
		return err_set(e, -ENOSPC,
		    "%s: %llu bytes are too few for the journal of a volume "
		    "with blocks of %u; it needs %llu", d->path,
		    (unsigned long long)d->bytes, id->block_size,
		    (unsigned long long)journal_min_bytes(id->block_size));
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_errno(e, -ENOMEM, "journal %s", d->path);
	body = d->bytes - JOURNAL_DATA;
	memcpy(s->uuid, id->uuid, 16);
	s->seg_size = seg_size_for(body);
	s->nsegs = (uint32_t)(body / s->seg_size);
	s->bytes = JOURNAL_DATA + (uint64_t)s->nsegs * s->seg_size;
	s->block_size = id->block_size;
	s->volume_size = id->volume_size;
	s->flags = JOURNAL_CLEAN | (id->encrypted ? JOURNAL_ENCRYPTED : 0);
	s->tail_seg = 1;
	s->tail_seq = 1;
	s->next_op = 1;
	s->nepochs = 1;
	s->epoch[0].first_seg = 1;
	s->epoch[0].first_seq = 1;
	/* Above any that an earlier journal in this place had. */
	s->epoch[0].number = (uint64_t)time(NULL) << 16;
	snprintf(s->url, sizeof(s->url), "%s", id->url ? id->url : "");
	snprintf(s->host, sizeof(s->host), "%s", id->host ? id->host : "");
	if (getrandom(s->salt, sizeof(s->salt), 0) != sizeof(s->salt) ||
	    getrandom(&s->epoch[0].nonce, 8, 0) != 8)
		rc = err_errno(e, -EIO, "random numbers");
	if (rc == 0 && id->encrypted && seal_check(id->secret, s->salt,
		s->check) < 0)
		rc = err_errno(e, -EIO, "the journal's key");
	if (rc == 0 && blank)
		rc = write_marks(d, e);
	if (rc == 0)
		rc = super_write_wait(d, s, e);
	free(s);
	return rc;
}

int
journal_discard(struct rdev *d, struct err *e)
{
	struct journal_super *s = malloc(sizeof(*s));
	int rc;

	if (!s)
		return err_errno(e, -ENOMEM, "journal %s", d->path);
	rc = super_read(d, s, e);
	if (rc == 0) {
		s->flags |= JOURNAL_VOID;
		s->nleases = 0;
		rc = super_write_wait(d, s, e);
	}
	free(s);
	return rc;
}

int
journal_look_super(struct rdev *d, struct journal_super *s, struct err *e)
{
	return super_read(d, s, e);
}

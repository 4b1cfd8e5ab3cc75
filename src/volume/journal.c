/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.c: a volume's journal, from before its lease is taken to after the
 * last block is in the store.
 *
 *	vj_found	which volume it is, is known: find the journal, make it
 *			if there is none, look at what is in it, note the lease
 *			that is about to be taken
 *	(the lease is taken)
 *	vj_check_lease	has anybody else written to the volume since the
 *			journal was?  Then it is not applied
 *	vj_recover	apply it through the cache, and begin a new epoch
 *	vj_close	clean: nothing in it is needed
 *
 * A journal that holds data which the store may not have is never passed over:
 * the volume is not opened without it, not even for reading, unless a person
 * discards it (unsent.c).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "journal/journal.h"
#include "layout/descriptor.h"
#include "raw/rdev.h"
#include "volume/internal.h"

#define SIZE_DEFAULT (256ull << 20)
#define FILL (1u << 20)

/* --- the file ----------------------------------------------------------------- */

static int
make_dirs(const char *dir, struct err *e)
{
	char *path = strdup(dir);
	int rc = 0;

	if (!path)
		return err_errno(e, -ENOMEM, "%s", dir);
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			rc = err_errno(e, -errno, "make directory %s", path);
			break;
		}
		*p = c;
		if (c == '\0')
			break;
	}
	free(path);
	return rc;
}

/* Written once, the file's extents need no metadata when they are written
 * again: a flush is then a flush of the disk only. */
static int
fill(struct rdev *d, struct err *e)
{
	void *page;
	int rc = 0;

	if (posix_memalign(&page, 4096, FILL) != 0)
		return err_errno(e, -ENOMEM, "%s", d->path);
	memset(page, 0, FILL);
	for (uint64_t at = 0; rc == 0 && at < d->bytes; at += FILL) {
		uint64_t n = d->bytes - at < FILL ? d->bytes - at : FILL;

		rc = rdev_wait(d, RDEV_WRITE, at, page, n, e);
	}
	if (rc == 0)
		rc = rdev_wait(d, RDEV_FLUSH, 0, NULL, 0, e);
	free(page);
	return rc;
}

static int
sync_dir_of(const char *path, struct err *e)
{
	char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd, rc = 0;

	if (!dir)
		return err_errno(e, -ENOMEM, "%s", path);
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		rc = err_errno(e, -errno, "sync directory of %s", path);
	if (fd >= 0)
		close(fd);
	free(dir);
	return rc;
}

static int
make_file(struct volume_journaling *vj, const char *path, struct rdev **d,
    struct err *e)
{
	uint64_t size = vj->p->journal.size ? vj->p->journal.size
					    : SIZE_DEFAULT;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return err_errno(e, -errno, "make the journal %s", path);
	rc = -posix_fallocate(fd, 0, (off_t)size);
	close(fd);
	if (rc < 0)
		err_errno(e, rc, "make the journal %s: %" PRIu64 " bytes",
		    path, size);
	*d = NULL;
	if (rc == 0)
		rc = rdev_open(
		    vj->env->loop, vj->env->fileio, path, false, d, e);
	if (rc == 0)
		rc = fill(*d, e);
	if (rc == 0)
		rc = sync_dir_of(path, e);
	if (rc < 0) {
		rdev_close(*d);
		unlink(path);
	}
	return rc;
}

/* --- finding it ------------------------------------------------------------------- */

static void
id_of(struct journal_id *jid, const struct volume_journaling *vj,
    const struct layout_identity *id, char *host, size_t cap)
{
	*jid = (struct journal_id){.volume_size = id->size,
	    .block_size = id->block_size, .encrypted = id->encrypted,
	    .url = vj->v->url, .host = host};
	memcpy(jid->uuid, id->uuid, 16);
	memcpy(jid->secret, id->secret, sizeof(jid->secret));
	if (gethostname(host, cap) < 0)
		host[0] = '\0';
	host[cap - 1] = '\0';
}

static int
open_journal(struct volume_journaling *vj, const char *path,
    const struct layout_identity *id, struct err *e)
{
	const struct volume_journal *p = &vj->p->journal;
	struct journal_id jid;
	char host[JOURNAL_HOST_MAX];
	struct rdev *d = p->dev;
	int rc = 0;

	id_of(&jid, vj, id, host, sizeof(host));
	if (!d && access(path, F_OK) < 0 && errno == ENOENT)
		rc = make_file(vj, path, &d, e);
	else if (!d)
		rc = rdev_open(
		    vj->env->loop, vj->env->fileio, path, false, &d, e);
	if (rc < 0)
		return rc;
	rc = journal_open(d, &jid, p->salvage, &vj->v->journal, e);
	if (rc == -ENOENT && p->resume != VOLUME_JOURNAL_NEEDED) { /* blank */
		rc = journal_format(d, &jid, e);
		if (rc == 0)
			rc = journal_open(
			    d, &jid, p->salvage, &vj->v->journal, e);
	}
	explicit_bzero(jid.secret, sizeof(jid.secret));
	if (rc < 0) {
		rdev_close(d);
		return rc;
	}
	if (p->resume == VOLUME_JOURNAL_NEEDED &&
	    !journal_knows_lease(vj->v->journal, vj->lease))
		return err_set(e, -ESTALE, "%s is not the journal that this "
		    "mount had; what was flushed may have been in that one "
		    "only", path);
	return journal_announce(vj->v->journal, vj->lease, e);
}

/*
 * The one that was asked for.  Who goes on after a crash must find the journal of
 * before: without it flushed data is lost, and whoever has the disk mounted would
 * not be told.  But if that had failed, and everything is in the store, it is no
 * reason to lose what was not flushed yet, which nobody else has.
 */
static int
open_named(struct volume_journaling *vj, const char *path,
    const struct layout_identity *id, struct err *e)
{
	const struct volume_journal *p = &vj->p->journal;
	struct volume *v = vj->v;
	int rc;

	if (vj->had) /* it was looked at */
		return open_journal(vj, path, id, e);
	if (p->resume == VOLUME_JOURNAL_NEEDED && access(path, F_OK) < 0)
		return err_set(e, -ESTALE, "the journal %s has gone: %s; what "
		    "was flushed may have been in it only", path,
		    strerror(errno));
	rc = open_journal(vj, path, id, e);
	if (rc == 0 || rc == -EBADMSG || p->resume != VOLUME_JOURNAL_SPARE)
		return rc;
	if (v->journal)
		(void)journal_close(v->journal, false, NULL);
	v->journal = NULL;
	log_warn("%s: without its journal, so that each flush waits for the "
		 "store: %s", v->url, err_text(e));
	err_clear(e);
	return 0;
}

/* The default one: without it, rather than not at all, if it cannot be made; but
 * one that is there is not passed over. */
static int
open_auto(struct volume_journaling *vj, const char *path,
    const struct layout_identity *id, struct err *e)
{
	bool there = access(path, F_OK) == 0;
	int rc = there ? 0 : make_dirs(vj->p->journal.dir, e);

	if (rc == 0)
		rc = open_named(vj, path, id, e);
	if (rc == 0 || there || access(path, F_OK) == 0 ||
	    vj->p->journal.resume == VOLUME_JOURNAL_NEEDED)
		return rc;
	log_warn("%s: no journal, so that each flush waits for the store: %s",
	    vj->v->url, err_text(e));
	err_clear(e);
	return 0;
}

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (stat(a, &x) < 0 || stat(b, &y) < 0)
		return strcmp(a, b) == 0;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* For the lease, so that whoever finds us gone finds it. */
static void
say_where(struct volume_journaling *vj)
{
	char *path = vj->v->journal && !vj->p->journal.dev
	    ? realpath(vj->v->journal_path, NULL) : NULL;

	vj->where[0] = '\0';
	if (path && strlen(path) < sizeof(vj->where))
		memcpy(vj->where, path, strlen(path) + 1);
	free(path);
}

/* v->journal_path, and what the mount before had. */
static int
open_after(struct volume_journaling *vj, const struct layout_identity *id,
    struct err *e)
{
	struct volume *v = vj->v;
	const char *path = v->journal_path;
	bool prior = id->prior_journal[0] != '\0' && !vj->p->journal.force;
	int rc = 0;

	vj->had = prior && same_file(path, id->prior_journal);
	if (prior && (vj->had || access(path, F_OK) < 0))
		rc = vj->had ? vu_check_there(vj->env, id, e)
			     : vu_check_prior(vj->env, id, e);
	if (rc == 0)
		rc = v->journal_own ? open_auto(vj, path, id, e)
				    : open_named(vj, path, id, e);
	if (rc == 0 && prior && !vj->had && !(v->journal &&
		journal_knows_lease(v->journal, id->prior_lease)))
		rc = vu_check_prior(vj->env, id, e);
	if (rc == 0)
		say_where(vj);
	return rc;
}

int
vj_found(void *arg, const struct layout_identity *id, const char *lease,
    struct err *e)
{
	struct volume_journaling *vj = arg;
	const struct volume_journal *p = &vj->p->journal;
	struct volume *v = vj->v;
	char *own = NULL;
	bool use_own;
	int rc;

	vj_close(v, false); /* of an attempt before */
	if (!lease && vj->p->layout.lease != LEASE_READER)
		return 0; /* only looking at what the store has */
	rc = vu_default_path(p->dir, id, &own, e);
	use_own = own && lease && p->mode == VOLUME_JOURNAL_AUTO;
	if (rc == 0 && own && !use_own &&
	    !(p->path && strcmp(p->path, own) == 0))
		rc = vu_check(vj->env, own, id, e);
	if (rc == 0 && !lease && p->path && id->has_uuid)
		rc = vu_check(vj->env, p->path, id, e);
	if (rc < 0 || !lease || p->mode == VOLUME_JOURNAL_NONE ||
	    (p->mode == VOLUME_JOURNAL_AUTO && !use_own)) {
		free(own);
		return rc < 0 ? rc : vu_check_prior(vj->env, id, e);
	}
	snprintf(vj->lease, sizeof(vj->lease), "%s", lease);
	v->journal_own = use_own;
	if (use_own) {
		v->journal_path = own;
		return open_after(vj, id, e);
	}
	free(own);
	if (!id->has_uuid)
		return err_set(e, -EOPNOTSUPP,
		    "%s: the volume has no UUID (it is s3backer's own format), "
		    "so no journal can tell that it belongs to it; use "
		    "--journal none", v->url);
	v->journal_path = strdup(p->path ? p->path : p->dev->path);
	if (!v->journal_path)
		return err_errno(e, -ENOMEM, "journal");
	return open_after(vj, id, e);
}

/* --- applying it -------------------------------------------------------------------- */

int
vj_check_lease(struct volume_journaling *vj, struct err *e)
{
	struct volume *v = vj->v;
	const char *prior = layout_prior_lease(v->layout);
	const struct journal_found *f;

	if (!v->journal)
		return 0;
	f = journal_found(v->journal);
	if (f->ops == 0 || vj->p->journal.force ||
	    (prior[0] != '\0' && journal_knows_lease(v->journal, prior)))
		return 0;
	return err_set(e, -ESTALE,
	    "the journal %s holds %" PRIu64 " changes that the store may not "
	    "have, but the volume's lease %s: somebody else may have written "
	    "to it. 'pail journal replay --force %s' applies them all the "
	    "same (right if nobody has), 'pail journal discard %s' gives them "
	    "up", v->journal_path, f->ops,
	    prior[0] != '\0' ? "has passed to others since"
			     : "was removed meanwhile",
	    v->journal_path, v->journal_path);
}

/* Operations on their way into the cache, which takes them in order. */
#define REPLAY_DEPTH 64
struct replaying {
	struct volume *v;
	struct cache_req r[REPLAY_DEPTH];
	unsigned n, left;
	bool idle;
	int rc; /* the first that failed */
	struct err err;
};

static void
replayed(struct cache_req *r)
{
	struct replaying *p = r->arg;

	if (r->rc < 0 && p->rc == 0) {
		p->rc = r->rc;
		err_copy(&p->err, &r->err);
	}
	p->idle = --p->left == 0;
}

static int
replay_wait(struct replaying *p, struct err *e)
{
	if (p->left > 0)
		must(loop_run_until(p->v->loop, &p->idle) == 0);
	p->n = 0;
	if (p->rc < 0)
		err_copy(e, &p->err);
	return p->rc;
}

static int
replay(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	struct replaying *p = arg;
	const uint32_t bs = p->v->info.block_size;
	int rc = p->n == REPLAY_DEPTH ? replay_wait(p, e) : 0;
	struct cache_req *r = &p->r[p->n];

	if (rc < 0)
		return rc;
	if (off > p->v->info.size || len > p->v->info.size - off || op == 0 ||
	    (data && off % bs + len > bs))
		return err_set(e, -EBADMSG,
		    "operation %" PRIu64 " (%" PRIu64 " bytes at %" PRIu64
		    ") does not fit into the volume", op, len, off);
	*r = (struct cache_req){.op = data ? CACHE_LOGGED : CACHE_ZERO,
	    .block = off / bs, .off = (uint32_t)(off % bs), .len = len,
	    .replay = op, .done = replayed, .arg = p};
	p->n++;
	p->left++;
	p->idle = false;
	cache_submit(p->v->cache, r);
	return 0;
}

static int
apply_all(struct volume *v, struct err *e)
{
	struct replaying *p = calloc(1, sizeof(*p));
	struct err later = ERR_INIT;
	int rc, ended;

	if (!p)
		return err_errno(e, -ENOMEM, "journal");
	p->v = v;
	rc = journal_apply(v->journal, replay, p, e);
	ended = replay_wait(p, &later);
	free(p);
	if (rc == 0 && ended < 0) {
		rc = ended;
		err_copy(e, &later);
	}
	return rc;
}

static int
apply(struct volume_journaling *vj, struct err *e)
{
	struct volume *v = vj->v;
	const struct journal_found *f = journal_found(v->journal);
	int64_t begun = clock_mono_ns();
	int rc;

	if (f->ops > 0)
		log_info("%s: the journal %s has %" PRIu64 " changes (%" PRIu64
			 " bytes) that the store may not have: applying them",
		    v->url, v->journal_path, f->ops, f->bytes);
	rc = apply_all(v, e);
	if (rc < 0)
		return err_wrap(e, rc, "applying the journal %s",
		    v->journal_path);
	cache_replayed(v->cache);
	if (f->ops > 0)
		log_info("%s: applied in %.2f s; they are on their way to the "
			 "store", v->url,
		    (double)(clock_mono_ns() - begun) / NS_PER_S);
	return 0;
}

int
vj_recover(struct volume_journaling *vj, struct err *e)
{
	struct volume *v = vj->v;
	int rc = 0;

	if (!v->journal)
		return 0;
	if (journal_needs_reset(v->journal)) {
		rc = apply(vj, e);
		if (rc == 0)
			rc = volume_drain_wait(v, e);
		if (rc == 0)
			rc = journal_reset(v->journal, e);
		if (rc == 0)
			rc = journal_start(v->journal, vj->lease, e);
	} else {
		rc = journal_start(v->journal, vj->lease, e);
		if (rc == 0)
			rc = apply(vj, e);
	}
	return rc;
}

void
vj_close(struct volume *v, bool clean)
{
	struct err e = ERR_INIT;
	bool remove = v->journal && clean && v->journal_own;

	if (v->journal && journal_close(v->journal, clean, &e) < 0) {
		log_warn("%s: the journal %s could not be closed: %s; all of "
			 "the volume is in the store, so 'pail journal discard "
			 "%s' loses nothing",
		    v->url, v->journal_path, err_text(&e), v->journal_path);
		remove = false;
	}
	v->journal = NULL;
	if (remove) /* by vj_remove */
		return;
	free(v->journal_path);
	v->journal_path = NULL;
}

void
vj_remove(struct volume *v)
{
	if (v->journal_path && unlink(v->journal_path) < 0)
		log_warn("remove the journal %s: %s", v->journal_path,
		    strerror(errno));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsent.c: journals that must not be passed over.
 *
 * A volume is opened without a journal, or with another one, only if what holds
 * data that the store may not have is not forgotten by that.  There are two ways
 * to know of one: it lies in the state directory, under the volume's UUID; or the
 * lease of a mount that has died names it.  The second is looked at before that
 * lease is taken over, since nobody sees it after that: who is refused has to be
 * refused the next time, too.
 *
 * Nothing is written here.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "journal/journal.h"
#include "layout/descriptor.h"
#include "raw/rdev.h"
#include "volume/internal.h"

static int
refuse_unsent(const char *path, const struct journal_found *f, struct err *e)
{
	if (f->verdict == JOURNAL_DAMAGED)
		return err_set(e, -EBUSY,
		    "the journal %s of this volume is damaged (%s), and holds "
		    "data that the store may not have; 'pail journal status "
		    "%s' says more", path, f->what, path);
	return err_set(e, -EBUSY,
	    "the journal %s holds %" PRIu64 " changes of this volume (%" PRIu64
	    " bytes) that the store may not have: mount with it, or run 'pail "
	    "journal replay %s', or give them up by 'pail journal discard %s'",
	    path, f->ops, f->bytes, path, path);
}

/* Is there a journal of this volume? */
static int
find_there(const struct store_env *env, const char *path,
    const struct layout_identity *id, struct err *e)
{
	struct journal_super *super = malloc(sizeof(*super));
	struct rdev *d;
	int rc = super ? rdev_open(env->loop, env->fileio, path, true, &d, e)
		       : err_errno(e, -ENOMEM, "%s", path);

	if (rc == -EBUSY) /* somebody uses it: the lease will say who */
		rc = 0;
	else if (rc == 0) {
		rc = journal_look_super(d, super, e);
		if (rc == 0 && memcmp(super->uuid, id->uuid, 16) != 0)
			rc = err_set(e, -ESTALE,
			    "it is another volume's by now");
		rdev_close(d);
	}
	free(super);
	return rc;
}

/* A journal that will not be used: is there anything in it of this volume? */
int
vu_check(const struct store_env *env, const char *path,
    const struct layout_identity *id, struct err *e)
{
	struct journal_found *f;
	struct rdev *d;
	int rc;

	if (access(path, F_OK) < 0)
		return 0;
	rc = rdev_open(env->loop, env->fileio, path, true, &d, e);
	if (rc == -EBUSY) /* somebody uses it: the lease will say who */
		return 0;
	if (rc < 0)
		return err_wrap(e, rc, "the journal of this volume");
	f = malloc(sizeof(*f));
	rc = f ? journal_look(d, f, e) : -ENOMEM;
	if (rc == -ENOENT)
		rc = 0;
	else if (rc == 0 && memcmp(f->super.uuid, id->uuid, 16) == 0 &&
	    f->verdict != JOURNAL_EMPTY)
		rc = refuse_unsent(path, f, e);
	free(f);
	rdev_close(d);
	return rc;
}

/* The mount before had it, and has died. */
int
vu_check_there(const struct store_env *env, const struct layout_identity *id,
    struct err *e)
{
	struct err why = ERR_INIT;

	if (find_there(env, id->prior_journal, id, &why) == 0)
		return 0;
	return err_set(e, -EBUSY,
	    "the mount before, which has died, had the journal %s, with data "
	    "perhaps that the store does not have; but %s. Bring it back, or "
	    "give it up by 'pail unlock'", id->prior_journal, err_text(&why));
}

/* It is not the one that is used now: so is there anything in it?  The lease
 * that names it will not be there any more. */
int
vu_check_prior(const struct store_env *env, const struct layout_identity *id,
    struct err *e)
{
	int rc = id->prior_journal[0] ? vu_check_there(env, id, e) : 0;

	if (rc == 0 && id->prior_journal[0])
		rc = vu_check(env, id->prior_journal, id, e);
	return rc;
}

int
vu_default_path(const char *dir, const struct layout_identity *id, char **out,
    struct err *e)
{
	struct strbuf b = STRBUF_INIT;
	char uuid[UUID_TEXT_LEN + 1];

	*out = NULL;
	if (!dir || !id->has_uuid)
		return 0;
	uuid_format(id->uuid, uuid);
	strbuf_printf(&b, "%s/%s.journal", dir, uuid);
	*out = strbuf_take(&b);
	return *out ? 0 : err_errno(e, -ENOMEM, "the journal's name");
}

int
volume_guard_found(void *arg, const struct layout_identity *id,
    const char *lease, struct err *e)
{
	const struct volume_guard *g = arg;
	char *path = NULL;
	int rc = 0;

	if (lease)
		rc = vu_default_path(g->dir, id, &path, e);
	if (rc == 0 && path)
		rc = vu_check(g->env, path, id, e);
	if (rc == 0 && lease)
		rc = vu_check_prior(g->env, id, e);
	free(path);
	return rc;
}

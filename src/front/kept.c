/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page that outlives the process; see kept.h, and docs/restart.md for the
 * offsets.
 *
 * The session is written when the kernel's FUSE_INIT comes and when owner,
 * mode or times of the disk change.  Each field is one aligned store; the
 * message's length is stored last, after its bytes, so that a length is never
 * there without what it counts.  Nobody else runs code between two stores of a
 * process that is killed: its stores are seen in their order, if the compiler
 * keeps that.
 */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "front/kept.h"

#define MAGIC "PAILKEPT"
#define KEPT_VERSION 1

enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_CRASHES = 16,
	AT_UPGRADES = 20,
	AT_MODE = 24,
	AT_UID = 28,
	AT_GID = 32,
	AT_MOUNTED = 40,
	AT_ATIME = 48,
	AT_MTIME = 56,
	AT_CTIME = 64,
	AT_TOKEN = 72,
	AT_INIT_LEN = 76,
	AT_INIT = 80,
	AT_ID = AT_INIT + KEPT_INIT_MAX,
	AT_WHEN = AT_ID + 40,
	AT_LEDGER = AT_WHEN + 24, /* state */
	AT_JOURNAL = AT_LEDGER + 4,
	AT_RING = AT_LEDGER + 8,  /* size */
	AT_HEAD = AT_RING + 8,
	AT_TAIL = AT_HEAD + 8,
	AT_END = AT_TAIL + 8
};

/* Flags of FUSE_INIT, newer than some headers: the second word's. */
#define INIT_FLAGS2_AT (sizeof(struct fuse_in_header) + 16)
#define INIT_EXT_FLAG (1u << 30)
#define RESEND_FLAG2 (1u << (39 - 32))

static int
map(struct kept *k, struct err *e)
{
	void *p = mmap(NULL, KEPT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
	    k->fd, 0);

	if (p == MAP_FAILED)
		return err_errno(e, -errno, "map the state of the mount");
	k->page = p;
	return 0;
}

int
kept_new(struct kept *k, uint64_t ledger, struct err *e)
{
	ledger = (ledger + KEPT_PAGE - 1) & ~(uint64_t)(KEPT_PAGE - 1);
	k->page = NULL;
	k->fd = memfd_create("pail-kept", MFD_CLOEXEC);
	if (k->fd < 0)
		return err_errno(e, -errno, "memory for the mount's state");
	int rc = ftruncate(k->fd, (off_t)(KEPT_PAGE + ledger)) < 0 ?
	    err_errno(e, -errno, "memory for the mount's state") :
	    map(k, e);

	if (rc < 0) {
		kept_fini(k);
		return rc;
	}
	put_le64(k->page + AT_RING, ledger);
	put_le32(k->page + AT_VERSION, KEPT_VERSION);
	memcpy(k->page + AT_MAGIC, MAGIC, 8);
	return 0;
}

int
kept_check(const uint8_t *page, size_t len, struct err *e)
{
	if (len < KEPT_PAGE || memcmp(page + AT_MAGIC, MAGIC, 8) != 0)
		return err_set(e, -EPROTO,
		    "what the old process left is not the state of a mount");
	if (get_le32(page + AT_VERSION) != KEPT_VERSION)
		return err_set(e, -EPROTO,
		    "the state of the mount has version %u, and this program "
		    "understands %u: unmount and mount instead",
		    get_le32(page + AT_VERSION), KEPT_VERSION);
	return 0;
}

int
kept_adopt(struct kept *k, int fd, struct err *e)
{
	struct stat st;
	int rc;

	k->fd = fd;
	k->page = NULL;
	if (fstat(fd, &st) < 0)
		rc = err_errno(e, -errno, "the state of the mount");
	else if (st.st_size < KEPT_PAGE)
		rc = err_set(e, -EPROTO,
		    "the state of the mount has %lld bytes, not %d",
		    (long long)st.st_size, KEPT_PAGE);
	else
		rc = map(k, e);
	if (rc == 0)
		rc = kept_check(k->page, KEPT_PAGE, e);
	if (rc == 0 &&
	    get_le64(k->page + AT_RING) > (uint64_t)st.st_size - KEPT_PAGE)
		rc = err_set(e, -EPROTO,
		    "the state of the mount has %lld bytes, which is less "
		    "than it says", (long long)st.st_size);
	if (rc < 0)
		kept_fini(k);
	return rc;
}

void
kept_fini(struct kept *k)
{
	if (k->page != NULL)
		munmap(k->page, KEPT_PAGE);
	if (k->fd >= 0)
		close(k->fd);
	k->page = NULL;
	k->fd = -1;
}

/* The compiler keeps the stores before it before those after it. */
static void
in_order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static void
put_i64(uint8_t *p, int64_t v)
{
	put_le64(p, (uint64_t)v);
}

static int64_t
get_i64(const uint8_t *p)
{
	return (int64_t)get_le64(p);
}

void
kept_put_session(struct kept *k, const struct kept_session *s)
{
	uint8_t *p = k->page;

	put_le32(p + AT_MODE, s->mode);
	put_le32(p + AT_UID, s->uid);
	put_le32(p + AT_GID, s->gid);
	put_i64(p + AT_MOUNTED, s->mount_ns);
	put_i64(p + AT_ATIME, s->atime_ns);
	put_i64(p + AT_MTIME, s->mtime_ns);
	put_i64(p + AT_CTIME, s->ctime_ns);
	if (s->init_len == 0 || s->init_len > KEPT_INIT_MAX)
		return;
	memcpy(p + AT_INIT, s->init, s->init_len);
	in_order();
	put_le32(p + AT_INIT_LEN, s->init_len);
}

int
kept_get_session(const struct kept *k, struct kept_session *s, struct err *e)
{
	const uint8_t *p = k->page;
	const uint32_t least =
	    sizeof(struct fuse_in_header) + 16; /* since 7.6 */

	memset(s, 0, sizeof(*s));
	s->mode = get_le32(p + AT_MODE);
	s->uid = get_le32(p + AT_UID);
	s->gid = get_le32(p + AT_GID);
	s->mount_ns = get_i64(p + AT_MOUNTED);
	s->atime_ns = get_i64(p + AT_ATIME);
	s->mtime_ns = get_i64(p + AT_MTIME);
	s->ctime_ns = get_i64(p + AT_CTIME);
	s->init_len = get_le32(p + AT_INIT_LEN);
	if (s->init_len == 0)
		return 0;
	if (s->init_len < least || s->init_len > KEPT_INIT_MAX)
		return err_set(e, -EPROTO,
		    "the kernel's FUSE_INIT was kept with %u bytes",
		    s->init_len);
	memcpy(s->init, p + AT_INIT, s->init_len);

	/* The kernel writes its messages in the machine's byte order. */
	struct fuse_in_header h;

	memcpy(&h, s->init, sizeof(h));
	if (h.opcode != FUSE_INIT || h.len != s->init_len)
		return err_set(e, -EPROTO,
		    "what was kept is no FUSE_INIT (operation %u, %u of %u "
		    "bytes)", h.opcode, s->init_len, h.len);
	return 0;
}

bool
kept_can_resend(const struct kept *k)
{
	struct kept_session s;
	uint32_t flags, flags2;

	if (kept_get_session(k, &s, NULL) < 0 ||
	    s.init_len < INIT_FLAGS2_AT + sizeof(flags2))
		return false;
	memcpy(&flags, s.init + INIT_FLAGS2_AT - 4, sizeof(flags));
	memcpy(&flags2, s.init + INIT_FLAGS2_AT, sizeof(flags2));
	return (flags & INIT_EXT_FLAG) != 0 && (flags2 & RESEND_FLAG2) != 0;
}

void
kept_put_lease(struct kept *k, const struct lease_owner *o)
{
	uint8_t *p = k->page;

	snprintf((char *)p + AT_ID, sizeof(o->id), "%s", o->id);
	snprintf((char *)p + AT_WHEN, sizeof(o->when), "%s", o->when);
	in_order();
	put_le32(p + AT_TOKEN, o->token);
}

void
kept_get_lease(const struct kept *k, struct lease_owner *o)
{
	const char *p = (const char *)k->page;

	o->token = get_le32(k->page + AT_TOKEN);
	snprintf(o->id, sizeof(o->id), "%.*s", LEASE_ID_LEN, p + AT_ID);
	snprintf(o->when, sizeof(o->when), "%.*s",
	    (int)sizeof(o->when) - 1, p + AT_WHEN);
}

int
kept_get_ledger(
    const struct kept *k, struct ledger_place *p, struct err *e)
{
	uint32_t state = get_le32(k->page + AT_LEDGER);

	p->size = get_le64(k->page + AT_RING);
	p->head = get_le64(k->page + AT_HEAD);
	p->tail = get_le64(k->page + AT_TAIL);
	/* Killed while it began at the ring's start. */
	if (p->tail > p->head && p->tail - p->head < p->size)
		p->head = p->tail;
	if (state > LEDGER_GAP || p->size % KEPT_PAGE != 0 ||
	    p->head % LEDGER_ALIGN != 0 || p->tail % LEDGER_ALIGN != 0 ||
	    p->tail > p->head || p->head - p->tail > p->size)
		return err_set(e, -EPROTO,
		    "the ledger of the mount makes no sense");
	p->state = (enum ledger_state)state;
	return 0;
}

bool
kept_survives(const struct kept *k)
{
	struct ledger_place p = { .state = LEDGER_NONE };

	return kept_get_ledger(k, &p, NULL) == 0 &&
	    p.state == LEDGER_WHOLE && kept_can_resend(k);
}

void
kept_set_ledger_state(struct kept *k, enum ledger_state state)
{
	put_le32(k->page + AT_LEDGER, state);
}

void
kept_set_head(struct kept *k, uint64_t head)
{
	put_le64(k->page + AT_HEAD, head);
}

void
kept_set_tail(struct kept *k, uint64_t tail)
{
	put_le64(k->page + AT_TAIL, tail);
}

void
kept_set_journal(struct kept *k, bool needed)
{
	put_le32(k->page + AT_JOURNAL, needed);
}

bool
kept_needs_journal(const struct kept *k)
{
	return get_le32(k->page + AT_JOURNAL) != 0;
}

static size_t
count_at(enum kept_count what)
{
	return what == KEPT_CRASHES ? AT_CRASHES : AT_UPGRADES;
}

uint32_t
kept_get_count(const struct kept *k, enum kept_count what)
{
	return get_le32(k->page + count_at(what));
}

void
kept_add_count(struct kept *k, enum kept_count what)
{
	put_le32(k->page + count_at(what), kept_get_count(k, what) + 1);
}

_Static_assert(AT_END <= KEPT_PAGE, "all of it is in one page");

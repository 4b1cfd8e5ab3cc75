/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_KEPT_H
#define FRONT_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "front/ledger.h"
#include "layout/lease_owner.h"

/*
 * What outlives the process that serves a mount: one page of shared memory
 * with all that its successor cannot learn elsewhere, and behind it the ring of
 * the ledger (ledger.h).
 *
 * The memory has no name (memfd); the holder keeps its descriptor.  It is
 * written by the one process that serves, and read by the next one.  Its
 * fields are laid out byte by byte in docs/restart.md, since the next one may
 * be another version; writing is such that a process killed between any two
 * instructions leaves something whole.
 */
struct err;

#define KEPT_PAGE 4096
#define KEPT_INIT_MAX 256 /* bytes of the kernel's FUSE_INIT message */

struct kept {
	int fd;
	uint8_t *page; /* shared */
};

/* What a front end needs in order to go on with a FUSE session. */
struct kept_session {
	uint8_t init[KEPT_INIT_MAX]; /* the message as the kernel sent it */
	uint32_t init_len;	     /* 0: it has not come yet */
	uint32_t mode, uid, gid;     /* of the disk */
	int64_t mount_ns, atime_ns, mtime_ns, ctime_ns; /* wall clock */
};

/* A new one, empty; the descriptor is close-on-exec.  ledger: bytes of its ring,
 * rounded up to pages; 0: none. */
int kept_new(struct kept *k, uint64_t ledger, struct err *e);
/* One that another process has made, perhaps another version: takes fd.
 * -EPROTO: this version does not understand it. */
int kept_adopt(struct kept *k, int fd, struct err *e);
void kept_fini(struct kept *k);

/* Pure: is this a page that we understand?  0 or -EPROTO. */
int kept_check(const uint8_t *page, size_t len, struct err *e);

void kept_put_session(struct kept *k, const struct kept_session *s);
/* -EPROTO: the kernel's message does not fit its length. */
int kept_get_session(
    const struct kept *k, struct kept_session *s, struct err *e);

/* Which lease is the mount's: token, id and time; the rest of *o stays. */
void kept_put_lease(struct kept *k, const struct lease_owner *o);
void kept_get_lease(const struct kept *k, struct lease_owner *o);

/* How often another process has gone on with the mount: crashes, upgrades. */
enum kept_count { KEPT_CRASHES, KEPT_UPGRADES };
uint32_t kept_get_count(const struct kept *k, enum kept_count what);
void kept_add_count(struct kept *k, enum kept_count what);

/* The kernel sends requests again when it is asked to (FUSE_HAS_RESEND in its
 * FUSE_INIT): without that a crash cannot be survived. */
bool kept_can_resend(const struct kept *k);
/* May another process go on, if the one that serves dies this very moment? */
bool kept_survives(const struct kept *k);

/* What was flushed may be in the journal only: a successor needs it.  Else it can
 * do without, since the store has everything. */
void kept_set_journal(struct kept *k, bool needed);
bool kept_needs_journal(const struct kept *k);

/* The ledger's own.  -EPROTO: what is there makes no sense. */
int kept_get_ledger(
    const struct kept *k, struct ledger_place *p, struct err *e);
void kept_set_ledger_state(struct kept *k, enum ledger_state state);
void kept_set_head(struct kept *k, uint64_t head);
void kept_set_tail(struct kept *k, uint64_t tail);

#endif

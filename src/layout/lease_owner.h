/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_LEASE_OWNER_H
#define LAYOUT_LEASE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who holds a lease: a record that is written with it, and the question
 * whether that one can still be alive.
 *
 * In the store it is s3backer's mount token, body and header, and headers of
 * our own (docs/formats.md).  No field is trusted further than to be compared
 * and printed.
 */
struct err;
struct meta;
struct strbuf;

#define LEASE_ID_LEN 32
#define LEASE_JOURNAL_MAX 192
#define LEASE_TOKEN_OLD 1u		/* s3backer before 1.5.0 */
#define LEASE_TOKEN_SHARED 0x7fffffffu	/* s3backer --sharedDiskMode */

struct lease_owner {
	uint32_t token;	     /* s3backer's number; never 0 */
	char host[256];	     /* "" if not said */
	char when[20];	     /* YYYYMMDDTHHMMSSZ; "" if not said */
	/* Only of pail; "" or 0 if not said. */
	char id[LEASE_ID_LEN + 1]; /* of this lease, random */
	char machine[33];    /* which machine (a hash: it is public) */
	char boot[37];	     /* which boot of it */
	char pidns[24];	     /* where the process number counts */
	int64_t pid;
	uint64_t pid_start;  /* clock ticks after boot */
	/* A second process of the same mount, which outlives the first and
	 * starts its successor (docs/restart.md); pid 0: there is none. */
	int64_t holder;
	uint64_t holder_start;
	/* Where on that machine its journal is; "": none that is known. */
	char journal[LEASE_JOURNAL_MAX];
};

/* This process, with a new id and token and the time of now. */
int lease_owner_self(struct lease_owner *o, struct err *e);

/* This process now serves the mount whose record o is, and holder, a process
 * that can be seen from here, holds it. */
void lease_owner_serve(struct lease_owner *o, int64_t holder);

/* Do both name the same processes? */
bool lease_owner_same_process(const struct lease_owner *a,
    const struct lease_owner *b);

/* A record as object.  -ENOMEM. */
int lease_owner_encode(const struct lease_owner *o, struct strbuf *body,
    struct meta *m);
/* From an object, whatever it has; never fails: what is not understood is left
 * empty.  Pure. */
void lease_owner_decode(struct lease_owner *o, const struct meta *m,
    const void *body, size_t n);

bool lease_owner_same(const struct lease_owner *a,
    const struct lease_owner *b);

/*
 * Can it be proved that owner is gone?  me: who asks.
 *
 *	the same boot and pid namespace, and no such process now, or another;
 *	if it names a holder, that has to be gone as well
 *	the same machine, booted anew since
 *
 * Anything else is no proof: a host that cannot be reached may be alive.
 */
bool lease_owner_gone(const struct lease_owner *owner,
    const struct lease_owner *me);

/* "by pail on host a (process 12) since 2024-..." */
void lease_owner_describe(const struct lease_owner *o, char *text, size_t cap);

#endif

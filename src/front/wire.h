/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_WIRE_H
#define FRONT_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Messages between the processes of a mount: the one that serves, its holder,
 * a successor's holder, and pail upgrade.  docs/restart.md says who sends what
 * when.
 *
 * A message is one packet of a SOCK_SEQPACKET socket: a letter, then up to
 * WIRE_BODY_MAX bytes, with up to WIRE_FDS_MAX descriptors.  Nothing here
 * allocates, so that a holder works when memory is short.
 */
#define WIRE_BODY_MAX 8192
#define WIRE_FDS_MAX 2

enum wire_type {
	/* The serving process to its holder. */
	WIRE_MOUNTED = 'M',  /* descriptor: the FUSE device */
	WIRE_READY = 'R',    /* may it serve?  Also holder to old holder: text */
	WIRE_FAILED = 'F',   /* it cannot: text */
	WIRE_DRAINED = 'D',  /* all is written; it ends, the mount stays */
	WIRE_REFUSED = 'N',  /* it goes on serving: text */
	WIRE_DROP = 'K',     /* close the device: the mount is over */
	WIRE_ENDED = 'E',    /* in order: do not start another */
	/* The holder to the serving process. */
	WIRE_GO = 'C',	     /* serve.  Also old holder to new one: it is yours */
	WIRE_DRAIN = 'U',    /* hand over.  Also pail upgrade to the holder:
			      * descriptors: the program, standard error */
	WIRE_DROPPED = 'k',
	/* Between two holders. */
	WIRE_HELLO = 'H',    /* new: text, its version */
	WIRE_SETTINGS = 'S', /* old: directory NUL secret NUL */
	WIRE_GIVE = 'G',     /* old: descriptors: device, kept memory */
	/* The holder to pail upgrade. */
	WIRE_DONE = '0',     /* text: who serves now */
	WIRE_SORRY = '!'     /* text: why not; the old one goes on, or not */
};

struct wire_msg {
	char type;
	uint8_t body[WIRE_BODY_MAX + 1]; /* a NUL stands behind it */
	size_t len;			 /* of body */
	int fds[WIRE_FDS_MAX];		 /* -1: none; the receiver's */
};

/* 0 or -errno (-EPIPE: nobody is there).  Does not wait for room. */
int wire_send(int sock, enum wire_type type, const void *body, size_t len,
    const int *fds, unsigned nfds);
int wire_say(int sock, enum wire_type type, const char *text);

/* 1: a message; 0: none now (a non-blocking socket, or flags MSG_DONTWAIT);
 * -EPIPE: the other side is gone; -EPROTO: a message too long, or none. */
int wire_recv(int sock, struct wire_msg *m, int flags);
/* Close the descriptors that nobody took (set to -1 by who did). */
void wire_drop_fds(struct wire_msg *m);

/* Both ends are close-on-exec. */
int wire_pair(int sock[2]);

/*
 * Pure: the two strings of a WIRE_SETTINGS body, which are put together with
 * len bytes of room (-ENOBUFS: too long) and taken apart again (-EPROTO).
 */
ssize_t wire_put_strings(uint8_t *to, size_t room, const char *a, const char *b);
int wire_get_strings(
    const uint8_t *body, size_t len, const char **a, const char **b);

#endif

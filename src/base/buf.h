/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reference-counted buffers, aligned for O_DIRECT.
 *
 * A buf with one reference may be written by its holder; one with more is
 * read-only for all of them (copy first: buf_writable says which).  References
 * may be taken and dropped on any thread; contents and len are handed from
 * thread to thread with the buffer, never shared while one writes.
 */
#define BUF_ALIGN 4096

struct buf {
	unsigned refs;	/* atomic */
	size_t len;	/* bytes in use, at most cap */
	size_t cap;	/* bytes at data */
	uint8_t *data;	/* aligned to BUF_ALIGN */
	/* Called instead of free() by the last buf_unref, if set: the memory
	 * belongs to somebody else (a slot of the cache).  Any thread. */
	void (*release)(struct buf *b);
	void *owner;	/* for release */

	/* private to buf.c, for those of buf_new */
	unsigned size_class;
	struct buf *next;
};

/* A buffer with one reference, len 0, contents undefined; NULL: no memory. */
struct buf *buf_new(size_t cap);

/*
 * Buffers that nobody refers to any more are kept for the next buf_new, up to
 * this many bytes in all (16 MiB unless told; 0 under AddressSanitizer, which
 * would see less).  Any thread.
 */
void buf_keep_max(size_t bytes);
/* How many bytes are kept now. */
size_t buf_kept(void);

struct buf *buf_ref(struct buf *b);
void buf_unref(struct buf *b); /* accepts NULL */

static inline bool
buf_writable(const struct buf *b)
{
	return __atomic_load_n(&b->refs, __ATOMIC_ACQUIRE) == 1;
}

/* True if all n bytes at p are zero. */
bool mem_is_zero(const void *p, size_t n);

#endif

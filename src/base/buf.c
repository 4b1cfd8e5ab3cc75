/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c: reference-counted aligned buffers; see buf.h. */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"

struct buf *
buf_new(size_t cap)
{
	struct buf *b = calloc(1, sizeof(*b));
	size_t bytes = (cap + BUF_ALIGN - 1) & ~(size_t)(BUF_ALIGN - 1);

	if (!b)
		return NULL;
	b->data = aligned_alloc(BUF_ALIGN, bytes ? bytes : BUF_ALIGN);
	if (!b->data) {
		free(b);
		return NULL;
	}
	b->refs = 1;
	b->cap = cap;
	return b;
}

struct buf *
buf_ref(struct buf *b)
{
	unsigned old = __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);

	must(old > 0);
	return b;
}

void
buf_unref(struct buf *b)
{
	unsigned old;

	if (!b)
		return;
	old = __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL);
	must(old > 0);
	if (old > 1)
		return;
	if (b->release) {
		b->release(b);
		return;
	}
	free(b->data);
	free(b);
}

/*
 * Compare the memory with itself, shifted: memcmp is the fastest code that a
 * C library has for this.
 */
bool
mem_is_zero(const void *p, size_t n)
{
	const unsigned char *c = p;

	return n == 0 || (c[0] == 0 && memcmp(c, c + 1, n - 1) == 0);
}

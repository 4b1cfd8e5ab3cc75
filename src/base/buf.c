/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.c: reference-counted aligned buffers; see buf.h.
 *
 * Memory of this size goes back to the kernel when it is freed, and every page
 * of it is faulted in anew when it comes again: 32 faults for a block of 128
 * KiB cost more than all else that is done to it.  So buffers that became free
 * are kept in lists, one for each size class, last in first out (the one that
 * is still in the processor's cache), up to kept_max bytes.  Where that would
 * be exceeded, buffers of the class that keeps most are given back first: what
 * a volume of another block size has left behind does not stay for ever.
 *
 * Classes are 1, 2, 3, 4 pages and from there four to each power of two, so
 * that powers of two, which blocks are, have a class of exactly their size.
 *
 * The lists are the process's, not the loop's: a buffer is often dropped on
 * another thread than the one that made it.  The lock protects the lists and
 * the two sums; malloc and free are called without it.
 */
#include "base/buf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

#define NCLASSES 48
#define CLASS_NONE NCLASSES /* too large to keep */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) /* clang's name for it */
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define KEPT_MAX 0
#else
#define KEPT_MAX ((size_t)16 << 20)
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* protected by lock */
static struct {
	struct buf *first;
	size_t bytes;
} kept[NCLASSES];
static size_t kept_bytes, kept_max = KEPT_MAX;

/* The class for so many pages (at least 1). */
static unsigned
class_of(size_t pages)
{
	unsigned shift;

	if (pages <= 4)
		return (unsigned)pages - 1;
	shift = 61 - (unsigned)__builtin_clzll(pages - 1);
	if (shift > 10)
		return CLASS_NONE;
	return shift * 4 + (unsigned)((pages - 1) >> shift);
}

static size_t
class_bytes(unsigned class)
{
	size_t pages = class + 1;

	if (class >= 4)
		pages = (size_t)(5 + class % 4) << (class / 4 - 1);
	return pages * BUF_ALIGN;
}

/* Take one that is kept; NULL if there is none. */
static struct buf *
take_kept(unsigned class)
{
	struct buf *b;

	pthread_mutex_lock(&lock);
	b = kept[class].first;
	if (b) {
		kept[class].first = b->next;
		kept[class].bytes -= class_bytes(class);
		kept_bytes -= class_bytes(class);
	}
	pthread_mutex_unlock(&lock);
	return b;
}

/* With the lock: take off the lists until kept_max holds; those, linked. */
static struct buf *
shed(void)
{
	struct buf *out = NULL;

	while (kept_bytes > kept_max) {
		unsigned most = 0;
		struct buf *b;

		for (unsigned i = 1; i < NCLASSES; i++)
			if (kept[i].bytes > kept[most].bytes)
				most = i;
		b = kept[most].first;
		kept[most].first = b->next;
		kept[most].bytes -= class_bytes(most);
		kept_bytes -= class_bytes(most);
		b->next = out;
		out = b;
	}
	return out;
}

static void
free_all(struct buf *b)
{
	while (b) {
		struct buf *next = b->next;

		free(b->data);
		free(b);
		b = next;
	}
}

static void
keep(struct buf *b)
{
	struct buf *out;

	if (b->size_class == CLASS_NONE) {
		b->next = NULL;
		free_all(b);
		return;
	}
	pthread_mutex_lock(&lock);
	b->next = kept[b->size_class].first;
	kept[b->size_class].first = b;
	kept[b->size_class].bytes += class_bytes(b->size_class);
	kept_bytes += class_bytes(b->size_class);
	out = shed();
	pthread_mutex_unlock(&lock);
	free_all(out);
}

void
buf_keep_max(size_t bytes)
{
	struct buf *out;

	pthread_mutex_lock(&lock);
	kept_max = bytes;
	out = shed();
	pthread_mutex_unlock(&lock);
	free_all(out);
}

size_t
buf_kept(void)
{
	size_t bytes;

	pthread_mutex_lock(&lock);
	bytes = kept_bytes;
	pthread_mutex_unlock(&lock);
	return bytes;
}

static struct buf *
allocate(unsigned class, size_t bytes)
{
	struct buf *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	b->data = aligned_alloc(BUF_ALIGN, bytes);
	if (!b->data) {
		free(b);
		return NULL;
	}
	b->size_class = class;
	return b;
}

struct buf *
buf_new(size_t cap)
{
	size_t pages = cap / BUF_ALIGN + (cap % BUF_ALIGN != 0 || cap == 0);
	unsigned class = class_of(pages);
	struct buf *b = NULL;

	if (class != CLASS_NONE) {
		b = take_kept(class);
		if (!b)
			b = allocate(class, class_bytes(class));
	} else if (pages <= SIZE_MAX / BUF_ALIGN) {
		b = allocate(class, pages * BUF_ALIGN);
	}
	if (!b)
		return NULL;
	*b = (struct buf){.refs = 1,
	    .cap = cap,
	    .data = b->data,
	    .size_class = b->size_class};
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
	if (b->release)
		b->release(b);
	else
		keep(b);
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

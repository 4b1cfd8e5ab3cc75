/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RAWLAB_H
#define TESTS_RAWLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lib/simdisk.h"
#include "raw/pool.h"
#include "raw/scrub.h"

/*
 * A laboratory for the raw store: a pool on simulated disks, on virtual time,
 * and objects whose bytes follow from two numbers, so that a model of the pool
 * is a table of these numbers.
 *
 * Nothing is left to chance: the UUIDs and chain values of the pool come from
 * the seed too (getrandom is wrapped), so a run is repeated exactly.  What the
 * pool logs is kept back, but with PAIL_VERBOSE set.
 *
 * In local.mk:	tests_unit_raw_x_SOURCES = tests/unit/raw/x.c $(RAWLAB)
 *		tests_unit_raw_x_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
 */
#define LAB_NKEYS 64

/* An object, or none. */
struct lab_object {
	uint64_t version; /* 0: there is none */
	uint32_t size;
	uint8_t meta; /* of three kinds */
};

struct lab {
	struct simworld w;
	struct loop *loop;
	struct simdisk *disk[RAW_MAX_MEMBERS];
	unsigned k, m, n;
	struct pool *pool;
	/* Of keys from here on only size and metadata are compared; 0: all
	 * bytes of all. */
	unsigned quick_from;
	uint64_t short_by; /* the first device has so many bytes less */
	struct simimage *image[RAW_MAX_MEMBERS]; /* of lab_save, or NULL */
};

struct lab_params {
	unsigned k, m;
	uint64_t seed;
	uint64_t disk_bytes; /* 0: LAB_DISK */
};
#define LAB_DISK (32u << 20)

/* What to say when a test fails, so that it can be repeated. */
void lab_reproduce(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
/* Fail, and say that first. */
void lab_fail(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));
#define lab_check(cond)                                                     \
	((cond) ? (void)0                                                   \
		: lab_fail("%s:%d: not true: %s", __FILE__, __LINE__, #cond))

/* A number from the environment, or def. */
uint64_t lab_env(const char *name, uint64_t def);

/* Disks with a new, empty pool, not opened. */
void lab_init(struct lab *lab, const struct lab_params *p);
void lab_fini(struct lab *lab);

/* Open with the members whose bit is set. */
int lab_open(struct lab *lab, uint32_t with, bool read_only, struct err *e);
void lab_must_open(struct lab *lab); /* with all */
void lab_must_close(struct lab *lab);
/* As if the process had been killed. */
void lab_kill(struct lab *lab);

/* What was written is on the disks, flushed or not; lab_restore goes back to
 * that, as often as is wanted.  The pool is closed or killed. */
void lab_save(struct lab *lab);
void lab_restore(struct lab *lab);
/* Run the loop until that is done: what, if it never is, is said. */
void lab_until(struct lab *lab, const bool *done, const char *what);

/* --- keys and bytes ---------------------------------------------------------- */

/* Key i, of LAB_NKEYS; most share a prefix, some are long.  In no order.  There
 * are LAB_MANY more for tests of many objects, which no model has. */
#define LAB_MANY 8192
const char *lab_key(unsigned i);
void lab_fill(const struct lab_object *o, uint8_t *p, size_t off, size_t n);
uint16_t lab_meta(const struct lab_object *o, uint8_t *meta);

/* --- requests, one at a time ---------------------------------------------------- */

struct lab_op {
	struct pool_req req;
	struct pool_item *items;
	uint8_t (*meta)[RAW_META_MAX];
	unsigned nitems;
	bool done;
	unsigned event; /* of a recording: it was done then */
	struct lab *lab;
	void *arg;
};

/* A write of n keys, objects of version 0 being deleted; POOL_SYNC with n 0. */
struct lab_op *lab_begin(struct lab *lab, enum pool_op op, const unsigned *key,
    const struct lab_object *obj, unsigned n);
int lab_wait(struct lab_op *op); /* its rc */
void lab_op_free(struct lab_op *op);

/* The same, waited for and freed; *seq may be NULL. */
int lab_put(struct lab *lab, unsigned key, const struct lab_object *o);
int lab_delete(struct lab *lab, unsigned key);
int lab_batch(struct lab *lab, const unsigned *key,
    const struct lab_object *obj, unsigned n);
int lab_sync(struct lab *lab);
int lab_checkpoint(struct lab *lab);

/* A scrub under way; read, if not NULL, is called for each part of it. */
struct lab_scrub {
	struct scrub_result result;
	bool done;
	void (*read)(void *arg);
	void *arg;
};
struct scrub *lab_scrub_begin(
    struct lab *lab, struct lab_scrub *s, void (*read)(void *arg), void *arg);
/* One, waited for. */
struct scrub_result lab_scrub(struct lab *lab);

/* Nothing is asked of it for so long. */
void lab_idle(struct lab *lab, int64_t ns);

/* Is what the pool has under key i equal to o, with its metadata?  -EIO or
 * another error of the GET; 0: yes; 1: no. */
int lab_compare(struct lab *lab, unsigned key, const struct lab_object *o);
/* Part of it: [off, off + len). */
int lab_compare_range(struct lab *lab, unsigned key,
    const struct lab_object *o, uint64_t off, uint64_t len);
/* All keys, and the listing: exactly these objects.  Fails the test if not;
 * where says what was done before. */
void lab_compare_all(
    struct lab *lab, const struct lab_object *model, const char *where);

/* Space: nothing is lost and nothing is used twice, by counting.  Nothing may
 * be in flight. */
void lab_check_space(struct lab *lab, const struct lab_object *model);

/* Lines that the pool has logged since the last call. */
unsigned lab_log_lines(void);
/* The last of them that has this text in it, or NULL. */
const char *lab_log_find(const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DIRFMT_H
#define STORE_DIRFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the store in a directory writes (docs/formats.md): names of files for
 * keys, and the trailer of a file.  Pure functions; the decoders take any
 * bytes.
 */
struct err;
struct meta;

/* --- names ------------------------------------------------------------------ */

/* A key is cut into chunks: all but the last name directories, the last names
 * the file.  A chunk ends after a "/"; after 3 bytes, for the first three
 * chunks of a component; else after 60. */
#define DIR_CHUNK_MAX 60
#define DIR_NAME_MAX (DIR_CHUNK_MAX * 3 + 2) /* encoded, with '+' and NUL */
#define DIR_PATH_MAX 4000

/* Follows a key from its beginning, to tell where chunks end. */
struct dir_cut {
	unsigned chunk; /* of this component */
};
/* The length of the chunk at s, which has n > 0 bytes left. */
size_t dir_cut_next(struct dir_cut *c, const char *s, size_t n);
/* May a chunk that was read from a directory stand here?  Then c has passed
 * it. */
bool dir_cut_pass(struct dir_cut *c, const char *s, size_t n, bool is_dir);

/* The name of a chunk of n bytes, at most DIR_NAME_MAX with its NUL; returns
 * its length. */
size_t dir_name_encode(char *name, const char *chunk, size_t n, bool is_dir);
/* The path of a key's file: "a^+/000/001/23".  -ENAMETOOLONG. */
int dir_path(char *path, size_t cap, const char *key);

/* The chunk that a name stands for, and whether it is a directory.  -EINVAL if
 * nobody would have named one so (not ours). */
int dir_name_decode(const char *name, char chunk[DIR_CHUNK_MAX + 1],
    size_t *len, bool *is_dir);

/* --- the trailer of a file --------------------------------------------------- */

#define DIR_TRAILER 1024 /* bytes, after the object's own */
#define DIR_META_MAX 980 /* bytes of names and values, with their NULs */
#define DIR_TAG 16	 /* random bytes */

struct dir_trailer {
	uint64_t size; /* of the object */
	uint32_t crc;  /* CRC-32 of its bytes */
	uint8_t tag[DIR_TAG];
};

/* -E2BIG: m (or NULL) does not fit. */
int dir_trailer_encode(uint8_t out[DIR_TRAILER], const struct dir_trailer *t,
    const struct meta *m);
/* file_size: of the file that in is the end of.  *m: a new meta, or NULL if
 * there are no pairs; m may be NULL.  -EBADMSG with what is wrong; -ENOMEM. */
int dir_trailer_decode(const uint8_t in[DIR_TRAILER], uint64_t file_size,
    struct dir_trailer *t, struct meta **m, struct err *e);

#endif

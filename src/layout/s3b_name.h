/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_S3B_NAME_H
#define LAYOUT_S3B_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The names of a volume's objects in s3backer's layout (docs/formats.md):
 *
 *	PREFIX BBBBBBBB			a block
 *	PREFIX HHHHHHHH-BBBBBBBB	a block of a volume with hashed names
 *	PREFIX s3backer-mounted		the mount token
 *	PREFIX pail-volume		the descriptor
 *	PREFIX pail-takeover-ID		somebody takes the lease ID over
 *
 * B and H are lower-case hexadecimal digits.  Pure functions, any thread.
 */
#define S3B_NAME_MAX 64 /* bytes after the prefix, with the NUL */
#define S3B_TOKEN_NAME "s3backer-mounted"
#define S3B_DESCRIPTOR_NAME "pail-volume"
#define S3B_TAKEOVER_NAME "pail-takeover-"

/*
 * What a volume is called in messages, as one would write it: the store's URL
 * with the prefix in it, or with ?volume=.  to: VOLUME_NAME_MAX bytes, cut off
 * if that is too little.  VOLUME_NAME brings the room along; it lasts until the
 * end of the block.
 */
#define VOLUME_NAME_MAX 2048
const char *s3b_volume_name(char *to, const char *url, const char *prefix);
#define VOLUME_NAME(store, prefix) \
	s3b_volume_name((char[VOLUME_NAME_MAX]){0}, (store)->url, prefix)

/* The hash that spreads block numbers over the name space. */
uint32_t s3b_hash(uint32_t block);

/* to: strlen(prefix) + S3B_NAME_MAX bytes. */
void s3b_name_block(char *to, const char *prefix, bool hashed, uint32_t block);

/* True if key is exactly the name of a block, and then which. */
bool s3b_name_parse(const char *key, const char *prefix, bool hashed,
    uint32_t *block);

/*
 * For listings: names of blocks are in the order of their first eight digits
 * ("positions": the block's number, or its hash).  Names of position pos come
 * after the bound s3b_name_before(pos) and before s3b_name_behind(pos).
 * to as above.
 */
void s3b_name_before(char *to, const char *prefix, uint32_t pos);
void s3b_name_behind(char *to, const char *prefix, uint32_t pos);

/*
 * The smallest position that a block's name greater than key can have; 2^32 if
 * there is none.  So a listing jumps over what is not the volume's.
 */
uint64_t s3b_name_next_pos(const char *key, const char *prefix);

#endif

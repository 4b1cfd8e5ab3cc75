/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c: what a root object says, a part at a time; see format.h and
 * docs/raw.md, "Index".  Pure; takes any bytes.
 *
 * A part without pages is refused: so a chain of parts that comes back to its
 * beginning ends, as pages must follow each other.
 */
#include "raw/format.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/err.h"

int
raw_root_begin(struct raw_root_reader *rd, const uint8_t *in, size_t n,
    unsigned k, unsigned m, struct raw_ref *next, struct err *e)
{
	if (n < RAW_ROOT_HEADER || get_le32(in) != RAW_ROOT_MAGIC)
		return err_set(e, -EBADMSG, "the root of the index is none");
	rd->in = in;
	rd->n = n;
	rd->at = RAW_ROOT_HEADER;
	rd->left = get_le32(in + 4);
	rd->k = k;
	rd->m = m;
	if (rd->left == 0)
		return err_set(e, -EBADMSG, "the root names no page");
	if (raw_ref_decode(next, in + 8, k, m) < 0)
		return err_set(e, -EBADMSG, "the root's next part is damaged");
	return 0;
}

int
raw_root_next(struct raw_root_reader *rd, struct raw_ref *ref, struct err *e)
{
	size_t left = rd->n - rd->at, key, len;
	uint8_t bytes[RAW_REF_BYTES] = {0};
	const uint8_t *at = rd->in + rd->at;

	if (rd->left == 0)
		return 0;
	key = left >= 3 ? get_le16(at) : 0;
	if (left < 3 || key > left - 3)
		return err_set(e, -EBADMSG, "the root is cut off");
	len = 32 + 4u * at[2 + key];
	if (len > RAW_REF_BYTES || len > left - 3 - key)
		return err_set(e, -EBADMSG, "the root is cut off");
	memcpy(bytes, at + 3 + key, len);
	if (raw_ref_decode(ref, bytes, rd->k, rd->m) < 0 ||
	    ref->ext.bytes == 0)
		return err_set(e, -EBADMSG, "the root names no page");
	rd->at += 3 + key + len;
	rd->left--;
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of the ledger, as a process that crashed may have left it: decoding
 * comes to an end, and never looks outside.
 *
 * Input: tail and head modulo two rings, 2 bytes each, then the ring.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "front/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger_place p = { .state = LEDGER_WHOLE };
	struct ledger_rec r;
	unsigned sum = 0;

	if (size < 4 + LEDGER_ALIGN)
		return 0;
	p.size = (size - 4) / LEDGER_ALIGN * LEDGER_ALIGN;
	p.tail = get_le16(data) / LEDGER_ALIGN * LEDGER_ALIGN;
	p.head = p.tail + get_le16(data + 2) / LEDGER_ALIGN * LEDGER_ALIGN %
		(p.size + LEDGER_ALIGN);
	/* Exactly as large, so that a look beyond it is seen. */
	uint8_t *ring = malloc(p.size);

	if (ring == NULL)
		return 0;
	memcpy(ring, data + 4, p.size);
	for (uint64_t at = p.tail; ledger_decode(ring, &p, at, &r) == 1;
	     at = r.next) {
		if (r.next <= at || r.next > p.head)
			abort();
		for (uint64_t i = 0; r.data != NULL && i < r.len; i++)
			sum += r.data[i];
	}
	free(ring);
	return sum == 1u << 31; /* used, and never so many */
}

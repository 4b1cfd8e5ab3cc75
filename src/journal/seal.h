/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JOURNAL_SEAL_H
#define JOURNAL_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Encryption of a journal's records: AES-256-GCM with a key of the epoch's
 * own, made from the volume's secret, the journal's salt and the epoch's number
 * and nonce; the record's sequence number, which is used once in an epoch, is
 * the GCM nonce.
 */
struct journal_super;
struct seal;

#define SEAL_SECRET 32

/* Sixteen bytes that tell whether a secret is the one of this salt. */
int seal_check(const uint8_t secret[SEAL_SECRET], const uint8_t salt[32],
    uint8_t check[16]);
/* -ENOMEM, -EIO: the library. */
int seal_new(const uint8_t secret[SEAL_SECRET], const uint8_t salt[32],
    uint64_t epoch, uint64_t nonce, struct seal **out);
void seal_free(struct seal *s); /* wipes; accepts NULL */

/* In place. */
int seal_close(struct seal *s, uint64_t seq, const void *aad, size_t naad,
    void *p, size_t n, uint8_t tag[16]);
/* -EBADMSG: not what was sealed; p is then undefined. */
int seal_open(struct seal *s, uint64_t seq, const void *aad, size_t naad,
    void *p, size_t n, const uint8_t tag[16]);

#endif

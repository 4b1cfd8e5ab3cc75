/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

/*
 * must(): what our own code guarantees.  It stays on in production: a disk
 * that has lost track of its own state had better stop than write.  Never for
 * I/O errors, input or lack of memory.
 */
#define must(cond) \
	((cond) ? (void)0 : must_fail(#cond, __FILE__, __LINE__, __func__))

__attribute__((noreturn, cold)) void must_fail(
    const char *cond, const char *file, int line, const char *func);

#endif

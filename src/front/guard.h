/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_GUARD_H
#define FRONT_GUARD_H

/* What the kernel is asked for on behalf of a process that serves a disk.  Where
 * it is not permitted the mount does without: that is logged for debugging. */

/* The kernel may need us to write pages in order to free memory: be an I/O
 * flusher (our own allocations do not wait for writeback), stay out of swap. */
void guard_memory(void);

/* Larger requests cost less; FUSE itself can only lower the 128 KiB. */
void guard_widen_readahead(const char *dir);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <stdbool.h>

/*
 * Make the n'th allocation, or the n'th system call of those listed
 * in FAULT_WRAP, fail: n = 1, 2, ... until nothing is left to fail.
 *
 * In local.mk:
 *	tests_unit_x_test_y_SOURCES = tests/unit/x/test_y.c $(FAULT_FILES)
 *	tests_unit_x_test_y_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
 *
 * In the test, a scenario that returns 0 when all went well, or the negative
 * errno that it got; either way it has given everything back, which
 * AddressSanitizer checks:
 *
 *	static int
 *	insert_two(void *arg)
 *	{
 *		struct map m = MAP_INIT;
 *		int rc = map_insert(&m, 1, arg);
 *		if (rc == 0)
 *			rc = map_insert(&m, 2, arg);
 *		map_fini(&m);
 *		return rc;
 *	}
 *	...
 *	fault_each_malloc(insert_two, &m);
 *
 * fault_each_malloc requires -ENOMEM of every run in which an allocation failed
 * (tolerant: or 0, the code may do without), and 0 of the last one, in which
 * none did.  fault_each_call does the same with system calls and -error.
 *
 * What is wrapped is what pail's own objects call (ld --wrap); memory that a
 * shared library takes for itself does not count.  Threads are counted together.
 */

typedef int fault_scenario(void *arg);

/* How many runs it took, the clean one included. */
unsigned fault_each_malloc(fault_scenario *f, void *arg);
unsigned fault_each_malloc_tolerant(fault_scenario *f, void *arg);
unsigned fault_each_call(fault_scenario *f, void *arg, int error);

/* By hand: the n'th allocation from now fails, once (0: none).  fault_hit: it
 * came to that. */
void fault_malloc_arm(unsigned n);
void fault_call_arm(unsigned n, int error);
bool fault_hit(void);
/* What this thread does until the matching call does not count and does not
 * fail: for what is the test's own. */
void fault_pause(bool pause);

#endif

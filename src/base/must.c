/* SPDX-License-Identifier: Apache-2.0 */
/* must.c: the last words of a process whose own promise did not hold. */
#include "base/must.h"

#include <stdlib.h>

#include "base/log.h"

void
must_fail(const char *cond, const char *file, int line, const char *func)
{
	log_error("bug in pail: %s:%d %s: must(%s) does not hold; stopping "
		  "before anything is written",
	    file, line, func, cond);
	abort();
}

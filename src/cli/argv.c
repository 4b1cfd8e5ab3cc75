/* SPDX-License-Identifier: Apache-2.0 */
/* The program's own command line; see cli.h. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static char **kept; /* the pointers; the strings are the process's */

int
cli_argv_keep(int argc, char **argv)
{
	size_t size = ((size_t)argc + 1) * sizeof(char *);

	kept = malloc(size);
	if (kept == NULL)
		return -ENOMEM;
	memcpy(kept, argv, size);
	return 0;
}

char *const *
cli_argv(void)
{
	return kept;
}

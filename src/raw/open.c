/* SPDX-License-Identifier: Apache-2.0 */
/* open.c: pools by paths; see open.h. */
#include "raw/open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "raw/pool.h"
#include "raw/rdev.h"

void
raw_paths_free(char **paths)
{
	for (unsigned i = 0; paths && paths[i]; i++)
		free(paths[i]);
	free(paths);
}

char **
raw_paths_split(const char *list, unsigned *n)
{
	char **paths = calloc(RAW_PATHS_MAX + 1, sizeof(*paths));

	*n = 0;
	while (paths && *list && *n < RAW_PATHS_MAX) {
		char *to = paths[*n] = malloc(strlen(list) + 1);

		if (!to) {
			raw_paths_free(paths);
			return NULL;
		}
		while (*list && *list != ',') {
			if (list[0] == '\\' && list[1] == ',')
				list++;
			*to++ = *list++;
		}
		*to = '\0';
		list += *list == ',';
		(*n)++;
	}
	return paths;
}

/* Those that could not be opened, a line each: only if the rest is a store. */
static void
warn_of_missing(struct strbuf *lines)
{
	char *save = NULL;

	if (lines->failed || !lines->s)
		return;
	for (char *s = strtok_r(lines->s, "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save))
		log_warn("%s; the store is opened without it", s);
}

int
raw_open_paths(struct loop *l, struct fileio *io, const char *list,
    const struct pool_open_params *op, struct pool **out, struct err *e)
{
	struct rdev *devs[RAW_PATHS_MAX];
	struct err first = ERR_INIT;
	struct strbuf missing = STRBUF_INIT;
	unsigned n = 0, npaths;
	char **paths = raw_paths_split(list, &npaths);
	int rc = 0;

	if (!paths)
		return err_errno(e, -ENOMEM, "open a store");
	for (unsigned i = 0; i < npaths; i++) {
		struct err one = ERR_INIT;

		rc = rdev_open(l, io, paths[i], op->read_only, &devs[n], &one);
		if (rc == 0) {
			n++;
			continue;
		}
		if (first.rc == 0)
			first = one;
		if (rc == -EBUSY)
			break;
		strbuf_printf(&missing, "%s\n", err_text(&one));
	}
	raw_paths_free(paths);
	if (rc == -EBUSY || n == 0) {
		rc = first.rc ? first.rc : -EINVAL;
		err_set(e, rc, "%s",
		    first.rc ? err_text(&first) : "no path of a device");
	} else {
		rc = pool_open(l, devs, n, op, out, e);
	}
	if (rc == 0)
		warn_of_missing(&missing);
	strbuf_fini(&missing);
	for (unsigned i = 0; rc < 0 && i < n; i++)
		rdev_close(devs[i]);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_ask.c: questions to a store that is mounted, or not; see store_ask.h.
 *
 * A member's superblock has the UUID of its store, and the process that has the
 * store open has a socket with that in its name.  The superblock is read
 * without any lock: the UUID is the same as long as the store lives.
 */
#include "config.h"

#include "cli/store_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "cli/mounted.h"
#include "cli/progress.h"
#include "cli/store.h"
#include "cli/tool.h"
#include "front/storecmd.h"
#include "front/storedoor.h"
#include "raw/format.h"
#include "raw/open.h"
#include "raw/pool.h"

struct asking {
	struct tool *tool;
	struct progress bar;
	json_t *result;
	bool ended; /* the last line has come */
	int rc;
};

/* --- lines -------------------------------------------------------------------- */

static void
take_line(struct asking *a, const json_t *line)
{
	json_t *progress = json_object_get(line, "progress");
	const char *key = json_string_value(json_object_get(line, "lost"));
	json_t *rc = json_object_get(line, "rc");

	if (progress != NULL)
		progress_set(&a->bar,
		    (uint64_t)json_integer_value(json_array_get(progress, 0)),
		    (uint64_t)json_integer_value(json_array_get(progress, 1)));
	if (key != NULL) {
		progress_erase();
		fprintf(stderr, "pail %s: %s: %s\n", a->tool->usage->verb, key,
		    json_string_value(json_object_get(line, "why")));
	}
	if (rc == NULL)
		return;
	a->ended = true;
	a->rc = (int)json_integer_value(rc);
	if (a->rc < 0)
		err_set(&a->tool->err, a->rc, "%s",
		    json_string_value(json_object_get(line, "error")));
	else
		a->result = json_incref(json_object_get(line, "result"));
}

/* --- a store that a process has open -------------------------------------------- */

static bool
read_uuid(const char *path, uint8_t uuid[16])
{
	static const off_t copies[] = {0, 64 << 10};
	uint8_t sector[RAW_SECTOR];
	struct err e = ERR_INIT;
	struct raw_super s;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool found = false;

	for (unsigned i = 0; fd >= 0 && i < 2 && !found; i++)
		found = pread(fd, sector, sizeof(sector), copies[i]) ==
			(ssize_t)sizeof(sector) &&
		    raw_super_decode(&s, sector, &e) == 0;
	if (fd >= 0)
		close(fd);
	if (found)
		memcpy(uuid, s.pool_uuid, 16);
	return found;
}

/* Of the process that serves a mount point; -ENOENT: path is none. */
static int
connect_mount(const char *path, int *fd)
{
	struct err e = ERR_INIT;
	struct mounted m;
	int rc = mounted_find(&m, path, &e);

	if (rc < 0)
		return -ENOENT;
	rc = mounted_status(&m, &e);
	if (rc == 0)
		rc = storedoor_connect(NULL, m.status.pid, fd, &e);
	mounted_fini(&m);
	return rc;
}

static int
connect_path(const char *path, int *fd, struct err *e)
{
	uint8_t uuid[16];
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode) &&
	    read_uuid(path, uuid))
		return storedoor_connect(uuid, 0, fd, e);
	return connect_mount(path, fd);
}

/* By the first operand that tells.  -ENOENT: no process has the store open. */
static int
find_process(struct tool *t, const struct store_question *q, int *fd)
{
	struct strbuf list = STRBUF_INIT;
	struct err e = ERR_INIT;
	char **paths = NULL;
	unsigned n = 0;
	int rc = store_list_of(t, q->n, q->names, &list);

	if (rc == 0) {
		paths = raw_paths_split(strbuf_text(&list), &n);
		rc = paths != NULL
		    ? -ENOENT
		    : err_set(&t->err, -ENOMEM, "no memory");
	}
	for (unsigned i = 0; rc == -ENOENT && i < n; i++)
		rc = connect_path(paths[i], fd, &e);
	if (rc == -ENOENT && q->also != NULL)
		rc = connect_path(q->also, fd, &e);
	if (rc < 0 && e.rc == rc)
		t->err = e;
	raw_paths_free(paths);
	strbuf_fini(&list);
	return rc;
}

static int
ask_process(struct asking *a, int fd, const json_t *question)
{
	struct err *e = &a->tool->err;
	FILE *f = fdopen(fd, "r");
	char *line = NULL;
	size_t cap = 0;

	if (f == NULL || json_dumpfd(question, fd, JSON_COMPACT) != 0 ||
	    write(fd, "\n", 1) != 1)
		err_errno(e, -errno, "ask the process that has the store open");
	while (e->rc == 0 && !a->ended && getline(&line, &cap, f) > 0) {
		json_error_t why;
		json_t *j = json_loads(line, 0, &why);

		take_line(a, j);
		json_decref(j);
	}
	free(line);
	if (f != NULL)
		fclose(f);
	else
		close(fd);
	if (!a->ended && e->rc == 0)
		err_set(e, -EPIPE,
		    "the process that has the store open gave no answer: it "
		    "has ended, serves too many already, or is another user's");
	return e->rc;
}

/* --- one that nobody has open ----------------------------------------------------- */

static void
say(struct store_cmd *c, const json_t *line)
{
	take_line(c->arg, line);
}

struct local {
	struct store_cmd cmd;
	bool done;
};

static void
done(struct store_cmd *c)
{
	container_of(c, struct local, cmd)->done = true;
}

static int
ask_ourselves(struct asking *a, const struct store_question *q)
{
	struct tool *t = a->tool;
	struct local l = {.cmd = {.loop = t->set.loop,
			      .fileio = t->set.fileio,
			      .say = say,
			      .done = done,
			      .arg = a}};
	struct err e = ERR_INIT;
	int rc;

	if (q->n == 0)
		return err_set(&t->err, -EINVAL,
		    "no process has the store open: name its other members as "
		    "well, before this one");
	rc = store_pool_open(
	    t, q->n, q->names, q->read_only, &l.cmd.pool);

	if (rc < 0)
		return rc;
	store_cmd_start(&l.cmd, q->json);
	rc = loop_run_until(t->set.loop, &l.done);
	if (rc < 0)
		err_errno(&t->err, rc, "event loop");
	else
		rc = a->rc;
	if (pool_close(l.cmd.pool, &e) < 0 && rc == 0) {
		rc = e.rc;
		t->err = e;
	}
	return rc;
}

int
store_ask(struct tool *t, const struct store_question *q, json_t **result)
{
	struct asking a = {.tool = t};
	int fd, rc;

	if (q->json == NULL)
		return err_set(&t->err, -ENOMEM, "no memory");
	rc = find_process(t, q, &fd);
	if (rc == 0 || rc == -ENOENT) {
		bool theirs = rc == 0;

		if (q->title != NULL)
			progress_start(&a.bar, progress_stderr(t->set.quiet),
			    q->title, NULL, 0, 0);
		rc = theirs ? ask_process(&a, fd, q->json)
			    : ask_ourselves(&a, q);
		progress_end(&a.bar);
	}
	json_decref(q->json);
	if (rc == 0 && a.result == NULL)
		rc = err_set(&t->err, -EBADMSG, "the answer is none");
	if (rc == 0)
		*result = a.result;
	else
		json_decref(a.result);
	return rc;
}

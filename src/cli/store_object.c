/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail store get, put, delete: one object of a raw-device store.
 *
 * The last operand is the key, the others name the store.  What get writes has
 * been verified; if the rest cannot be read, a file that it was writing to is
 * removed, so that nobody takes a part for the whole.  What put and delete have
 * answered is durable.  Opening a store for writing writes already, so put and
 * delete look at it read-only first: what is refused then has changed nothing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/parse.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/store.h"
#include "cli/tool.h"
#include "raw/geom.h"
#include "store/store.h"

#define PIECE (4u << 20)

struct object_verb {
	struct tool tool;
	char *file; /* --output, --input */
	bool only_new;
	struct store *store;
	const char *key;
	struct progress bar;
};

/* --- what they share --------------------------------------------------------- */

static int
open_store(struct object_verb *v, char **argv, bool read_only)
{
	struct tool *t = &v->tool;
	char *prefix;
	int rc = store_objects_open(
	    t, t->noperands - 1, argv, read_only, &v->store, &prefix);

	v->key = argv[t->noperands - 1];
	if (rc == 0)
		free(prefix);
	return rc;
}

/* Is it there, and how large? */
static int
look(struct object_verb *v, uint64_t *size)
{
	struct store_req r;
	int rc;

	store_req_init(&r, STORE_HEAD, v->key);
	rc = store_run(v->store, &r, &v->tool.err);
	*size = r.size;
	store_req_fini(&r);
	if (rc == -ENOENT)
		return err_set(&v->tool.err, rc,
		    "%s has no object \"%s\"; 'pail store list' names those "
		    "that it has",
		    v->store->url, v->key);
	return rc;
}

static int
sync_store(struct object_verb *v)
{
	struct store_req r;
	int rc;

	store_req_init(&r, STORE_SYNC, NULL);
	rc = store_run(v->store, &r, &v->tool.err);
	store_req_fini(&r);
	return rc;
}

static int
tell(struct object_verb *v, const char *done, uint64_t size)
{
	struct tool *t = &v->tool;
	char text[FORMAT_MAX];

	if (t->json)
		return tool_print_json(
		    json_pack("{s:s, s:I}", "key", v->key, "size",
			(json_int_t)size),
		    stdout, &t->err);
	if (!t->set.quiet)
		printf("%s: %s, %s\n", v->key, done, format_size(text, size));
	return 0;
}

/* --- get ------------------------------------------------------------------------ */

static const struct conf_opt get_opts[] = {
    {"output", 'o', CONF_STRING, CONF_AT(struct object_verb, file),
	.arg = "FILE", .group = "Get",
	.help = "write it there (default: to standard output)"},
    {NULL}};

static const struct tool_usage get_usage = {
    .verb = "store get",
    .operands = "PATH... KEY",
    .about = "Read an object of a store that is not mounted. Its bytes are\n"
	     "verified before they are written.",
    .examples = "  pail store get /srv/pail.img disk/pail-volume\n"
		"  pail store get /dev/sdb /dev/sdc disk/00000000 -o block\n",
    .own = get_opts,
    .nmin = 2,
    .nmax = RAW_MAX_MEMBERS + 1,
};

static int
write_out(struct object_verb *v, int fd, const struct buf *b)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(&v->tool.err, n < 0 ? -errno : -EIO,
			    "write %s", v->file ? v->file : "standard output");
		done += (size_t)n;
	}
	return 0;
}

static int
get_pieces(struct object_verb *v, int fd, uint64_t size)
{
	struct buf *b = buf_new(PIECE);
	uint64_t off = 0;
	int rc = b ? 0 : err_set(&v->tool.err, -ENOMEM, "no memory");

	while (rc == 0 && off < size) {
		struct store_req r;

		store_req_init(&r, STORE_GET, v->key);
		r.body = b;
		r.range_off = off;
		r.range_len = size - off < PIECE ? size - off : PIECE;
		rc = store_run(v->store, &r, &v->tool.err);
		store_req_fini(&r);
		if (rc == 0)
			rc = write_out(v, fd, b);
		off += r.range_len;
		progress_set(&v->bar, off, size);
	}
	buf_unref(b);
	return rc;
}

static int
get(struct object_verb *v)
{
	uint64_t size;
	int fd = STDOUT_FILENO, rc = look(v, &size);

	if (rc < 0)
		return rc;
	if (v->file) {
		fd = open(v->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0666);
		if (fd < 0)
			return err_errno(
			    &v->tool.err, -errno, "open %s", v->file);
	}
	progress_start(&v->bar,
	    progress_stderr(v->tool.set.quiet || (!v->file && isatty(1))),
	    "Reading", NULL, 0, size);
	rc = get_pieces(v, fd, size);
	progress_end(&v->bar);
	if (v->file && close(fd) < 0 && rc == 0)
		rc = err_errno(&v->tool.err, -errno, "write %s", v->file);
	if (v->file && rc < 0)
		unlink(v->file);
	return rc;
}

int
store_get_run(int argc, char **argv)
{
	struct object_verb v = {0};
	int rc, status = tool_begin(&v.tool, &get_usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("the file is not whole");
	rc = tool_start(&v.tool);
	if (rc == 0)
		rc = open_store(&v, argv + 1, true);
	if (rc == 0) {
		rc = get(&v);
		store_free(v.store);
	}
	return tool_end(&v.tool, rc);
}

/* --- put ------------------------------------------------------------------------ */

static const struct conf_opt put_opts[] = {
    {"input", 'i', CONF_STRING, CONF_AT(struct object_verb, file),
	.arg = "FILE", .group = "Put",
	.help = "read it from there (default: from standard input)"},
    {"new", 0, CONF_FLAG, CONF_AT(struct object_verb, only_new),
	.help = "only if there is no such object yet"},
    {NULL}};

static const struct tool_usage put_usage = {
    .verb = "store put",
    .operands = "PATH... KEY",
    .about = "Write an object of a store that is not mounted, whole. When it\n"
	     "returns the object is durable.",
    .examples = "  pail store put /srv/pail.img notes/today < today.txt\n"
		"  pail store put --new /dev/sdb /dev/sdc key --input FILE\n",
    .own = put_opts,
    .json = true,
    .nmin = 2,
    .nmax = RAW_MAX_MEMBERS + 1,
};

/* All of fd; at most what an object may have. */
static int
read_in(struct object_verb *v, int fd, struct buf **out)
{
	const char *name = v->file ? v->file : "standard input";
	uint64_t most = v->store->info.max_object;
	size_t cap = PIECE, len = 0;
	struct buf *b = buf_new(cap);
	char size[FORMAT_MAX];

	for (;;) {
		ssize_t n;

		if (b && len == cap && cap <= most) {
			struct buf *more = buf_new(2 * cap);

			if (more)
				memcpy(more->data, b->data, len);
			buf_unref(b);
			b = more;
			cap *= 2;
		}
		if (!b)
			return err_set(&v->tool.err, -ENOMEM, "no memory");
		n = read(fd, b->data + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		if (n > 0 && len <= most)
			continue;
		buf_unref(b);
		if (n < 0)
			return err_errno(&v->tool.err, -errno, "read %s", name);
		return err_set(&v->tool.err, -EFBIG,
		    "%s has more than %s, the most that an object may have; "
		    "nothing was written",
		    name, format_size(size, most));
	}
	b->len = len;
	*out = b;
	return 0;
}

static int
read_input(struct object_verb *v, struct buf **out)
{
	int fd = STDIN_FILENO, rc;

	if (v->file) {
		fd = open(v->file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_errno(
			    &v->tool.err, -errno, "open %s", v->file);
	}
	rc = read_in(v, fd, out);
	if (v->file)
		close(fd);
	return rc;
}

static int
not_new(struct object_verb *v)
{
	return err_set(&v->tool.err, -EEXIST,
	    "%s has an object \"%s\" already; it was not changed",
	    v->store->url, v->key);
}

/* Everything that can be refused, of a store that was opened read-only. */
static int
prepare_put(struct object_verb *v, struct buf **out)
{
	struct store_req r;
	int rc;

	if (v->only_new) {
		store_req_init(&r, STORE_HEAD, v->key);
		rc = store_run(v->store, &r, &v->tool.err);
		store_req_fini(&r);
		if (rc == 0)
			return not_new(v);
		if (rc != -ENOENT)
			return rc;
	}
	return read_input(v, out);
}

static int
put_object(struct object_verb *v, struct buf *b)
{
	struct store_req r;
	int rc;

	store_req_init(&r, STORE_PUT, v->key);
	r.body = b;
	r.if_absent = v->only_new;
	rc = store_run(v->store, &r, &v->tool.err);
	store_req_fini(&r);
	if (rc == -EEXIST)
		return not_new(v);
	if (rc == 0)
		rc = sync_store(v);
	return rc < 0 ? rc : tell(v, "written", b->len);
}

static int
put(struct object_verb *v, char **argv)
{
	struct buf *b = NULL;
	int rc = open_store(v, argv, true);

	if (rc < 0)
		return rc;
	rc = prepare_put(v, &b);
	store_free(v->store);
	if (rc == 0)
		rc = open_store(v, argv, false);
	if (rc == 0) {
		rc = put_object(v, b);
		store_free(v->store);
	}
	buf_unref(b);
	return rc;
}

int
store_put_run(int argc, char **argv)
{
	struct object_verb v = {0};
	int rc, status = tool_begin(&v.tool, &put_usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("the object is as it was, or whole");
	rc = tool_start(&v.tool);
	if (rc == 0)
		rc = put(&v, argv + 1);
	return tool_end(&v.tool, rc);
}

/* --- delete --------------------------------------------------------------------- */

static const struct conf_opt delete_opts[] = {{NULL}};

static const struct tool_usage delete_usage = {
    .verb = "store delete",
    .operands = "PATH... KEY",
    .about = "Delete an object of a store that is not mounted. To delete a\n"
	     "volume use 'pail erase'.",
    .examples = "  pail store delete /srv/pail.img notes/today\n",
    .own = delete_opts,
    .json = true,
    .nmin = 2,
    .nmax = RAW_MAX_MEMBERS + 1,
};

static int
delete_object(struct object_verb *v, char **argv)
{
	struct store_req r;
	uint64_t size;
	int rc = open_store(v, argv, true);

	if (rc < 0)
		return rc;
	rc = look(v, &size);
	store_free(v->store);
	if (rc == 0)
		rc = open_store(v, argv, false);
	if (rc < 0)
		return rc;
	store_req_init(&r, STORE_DELETE, v->key);
	rc = store_run(v->store, &r, &v->tool.err);
	store_req_fini(&r);
	if (rc == 0)
		rc = sync_store(v);
	store_free(v->store);
	return rc < 0 ? rc : tell(v, "deleted", size);
}

int
store_delete_run(int argc, char **argv)
{
	struct object_verb v = {0};
	int rc, status = tool_begin(&v.tool, &delete_usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("the object is there still, or gone");
	rc = tool_start(&v.tool);
	if (rc == 0)
		rc = delete_object(&v, argv + 1);
	return tool_end(&v.tool, rc);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail copy: which two ends, whether the destination may be written, and what
 * to say at the end.  copy_run.c moves the bytes.
 *
 * The source is opened first: its size is what a new destination gets.  A
 * destination that has data is refused before anything of it is changed, unless
 * --force or --resume says what to do with it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "cli/copy_end.h"
#include "cli/copy_run.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/tool.h"
#include "layout/layout.h"
#include "store/raw.h"

#define BLOCK_SIZE_NEW (128U * 1024)

struct copy_verb {
	struct tool tool;
	bool resume;
	char *source_password_file;
	uint64_t jobs;

	const char *names[2];
	struct tool_place place[2]; /* of those that are volumes */
	struct copy_end *end[2];
	bool one_store; /* both ends are in the same raw: store */
	char source_password[sizeof(((struct settings *)0)->password)];
	struct copy_result result;
	double seconds;
};
enum { SRC, DST };

static const struct conf_opt own[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Copy",
	.help = "overwrite what is in DST"},
    {"resume", 0, CONF_FLAG, CONF_AT(struct copy_verb, resume),
	.help = "read what is in DST and write only what differs"},
    {"jobs", 'j', CONF_UINT, CONF_AT(struct copy_verb, jobs), .min = 1,
	.max = 1024, .help = "copy so many pieces at a time (64)"},
    {"source-password-file", 0, CONF_PATH,
	CONF_AT(struct copy_verb, source_password_file),
	.group = "Encryption",
	.help = "the password of SRC, if it is not the one of DST"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "copy",
    .operands = "SRC DST",
    .about =
	"Copy a volume, an image file, a block device or standard input to\n"
	"another.  Holes and zeros are neither read nor written.  A volume DST\n"
	"that does not exist is created.",
    .examples = "  pail copy disk.img s3://my-bucket/disk\n"
		"  pail copy s3://my-bucket/disk restored.img\n"
		"  pail copy s3://my-bucket/disk - | zstd >disk.img.zst\n"
		"  pail copy s3://my-bucket/disk s3://other/disk --resume\n",
    .own = own,
    .groups = SETTINGS_STORE | SETTINGS_OPEN | SETTINGS_CREATE,
    .json = true,
    .nmin = 2,
    .nmax = 2,
};

/* --- the ends ------------------------------------------------------------------ */

enum kind { KIND_PIPE, KIND_VOLUME, KIND_FILE };

/* "name:" at its beginning makes a URL; "./" and "/" never do. */
static enum kind
kind_of(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");

	if (strcmp(name, "-") == 0)
		return KIND_PIPE;
	return n > 1 && name[n] == ':' ? KIND_VOLUME : KIND_FILE;
}

static int
open_volume_end(struct copy_verb *c, int which)
{
	return copy_volume_open(c->tool.set.loop, c->place[which].layout,
	    c->names[which], &c->end[which], &c->tool.err);
}

static int
open_source_volume(struct copy_verb *c)
{
	struct tool *t = &c->tool;
	struct layout_params p = t->set.volume.layout;
	int rc = 0;

	p.size = 0;
	p.block_size = 0;
	p.compress = p.cipher = NULL;
	p.password = NULL; /* only if it turns out to be encrypted */
	p.survey = true;
	p.lease = LEASE_READER;
	if (c->source_password_file != NULL) {
		rc = secret_read_line(c->source_password_file,
		    "password file", c->source_password,
		    sizeof(c->source_password), &t->err);
		p.password = c->source_password;
	}
	if (rc == 0)
		rc = tool_store(t, &c->place[SRC], c->names[SRC],
		    c->one_store ? TOOL_WRITES : TOOL_READS, &t->err);
	if (rc == 0)
		rc = tool_layout(t, &c->place[SRC], &p, "Listing", &t->err);
	return rc < 0 ? rc : open_volume_end(c, SRC);
}

static int
open_source(struct copy_verb *c)
{
	struct settings *s = &c->tool.set;
	struct err *e = &c->tool.err;

	switch (kind_of(c->names[SRC])) {
	case KIND_PIPE:
		return copy_pipe_open(s->loop, s->pool, STDIN_FILENO,
		    "standard input", &c->end[SRC], e);
	case KIND_VOLUME:
		return open_source_volume(c);
	default:
		return copy_file_open(s->loop, s->pool, c->names[SRC],
		    COPY_FILE_READ, 0, &c->end[SRC], e);
	}
}

/* The volume was not there: make it. */
static int
create_destination(struct copy_verb *c, struct layout_params *p)
{
	struct settings *s = &c->tool.set;
	uint64_t size = c->end[SRC]->size, bs = s->block_size;

	if (size == COPY_SIZE_UNKNOWN && s->size == 0)
		return err_set(&c->tool.err, -EINVAL,
		    "%s does not exist, and standard input does not say how "
		    "large it will be: give --size", c->names[DST]);
	if (bs == 0)
		bs = BLOCK_SIZE_NEW;
	if (s->size != 0)
		size = s->size;
	p->size = (size + bs - 1) / bs * bs;
	p->block_size = (uint32_t)bs;
	p->compress = s->compress;
	p->cipher = s->cipher;
	p->password = s->cipher != NULL ? s->password : NULL;
	p->create = p->must_create = true;
	err_clear(&c->tool.err);
	return tool_layout(&c->tool, &c->place[DST], p, "Listing",
	    &c->tool.err);
}

/* It was there. */
static int
check_destination(struct copy_verb *c)
{
	const struct layout_info *is = layout_info(c->place[DST].layout);
	uint64_t n = layout_count_present(c->place[DST].layout);
	uint64_t size = c->tool.set.size;
	char text[FORMAT_MAX];

	/* A copy that goes on has the size that it was started with. */
	if (size != 0 &&
	    (size + is->block_size - 1) / is->block_size * is->block_size !=
		is->size)
		return err_set(&c->tool.err, -EINVAL,
		    "%s: the volume has %" PRIu64 " bytes, not --size %" PRIu64,
		    c->names[DST], is->size, size);
	if (n == 0 || c->tool.force || c->resume)
		return 0;
	return err_set(&c->tool.err, -EEXIST,
	    "%s has data (%s blocks): --force overwrites it, --resume goes on "
	    "with a copy that was stopped", c->names[DST],
	    format_count(text, n));
}

static int
open_destination_volume(struct copy_verb *c)
{
	struct tool *t = &c->tool;
	struct layout_params p = t->set.volume.layout;
	int rc = tool_store(t, &c->place[DST], c->names[DST],
	    TOOL_CREATES, &t->err);

	if (rc < 0)
		return rc;
	p.size = 0;
	if (p.cipher == NULL)
		p.password = NULL; /* only if it turns out to be encrypted */
	p.survey = true;
	p.lease = LEASE_WRITER;
	rc = tool_layout(t, &c->place[DST], &p, "Listing", &t->err);
	if (rc == -ENOENT)
		rc = create_destination(c, &p);
	else if (rc == 0)
		rc = check_destination(c);
	return rc < 0 ? rc : open_volume_end(c, DST);
}

static int
open_destination_file(struct copy_verb *c)
{
	struct tool *t = &c->tool;
	int rc = copy_file_open(t->set.loop, t->set.pool, c->names[DST],
	    t->force	    ? COPY_FILE_OVERWRITE
		: c->resume ? COPY_FILE_UPDATE
			    : COPY_FILE_CREATE,
	    c->end[SRC]->size, &c->end[DST], &t->err);

	if (rc == -EEXIST)
		err_set(&t->err, rc,
		    "%s is there: --force overwrites it, --resume writes only "
		    "what differs", c->names[DST]);
	return rc;
}

static int
open_destination(struct copy_verb *c)
{
	struct settings *s = &c->tool.set;

	switch (kind_of(c->names[DST])) {
	case KIND_PIPE:
		if (isatty(STDOUT_FILENO))
			return err_set(&c->tool.err, -EINVAL,
			    "standard output is a terminal: send it to a pipe "
			    "or a file");
		return copy_pipe_open(s->loop, s->pool, STDOUT_FILENO,
		    "standard output", &c->end[DST], &c->tool.err);
	case KIND_VOLUME:
		return open_destination_volume(c);
	default:
		return open_destination_file(c);
	}
}

/* Options of a volume that is made, and no volume can be. */
static int
check_options(struct copy_verb *c)
{
	struct settings *s = &c->tool.set;
	const char *option = s->size != 0   ? "size"
	    : s->block_size != 0	    ? "block-size"
	    : s->compress != NULL	    ? "compress"
	    : s->compress_level != NULL	    ? "compress-level"
	    : s->cipher != NULL		    ? "encrypt"
					    : NULL;

	if (option != NULL && kind_of(c->names[DST]) != KIND_VOLUME)
		return err_set(&c->tool.err, -EINVAL,
		    "--%s is for a volume that is made, and has no effect on "
		    "%s", option, c->names[DST]);
	if (c->source_password_file != NULL &&
	    kind_of(c->names[SRC]) != KIND_VOLUME)
		return err_set(&c->tool.err, -EINVAL,
		    "--source-password-file is for a volume, and has no effect "
		    "on %s", c->names[SRC]);
	return 0;
}

/* Two volumes of one raw: store are copied with that open once. */
static int
check_urls(struct copy_verb *c)
{
	struct err *e = &c->tool.err;
	struct url a = {0}, b = {0};
	int rc = tool_url(&c->tool, &a, c->names[SRC], e);

	if (rc == 0)
		rc = tool_url(&c->tool, &b, c->names[DST], e);
	if (rc == 0)
		c->one_store = strcmp(a.scheme, "raw") == 0 &&
		    strcmp(b.scheme, "raw") == 0 && raw_store_same(&a, &b);
	if (rc == 0 && c->one_store && strcmp(a.prefix, b.prefix) == 0)
		rc = err_set(e, -EINVAL, "%s and %s are the same volume",
		    c->names[SRC], c->names[DST]);
	url_fini(&a);
	url_fini(&b);
	return rc;
}

static int
check_names(struct copy_verb *c)
{
	enum kind src = kind_of(c->names[SRC]), dst = kind_of(c->names[DST]);
	struct stat a, b;
	bool same =
	    strcmp(c->names[SRC], c->names[DST]) == 0 && src != KIND_PIPE;

	if (src == KIND_FILE && dst == KIND_FILE &&
	    stat(c->names[SRC], &a) == 0 && stat(c->names[DST], &b) == 0)
		same = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	if (same)
		return err_set(&c->tool.err, -EINVAL,
		    "%s and %s are the same", c->names[SRC], c->names[DST]);
	return src == KIND_VOLUME && dst == KIND_VOLUME ? check_urls(c) : 0;
}

/* --- copying and telling ------------------------------------------------------------- */

static int
copy_bytes(struct copy_verb *c)
{
	struct progress bar;
	struct copy_params p = {.src = c->end[SRC],
	    .dst = c->end[DST],
	    .jobs = (unsigned)c->jobs,
	    .compare = c->resume,
	    .progress = &bar,
	    .stop = interrupted};
	int rc;

	progress_start(&bar, progress_stderr(c->tool.set.quiet), "Copying",
	    NULL, 0, 0);
	interrupt_defer(true);
	rc = copy_run(&p, &c->result, &c->tool.err);
	interrupt_defer(false);
	c->seconds = progress_elapsed(&bar);
	progress_end(&bar);
	if (rc < 0 && !interrupted() && kind_of(c->names[DST]) != KIND_PIPE)
		err_wrap(&c->tool.err, rc,
		    "%s is not complete (--resume goes on with it)",
		    c->names[DST]);
	return rc;
}

static int
tell(struct copy_verb *c)
{
	const struct copy_result *r = &c->result;
	FILE *f = kind_of(c->names[DST]) == KIND_PIPE ? stderr : stdout;
	char size[FORMAT_MAX], written[FORMAT_MAX], time[FORMAT_MAX];
	char same[FORMAT_MAX], rate[FORMAT_MAX];

	if (c->tool.json)
		return tool_print_json(
		    json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "source",
			c->names[SRC], "destination", c->names[DST], "size",
			(json_int_t)r->size, "bytes_written",
			(json_int_t)r->written, "bytes_same",
			(json_int_t)r->same, "bytes_holes",
			(json_int_t)r->holes, "seconds", c->seconds),
		    f, &c->tool.err);
	if (c->tool.set.quiet)
		return 0;
	fprintf(f, "%s: %s copied", c->names[DST], format_size(size, r->size));
	fprintf(f, ", %s written", format_size(written, r->written));
	if (c->resume)
		fprintf(f, ", %s were there", format_size(same, r->same));
	if (r->size > r->written + r->same)
		fprintf(f, ", the rest is zeros");
	fprintf(f, "; %s",
	    format_duration(time, (int64_t)(c->seconds * (double)NS_PER_S)));
	if (c->seconds > 0.1)
		fprintf(f, ", %s",
		    format_rate(rate,
			(double)(r->written + r->same) / c->seconds));
	fprintf(f, "\n");
	return 0;
}

static int
copy_close(struct copy_verb *c, int rc)
{
	for (int i = 0; i < 2; i++)
		copy_end_close(c->end[i]);
	for (int i = 0; i < 2; i++)
		rc = tool_place_close(&c->place[i], rc, &c->tool.err);
	explicit_bzero(c->source_password, sizeof(c->source_password));
	return rc;
}

static int
run(int argc, char **argv)
{
	struct copy_verb c = {0};
	struct tool *t = &c.tool;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	if (t->force && c.resume)
		return tool_usage_error(
		    t, "--force and --resume contradict each other");
	interrupt_install("--resume goes on with what is left");
	c.names[SRC] = argv[1];
	c.names[DST] = argv[2];
	if (check_options(&c) < 0)
		return tool_usage_error(t, "%s", err_text(&t->err));
	rc = check_names(&c);
	if (rc == 0)
		rc = tool_start(t);
	if (rc == 0)
		rc = open_source(&c);
	if (rc == 0)
		rc = open_destination(&c);
	if (rc == 0)
		rc = copy_bytes(&c);
	rc = copy_close(&c, rc);
	if (rc == 0)
		rc = tell(&c);
	if (rc == -EEXIST) {
		tool_end(t, rc);
		return CLI_REFUSED;
	}
	if (rc == -ECANCELED && interrupted())
		rc = CLI_STOPPED; /* it was said */
	return tool_end(t, rc);
}

const struct verb verb_copy = {
    .name = "copy",
    .summary = "copy a volume, an image or a device to another",
    .run = run,
};

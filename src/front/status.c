/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a mount as text and as JSON, both ways.
 *
 * One table names the fields, so that writing and reading cannot disagree.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stat.h"
#include "base/strbuf.h"
#include "cache/cache.h"
#include "journal/journal.h"
#include "front/status.h"
#include "layout/layout.h"
#include "volume/volume.h"

enum kind { TEXT, BOOL, I32, U32, U64, I64 };

#define FIELD(kind, name) \
	{ \
		#name, kind, offsetof(struct status, name), \
		    sizeof(((struct status *)0)->name) \
	}
static const struct field {
	const char *name;
	enum kind kind;
	size_t at, size;
} fields[] = {
	FIELD(TEXT, state),
	FIELD(TEXT, version),
	FIELD(I32, pid),
	FIELD(TEXT, control),
	FIELD(I32, holder_pid),
	FIELD(TEXT, holder),
	FIELD(BOOL, survives_crash),
	FIELD(U64, unflushed_bytes),
	FIELD(U32, crashes),
	FIELD(U32, upgrades),
	FIELD(TEXT, url),
	FIELD(TEXT, dir),
	FIELD(TEXT, file),
	FIELD(I64, since_wall_ns),
	FIELD(BOOL, read_only),
	FIELD(U64, size),
	FIELD(U32, block_size),
	FIELD(U64, used),
	FIELD(BOOL, survey_done),
	FIELD(U64, dirty_bytes),
	FIELD(U64, journal_only_bytes),
	FIELD(U64, dirty_blocks),
	FIELD(U64, uploading_blocks),
	FIELD(U64, clean_bytes),
	FIELD(U64, memory_bytes),
	FIELD(I64, oldest_dirty_ns),
	FIELD(U64, upload_bytes_per_s),
	FIELD(I64, drain_ns),
	FIELD(TEXT, journal),
	FIELD(TEXT, journal_state),
	FIELD(U64, journal_bytes),
	FIELD(U64, journal_used_bytes),
	FIELD(U64, journal_flushes),
	FIELD(I32, error),
	FIELD(TEXT, error_text),
	FIELD(I64, error_since_wall_ns),
};
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

static void
collect_journal(struct status *s, const struct journal *j)
{
	struct journal_status js = {0};

	if (j != NULL)
		journal_get_status(j, &js);
	snprintf(s->journal, sizeof(s->journal), "%s",
	    j != NULL ? js.path : "");
	snprintf(s->journal_state, sizeof(s->journal_state), "%s",
	    j == NULL ? "none" : js.failed ? "failed" : "in use");
	s->journal_bytes = js.bytes;
	s->journal_used_bytes = js.used;
	s->journal_flushes = js.flushes;
}

void
status_collect(struct status *s, struct volume *v)
{
	const struct layout_info *info = layout_info(volume_layout(v));
	struct cache_status c;

	cache_get_status(volume_cache(v), &c);
	snprintf(s->version, sizeof(s->version), "%s", PACKAGE_VERSION);
	snprintf(s->url, sizeof(s->url), "%s", volume_url(v));
	s->read_only = info->read_only;
	s->size = volume_size(v);
	s->block_size = volume_block_size(v);
	s->used = volume_used(v);
	s->survey_done = layout_survey_done(volume_layout(v));
	s->dirty_bytes = c.dirty_bytes;
	s->journal_only_bytes = c.spilled_bytes;
	s->dirty_blocks = c.dirty_blocks;
	s->uploading_blocks = c.uploading_blocks;
	s->clean_bytes = c.clean_bytes;
	s->memory_bytes = c.memory_bytes;
	s->oldest_dirty_ns = c.oldest_dirty_ns;
	s->upload_bytes_per_s = c.upload_bytes_per_s;
	s->drain_ns = c.dirty_bytes > 0 && c.upload_bytes_per_s > 0 ?
	    (int64_t)((double)c.dirty_bytes / (double)c.upload_bytes_per_s *
		(double)NS_PER_S) : 0;
	collect_journal(s, volume_journal(v));
	if (c.rc == 0)
		s->error_since_wall_ns = 0;
	else if (s->error_since_wall_ns == 0)
		s->error_since_wall_ns = clock_wall_ns();
	s->error = c.rc;
	snprintf(s->error_text, sizeof(s->error_text), "%s",
	    c.rc != 0 ? err_text(&c.err) : "");
}

/* --- writing ------------------------------------------------------------ */

static int64_t
field_number(const struct status *s, const struct field *d)
{
	const char *p = (const char *)s + d->at;

	switch (d->kind) {
	case BOOL:
		return *(const bool *)p;
	case I32:
		return *(const int *)p;
	case U32:
		return *(const uint32_t *)p;
	case U64:
	case I64:
		return *(const int64_t *)p;
	case TEXT:
		break;
	}
	return 0;
}

void
status_text(const struct status *s, const struct stat_set *counters,
    struct strbuf *out)
{
	for (size_t i = 0; i < NFIELDS; i++) {
		const struct field *d = &fields[i];
		const char *p = (const char *)s + d->at;

		if (d->kind == TEXT)
			strbuf_printf(out, "%-24s %s\n", d->name,
			    *p != '\0' ? p : "-");
		else if (d->kind == BOOL)
			strbuf_printf(out, "%-24s %s\n", d->name,
			    *(const bool *)p ? "yes" : "no");
		else
			strbuf_printf(out, "%-24s %" PRId64 "\n", d->name,
			    field_number(s, d));
	}
	strbuf_putc(out, '\n');
	stat_text(counters, out);
}

static json_t *
field_json(const struct status *s, const struct field *d)
{
	const char *p = (const char *)s + d->at;

	if (d->kind == BOOL)
		return json_boolean(*(const bool *)p);
	if (d->kind != TEXT)
		return json_integer(field_number(s, d));

	json_t *j = json_string(p);

	if (j != NULL)
		return j;
	/* Not UTF-8 (a path may be anything): keep what is ASCII. */
	char safe[PATH_MAX];
	size_t n = 0;

	for (; *p != '\0' && n < sizeof(safe) - 1; p++)
		safe[n++] = (unsigned char)*p < 0x80 ? *p : '?';
	safe[n] = '\0';
	return json_string(safe);
}

void
status_json(const struct status *s, const struct stat_set *counters,
    struct strbuf *out)
{
	json_t *o = json_object();
	int rc = o != NULL ? 0 : -1;

	for (size_t i = 0; i < NFIELDS && rc == 0; i++)
		rc = json_object_set_new(
		    o, fields[i].name, field_json(s, &fields[i]));
	if (rc == 0)
		rc = json_object_set_new(o, "counters", stat_json(counters));

	char *text = rc == 0 ? json_dumps(o, JSON_INDENT(2)) : NULL;

	if (text == NULL) {
		out->failed = true;
	} else {
		strbuf_puts(out, text);
		strbuf_putc(out, '\n');
	}
	free(text);
	json_decref(o);
}

/* --- reading ---------------------------------------------------------------- */

static void
field_read(struct status *s, const struct field *d, const json_t *j)
{
	char *p = (char *)s + d->at;
	json_int_t n = json_integer_value(j); /* 0 if it is none */

	switch (d->kind) {
	case TEXT:
		if (json_is_string(j))
			snprintf(p, d->size, "%s", json_string_value(j));
		break;
	case BOOL:
		*(bool *)p = json_is_true(j);
		break;
	case I32:
		*(int *)p = n < INT_MIN || n > INT_MAX ? 0 : (int)n;
		break;
	case U32:
		*(uint32_t *)p =
		    n < 0 || n > UINT32_MAX ? 0 : (uint32_t)n;
		break;
	case U64:
	case I64:
		*(int64_t *)p = n;
		break;
	}
}

int
status_parse(const char *text, size_t len, struct status *s,
    struct json_t **counters, struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(text, len, 0, &why);

	memset(s, 0, sizeof(*s));
	if (counters != NULL)
		*counters = NULL;
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(e, -EBADMSG,
		    "the status is not a JSON object: line %d: %s", why.line,
		    why.text);
	}
	for (size_t i = 0; i < NFIELDS; i++)
		field_read(s, &fields[i],
		    json_object_get(o, fields[i].name));
	if (counters != NULL)
		*counters = json_incref(json_object_get(o, "counters"));
	json_decref(o);
	return 0;
}

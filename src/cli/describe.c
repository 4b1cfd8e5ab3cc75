/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a volume is, in words and as JSON.
 *
 * The lease is looked at once more than layout_inspect does it, to have its
 * parts: that is one request, and JSON gets host, process and time apart.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "cli/describe.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/open.h"
#include "store/store.h"

int
describe_look(struct describe *d, struct store *s, const struct url *u,
    struct err *e)
{
	int rc;

	memset(d, 0, sizeof(*d));
	rc = layout_inspect(s, u->prefix, &d->facts, e);
	if (rc < 0)
		return rc;
	if (d->facts.kind == VOLUME_NONE)
		return err_set(e, -ENOENT,
		    "%s: there is no volume; 'pail list' finds those that are "
		    "in a bucket or directory", u->text);
	return d->facts.mounted ? lease_look(s, u->prefix, &d->lease, e) : 0;
}

char *
describe_encoding(char *buf, const struct volume_facts *f)
{
	bool encrypted = f->cipher[0] != '\0';

	if (encrypted && f->compress == COMPRESS_NONE)
		snprintf(buf, DESCRIBE_ENCODING_MAX, "encrypt-%.40s",
		    f->cipher);
	else
		snprintf(buf, DESCRIBE_ENCODING_MAX, "%s%s%.40s",
		    compress_name(f->compress), encrypted ? ", encrypt-" : "",
		    f->cipher);
	return buf;
}

char *
describe_url(const struct url *u, const char *prefix)
{
	struct strbuf b = STRBUF_INIT;
	int n = (int)strlen(prefix);

	/* The slash that ends a prefix is understood. */
	if (n > 0 && prefix[n - 1] == '/')
		n--;
	if (strcmp(u->scheme, "s3") == 0)
		strbuf_printf(&b, "s3://%s%s%.*s", u->path, n > 0 ? "/" : "",
		    n, prefix);
	else
		strbuf_printf(&b, "%s:%s%s%.*s", u->scheme, u->path,
		    n > 0 ? "?volume=" : "", n, prefix);
	return strbuf_take(&b);
}

/* --- JSON -------------------------------------------------------------------- */

static json_t *
json_text(const char *s)
{
	return *s == '\0' ? json_null() : json_string(s);
}

static json_t *
json_lease(const struct describe *d)
{
	const struct lease_owner *o = &d->lease.owner;

	if (!d->facts.mounted)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:b}", "by",
	    d->facts.mounted_by, "host", json_text(o->host), "since",
	    json_text(o->when), "process",
	    o->pid > 0 ? json_integer(o->pid) : json_null(), "gone",
	    d->facts.mounted_gone);
}

json_t *
describe_json(const struct describe *d, const char *url)
{
	const struct volume_facts *f = &d->facts;
	char encoding[DESCRIBE_ENCODING_MAX];
	json_t *j = json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:s, s:b, s:o, "
			      "s:b, s:o}",
	    "url", url, "uuid", json_text(f->uuid), "format",
	    f->kind == VOLUME_DESCRIBED ? "pail" : "s3backer", "size",
	    (json_int_t)f->size, "block_size", (json_int_t)f->block_size,
	    "blocks",
	    (json_int_t)(f->block_size > 0 ? f->size / f->block_size : 0),
	    "encoding", describe_encoding(encoding, f), "encrypted",
	    f->cipher[0] != '\0', "created",
	    f->created_s > 0 ? json_integer(f->created_s) : json_null(),
	    "block_hash_prefix", f->hashed, "mounted", json_lease(d));

	if (j != NULL && d->counted &&
	    (json_object_set_new(j, "blocks_present",
		 json_integer((json_int_t)d->present)) != 0 ||
		json_object_set_new(j, "bytes_stored",
		    json_integer((json_int_t)d->stored)) != 0)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

/* --- words ----------------------------------------------------------------------- */

static void
print_blocks(const struct describe *d, struct table *t)
{
	const struct volume_facts *f = &d->facts;
	uint64_t n = f->block_size > 0 ? f->size / f->block_size : 0;
	char a[FORMAT_MAX], b[FORMAT_MAX];

	table_cell(t, "blocks");
	if (!d->counted) {
		table_cell(t, format_count(a, n));
		return;
	}
	table_cellf(t, "%s, of which %s have an object", format_count(a, n),
	    format_count(b, d->present));
	table_cell(t, "stored");
	table_cell(t, format_size(a, d->stored));
}

static void
print_lease(const struct describe *d, struct table *t)
{
	const struct volume_facts *f = &d->facts;

	table_cell(t, "mounted");
	if (!f->mounted)
		table_cell(t, "no");
	else
		table_cellf(t, "%s%s", f->mounted_by,
		    f->mounted_gone ? ", which is gone" : "");
}

int
describe_print(const struct describe *d, const char *url, FILE *f)
{
	static const char *const heads[] = {"", "", NULL};
	const struct volume_facts *v = &d->facts;
	char a[FORMAT_MAX], encoding[DESCRIBE_ENCODING_MAX];
	char time[TEXT_TIME_MAX];
	struct table t;
	int rc;

	table_init(&t, heads);
	table_cell(&t, "volume");
	table_cell(&t, url);
	table_cell(&t, "size");
	table_cellf(&t, "%s (%" PRIu64 " bytes)", format_size(a, v->size),
	    v->size);
	table_cell(&t, "block size");
	table_cell(&t, format_size(a, v->block_size));
	print_blocks(d, &t);
	table_cell(&t, "encoding");
	table_cell(&t, describe_encoding(encoding, v));
	table_cell(&t, "names");
	table_cell(&t, v->hashed ? "with hash" : "plain");
	table_cell(&t, "format");
	table_cell(&t, v->kind == VOLUME_DESCRIBED
		? "s3backer, with pail's descriptor"
		: "s3backer");
	if (v->uuid[0] != '\0') {
		table_cell(&t, "uuid");
		table_cell(&t, v->uuid);
	}
	table_cell(&t, "created");
	table_cell(&t, text_time(time, v->created_s * NS_PER_S));
	print_lease(d, &t);
	rc = table_print(&t, f);
	table_fini(&t);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml.c: ListBucketResult, DeleteResult, Error and the keys of STS by expat.
 *
 * One walker keeps the path of element names and the text of the innermost
 * element; when an element ends, the document's own function gets its name,
 * the name of its parent, and its text.  Namespaces are ignored: servers
 * disagree about them.
 *
 * Keys come percent-encoded when we asked for it and the server knows that
 * (EncodingType says so, sometimes after the keys): they are kept as they come
 * and decoded at the end.
 *
 * Fuzzed by tests/fuzz/fuzz_s3xml.c.
 */
#include "s3/xml.h"

#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "s3/encode.h"

#define NAME_MAX_LEN 40

struct walk {
	XML_Parser parser;
	char path[S3_XML_DEPTH + 1][NAME_MAX_LEN]; /* [1] is the root */
	unsigned depth;
	struct strbuf text;
	int rc; /* why it stopped */
	const char *why;
	void (*begin)(struct walk *w, const char *name, const char *parent);
	void (*end)(struct walk *w, const char *name, const char *parent,
	    const char *text);
	void *arg;
};

static void
stop(struct walk *w, int rc, const char *why)
{
	if (w->rc)
		return;
	w->rc = rc;
	w->why = why;
	XML_StopParser(w->parser, XML_FALSE);
}

static void
on_start(void *arg, const XML_Char *name, const XML_Char **attrs)
{
	struct walk *w = arg;

	if (w->depth == S3_XML_DEPTH) {
		stop(w, -EBADMSG, "elements are too deep in each other");
		return;
	}
	w->depth++;
	/* A name that is too long is none of ours, cut or not. */
	snprintf(w->path[w->depth], NAME_MAX_LEN, "%s", name);
	strbuf_clear(&w->text);
	if (w->begin)
		w->begin(w, w->path[w->depth], w->path[w->depth - 1]);
}

static void
on_end(void *arg, const XML_Char *name)
{
	struct walk *w = arg;

	if (w->rc)
		return;
	if (w->text.failed) {
		stop(w, -ENOMEM, "no memory");
		return;
	}
	w->end(w, w->path[w->depth], w->path[w->depth - 1],
	    strbuf_text(&w->text));
	strbuf_clear(&w->text);
	w->depth--;
}

static void
on_text(void *arg, const XML_Char *s, int n)
{
	struct walk *w = arg;

	if (w->text.len + (size_t)n > S3_XML_TEXT)
		stop(w, -EBADMSG, "an element's text is too long");
	else
		strbuf_add(&w->text, s, (size_t)n);
}

static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int internal)
{
	stop(arg, -EBADMSG, "it has a document type");
}

static int
walk(struct walk *w, const char *root, const void *p, size_t n, struct err *e)
{
	enum XML_Status st;

	if (n > INT32_MAX)
		return err_set(e, -EBADMSG, "the answer is too large");
	w->parser = XML_ParserCreate(NULL);
	if (!w->parser)
		return err_errno(e, -ENOMEM, "read the server's XML");
	XML_SetUserData(w->parser, w);
	XML_SetElementHandler(w->parser, on_start, on_end);
	XML_SetCharacterDataHandler(w->parser, on_text);
	XML_SetStartDoctypeDeclHandler(w->parser, on_doctype);
	st = XML_Parse(w->parser, p, (int)n, 1);
	if (w->rc) {
		err_set(e, w->rc, "the server's XML is refused: %s", w->why);
	} else if (st != XML_STATUS_OK) {
		w->rc = XML_GetErrorCode(w->parser) == XML_ERROR_NO_MEMORY
		    ? -ENOMEM : -EBADMSG;
		err_set(e, w->rc, "the server's answer is not XML: %s at "
		    "line %lu",
		    XML_ErrorString(XML_GetErrorCode(w->parser)),
		    (unsigned long)XML_GetCurrentLineNumber(w->parser));
	} else if (root && strcmp(w->path[1], root) != 0) {
		w->rc = err_set(e, -EBADMSG,
		    "the server answered with XML of type %s instead of %s",
		    w->path[1], root);
	}
	XML_ParserFree(w->parser);
	strbuf_fini(&w->text);
	return w->rc;
}

static bool
is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Room for one more of n elements of size bytes each; zeroed. */
static void *
one_more(struct walk *w, void *v, size_t *n, size_t *cap, size_t size)
{
	char *p = v;

	if (*n == S3_XML_ENTRIES) {
		stop(w, -EBADMSG, "it has too many entries");
		return NULL;
	}
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 64;

		p = realloc(v, more * size);
		if (!p) {
			stop(w, -ENOMEM, "no memory");
			return NULL;
		}
		*cap = more;
	}
	memset(p + *n * size, 0, size);
	(*n)++;
	return p;
}

/* Append text with its NUL; where it begins. */
static uint32_t
keep(struct walk *w, struct strbuf *b, const char *text)
{
	size_t at = b->len;

	strbuf_add(b, text, strlen(text) + 1);
	if (b->failed)
		stop(w, -ENOMEM, "no memory");
	return (uint32_t)at;
}

/* --- ListBucketResult ------------------------------------------------------ */

struct list_walk {
	struct s3_listing *l;
	bool encoded, marker, key_count;
	bool has_key; /* in the entry that is open */
};

static bool
take_size(const char *text, uint64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return !*end && errno == 0;
}

static void
take_etag(const char *text, char *out, size_t cap)
{
	size_t n = strlen(text);

	if (n >= 2 && text[0] == '"' && text[n - 1] == '"') {
		text++;
		n -= 2;
	}
	if (n >= cap)
		n = 0; /* of no use if it is not whole */
	memcpy(out, text, n);
	out[n] = '\0';
}

static void
list_begin(struct walk *w, const char *name, const char *parent)
{
	struct list_walk *lw = w->arg;
	struct s3_listing *l = lw->l;
	void *v;

	if (!is(name, "Contents") || !is(parent, "ListBucketResult"))
		return;
	v = one_more(w, l->v, &l->n, &l->cap, sizeof(*l->v));
	if (v)
		l->v = v;
	lw->has_key = false;
}

static void
list_field(struct walk *w, struct s3_list_entry *x, const char *name,
    const char *text)
{
	struct list_walk *lw = w->arg;

	if (is(name, "Key")) {
		x->key = keep(w, &lw->l->keys, text);
		lw->has_key = *text != '\0';
	} else if (is(name, "Size")) {
		if (!take_size(text, &x->size))
			stop(w, -EBADMSG, "an object's size is no number");
	} else if (is(name, "ETag")) {
		take_etag(text, x->etag, sizeof(x->etag));
	} else if (is(name, "LastModified")) {
		x->modified_s = s3_parse_time(text);
	}
}

static void
list_end(struct walk *w, const char *name, const char *parent,
    const char *text)
{
	struct list_walk *lw = w->arg;
	struct s3_listing *l = lw->l;

	if (is(parent, "Contents") && w->depth == 3 && l->n) {
		list_field(w, &l->v[l->n - 1], name, text);
		return;
	}
	if (w->depth != 2)
		return;
	if (is(name, "Contents") && !lw->has_key)
		stop(w, -EBADMSG, "an object has no key");
	else if (is(name, "IsTruncated"))
		l->truncated = is(text, "true");
	else if (is(name, "EncodingType"))
		lw->encoded = is(text, "url");
	else if (is(name, "KeyCount"))
		lw->key_count = true;
	else if (is(name, "Marker"))
		lw->marker = true;
}

int
s3_xml_listing(const void *p, size_t n, struct s3_listing *l, struct err *e)
{
	struct list_walk lw = {.l = l};
	struct walk w = {.begin = list_begin, .end = list_end, .arg = &lw};
	int rc;

	memset(l, 0, sizeof(*l));
	rc = walk(&w, "ListBucketResult", p, n, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < l->n; i++) {
		char *key = l->keys.s + l->v[i].key;

		l->v[i].key_len =
		    (uint32_t)(lw.encoded ? s3_decode(key) : strlen(key));
	}
	l->v1 = lw.marker && !lw.key_count;
	return 0;
}

void
s3_listing_fini(struct s3_listing *l)
{
	free(l->v);
	strbuf_fini(&l->keys);
	memset(l, 0, sizeof(*l));
}

/* --- DeleteResult ---------------------------------------------------------- */

static bool
is_result(const char *name)
{
	return is(name, "Deleted") || is(name, "Error");
}

static void
delete_begin(struct walk *w, const char *name, const char *parent)
{
	struct s3_delete_result *d = w->arg;
	void *v;

	if (w->depth != 2 || !is_result(name))
		return;
	v = one_more(w, d->v, &d->n, &d->cap, sizeof(*d->v));
	if (v)
		d->v = v;
}

static void
delete_end(struct walk *w, const char *name, const char *parent,
    const char *text)
{
	struct s3_delete_result *d = w->arg;
	struct s3_deleted *x;

	if (w->depth == 2 && is(name, "Error") && d->n &&
	    !d->v[d->n - 1].code)
		stop(w, -EBADMSG, "an Error has no Code");
	if (w->depth != 3 || !is_result(parent) || !d->n)
		return;
	x = &d->v[d->n - 1];
	if (is(name, "Key"))
		x->key = keep(w, &d->text, text);
	else if (is(name, "Code") && is(parent, "Error"))
		x->code = keep(w, &d->text, text);
	else if (is(name, "Message"))
		x->message = keep(w, &d->text, text);
}

int
s3_xml_deleted(
    const void *p, size_t n, struct s3_delete_result *d, struct err *e)
{
	struct walk w = {.begin = delete_begin, .end = delete_end, .arg = d};

	memset(d, 0, sizeof(*d));
	/* Offset 0 means "none" and reads as "". */
	strbuf_add(&d->text, "", 1);
	if (d->text.failed)
		return err_errno(e, -ENOMEM, "read the server's XML");
	return walk(&w, "DeleteResult", p, n, e);
}

void
s3_delete_result_fini(struct s3_delete_result *d)
{
	free(d->v);
	strbuf_fini(&d->text);
	memset(d, 0, sizeof(*d));
}

/* --- Error ----------------------------------------------------------------- */

static void
fault_end(struct walk *w, const char *name, const char *parent,
    const char *text)
{
	struct s3_fault *f = w->arg;
	const struct {
		const char *name;
		char *to;
		size_t cap;
	} fields[] = {
	    {"Code", f->code, sizeof(f->code)},
	    {"Message", f->message, sizeof(f->message)},
	    {"RequestId", f->request_id, sizeof(f->request_id)},
	    {"Region", f->region, sizeof(f->region)},
	    {"Endpoint", f->endpoint, sizeof(f->endpoint)},
	    {"ServerTime", f->server_time, sizeof(f->server_time)},
	};

	/* Error itself may be the root, or stand in an ErrorResponse (STS). */
	if (w->depth < 2)
		return;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (is(name, fields[i].name) && !fields[i].to[0])
			snprintf(fields[i].to, fields[i].cap, "%s", text);
}

/* What people will read: one line, nothing that moves a cursor. */
static void
make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

bool
s3_xml_fault(const void *p, size_t n, struct s3_fault *f)
{
	struct walk w = {.end = fault_end, .arg = f};
	int rc;

	memset(f, 0, sizeof(*f));
	if (!n)
		return false;
	rc = walk(&w, "Error", p, n, NULL);
	/* A document cut short has said its Code already. */
	if ((rc == 0 || is(w.path[1], "Error") ||
		is(w.path[1], "ErrorResponse")) && f->code[0]) {
		make_printable(f->code);
		make_printable(f->message);
		make_printable(f->request_id);
		make_printable(f->region);
		make_printable(f->endpoint);
		make_printable(f->server_time);
		return true;
	}
	memset(f, 0, sizeof(*f));
	return false;
}

/* --- AssumeRole...Response --------------------------------------------------- */

static void
sts_end(struct walk *w, const char *name, const char *parent,
    const char *text)
{
	struct s3_sts_keys *k = w->arg;

	if (!is(parent, "Credentials"))
		return;
	if (is(name, "AccessKeyId") && strlen(text) < sizeof(k->id))
		strcpy(k->id, text);
	else if (is(name, "SecretAccessKey") &&
	    strlen(text) < sizeof(k->secret))
		strcpy(k->secret, text);
	else if (is(name, "SessionToken") && strlen(text) < sizeof(k->token))
		strcpy(k->token, text);
	else if (is(name, "Expiration"))
		k->expires_s = s3_parse_time(text);
}

int
s3_xml_sts(const void *p, size_t n, struct s3_sts_keys *k, struct err *e)
{
	struct walk w = {.end = sts_end, .arg = k};
	int rc;

	memset(k, 0, sizeof(*k));
	rc = walk(&w, NULL, p, n, e);
	if (rc == 0 &&
	    (!k->id[0] || !k->secret[0] || !k->token[0] || !k->expires_s))
		rc = err_set(e, -EBADMSG, "the answer has no credentials");
	return rc;
}

/* --- small things ---------------------------------------------------------- */

int64_t
s3_parse_time(const char *text)
{
	struct tm tm;
	const char *rest;
	time_t t;

	memset(&tm, 0, sizeof(tm));
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || (*rest != '.' && *rest != 'Z'))
		return 0;
	t = timegm(&tm);
	return t < 0 ? 0 : (int64_t)t;
}

void
s3_xml_escape(struct strbuf *b, const char *text)
{
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "&<>\"'");

		strbuf_add(b, p, n);
		p += n;
		switch (*p) {
		case '&': strbuf_puts(b, "&amp;"); break;
		case '<': strbuf_puts(b, "&lt;"); break;
		case '>': strbuf_puts(b, "&gt;"); break;
		case '"': strbuf_puts(b, "&quot;"); break;
		case '\'': strbuf_puts(b, "&apos;"); break;
		default: return;
		}
		p++;
	}
}

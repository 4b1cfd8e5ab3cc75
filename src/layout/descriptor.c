/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volume's descriptor; see descriptor.h.
 *
 * What a reader does with a descriptor that a later version wrote:
 *
 *	another number in the first line	refuse
 *	a word after "needs"			refuse, naming it
 *	a line with another name		ignore, but keep when rewriting
 *
 * so a later version can add what older ones may ignore, what they must not
 * ignore, or start afresh.  Everything else is strict: each line once, in any
 * order, in range, and the CRC-32 (as in zlib) of all bytes before its own
 * line, which is the last.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "layout/descriptor.h"

#define MAGIC "pail-volume "
#define LAYOUT_NAME "s3backer"

void
uuid_format(const uint8_t uuid[16], char text[UUID_TEXT_LEN + 1])
{
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		snprintf(text, 3, "%02x", uuid[i]);
		text += 2;
	}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* n bytes from 2n digits, and nothing behind them. */
static bool
hex_parse(const char *s, uint8_t *out, size_t n)
{
	if (strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static bool
uuid_parse(const char *s, uint8_t uuid[16])
{
	char flat[33];
	int n = 0;

	if (strlen(s) != UUID_TEXT_LEN)
		return false;
	for (int i = 0; i < UUID_TEXT_LEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
			continue;
		}
		flat[n++] = s[i];
	}
	flat[n] = '\0';
	return hex_parse(flat, uuid, 16);
}

void
time_format(int64_t s, char text[32])
{
	time_t t = (time_t)s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, 32, "?");
}

static bool
time_parse(const char *s, int64_t *out)
{
	struct tm tm = {0};
	const char *end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (end == NULL || *end != '\0')
		return false;
	*out = timegm(&tm);
	return true;
}

/* Decimal digits only, no sign, no leading zero. */
static bool
number_parse(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*s == '\0' || (*s == '0' && s[1] != '\0'))
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || v > (max - (uint64_t)(*s - '0')) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*out = v;
	return v <= max;
}

int
geometry_check(uint64_t size, uint64_t bs, struct err *e)
{
	if (bs < BLOCK_SIZE_MIN || bs > BLOCK_SIZE_MAX || (bs & (bs - 1)) != 0)
		return err_set(e, -EINVAL,
		    "block size %" PRIu64 ": it must be a power of two from "
		    "%u to %u bytes", bs, BLOCK_SIZE_MIN, BLOCK_SIZE_MAX);
	if (size == 0 || size % bs != 0)
		return err_set(e, -EINVAL,
		    "size %" PRIu64 ": it must be a multiple of the block "
		    "size, %" PRIu64 " bytes, and not 0", size, bs);
	if (size / bs > NBLOCKS_MAX)
		return err_set(e, -EINVAL,
		    "size %" PRIu64 ": with blocks of %" PRIu64 " bytes a "
		    "volume has at most %" PRIu64 " bytes; larger blocks allow "
		    "more", size, bs, bs * NBLOCKS_MAX);
	return 0;
}

int
descriptor_encode(const struct descriptor *d, struct strbuf *out)
{
	char text[UUID_TEXT_LEN + 1], when[32];
	size_t start = out->len;

	uuid_format(d->uuid, text);
	time_format(d->created_s, when);
	strbuf_printf(out, MAGIC "%d\n", DESCRIPTOR_VERSION);
	strbuf_printf(out, "layout " LAYOUT_NAME "\nuuid %s\n", text);
	strbuf_printf(out, "created %s\n", when);
	strbuf_printf(out, "size %" PRIu64 "\nblock-size %" PRIu32 "\n",
	    d->size, d->block_size);
	strbuf_printf(out, "names %s\n", d->hashed ? "hashed" : "plain");
	strbuf_printf(out, "compress %s\n", compress_name(d->compress));
	if (d->compress_level != COMPRESS_LEVEL_DEFAULT)
		strbuf_printf(out, "compress-level %d\n", d->compress_level);
	if (d->cipher[0] != '\0') {
		strbuf_printf(out, "cipher %s\nkey-length %u\nsalt %s\n",
		    d->cipher, d->key_length, d->salt);
		strbuf_puts(out, "verifier ");
		for (int i = 0; i < CIPHER_VERIFIER_LEN; i++)
			strbuf_printf(out, "%02x", d->verifier[i]);
		strbuf_putc(out, '\n');
	}
	strbuf_puts(out, d->extra);
	if (out->failed)
		return -ENOMEM;
	strbuf_printf(out, "crc32 %08lx\n",
	    crc32(0, (const Bytef *)out->s + start, (uInt)(out->len - start)));
	if (out->failed)
		return -ENOMEM;
	return out->len - start <= DESCRIPTOR_MAX ? 0 : -E2BIG;
}

/* --- decoding ------------------------------------------------------------ */

static bool
get_layout(struct descriptor *d, const char *v)
{
	return strcmp(v, LAYOUT_NAME) == 0;
}

static bool
get_uuid(struct descriptor *d, const char *v)
{
	return uuid_parse(v, d->uuid);
}

static bool
get_created(struct descriptor *d, const char *v)
{
	return time_parse(v, &d->created_s);
}

static bool
get_size(struct descriptor *d, const char *v)
{
	return number_parse(v, UINT64_MAX, &d->size);
}

static bool
get_block_size(struct descriptor *d, const char *v)
{
	uint64_t n;

	if (!number_parse(v, UINT32_MAX, &n))
		return false;
	d->block_size = (uint32_t)n;
	return true;
}

static bool
get_names(struct descriptor *d, const char *v)
{
	d->hashed = strcmp(v, "hashed") == 0;
	return d->hashed || strcmp(v, "plain") == 0;
}

static bool
get_compress(struct descriptor *d, const char *v)
{
	return compress_parse(v, &d->compress, NULL) == 0;
}

static bool
get_level(struct descriptor *d, const char *v)
{
	bool minus = *v == '-';
	uint64_t n;

	if (!number_parse(v + minus, 1 << 20, &n))
		return false;
	d->compress_level = minus ? -(int)n : (int)n;
	return true;
}

static bool
get_cipher(struct descriptor *d, const char *v)
{
	return cipher_canonical(v, d->cipher, sizeof(d->cipher), NULL) == 0;
}

static bool
get_key_length(struct descriptor *d, const char *v)
{
	uint64_t n;

	if (!number_parse(v, CIPHER_KEY_MAX, &n) || n == 0)
		return false;
	d->key_length = (unsigned)n;
	return true;
}

static bool
get_salt(struct descriptor *d, const char *v)
{
	if (strlen(v) >= sizeof(d->salt))
		return false;
	strcpy(d->salt, v);
	return true;
}

static bool
get_verifier(struct descriptor *d, const char *v)
{
	return hex_parse(v, d->verifier, sizeof(d->verifier));
}

enum field {
	F_LAYOUT,
	F_UUID,
	F_CREATED,
	F_SIZE,
	F_BLOCK_SIZE,
	F_NAMES,
	F_COMPRESS,
	F_LEVEL,
	F_CIPHER,
	F_KEY_LENGTH,
	F_SALT,
	F_VERIFIER,
	NFIELDS
};

#define F_BIT(f) (1u << (f))
#define F_ALWAYS \
	(F_BIT(F_LAYOUT) | F_BIT(F_UUID) | F_BIT(F_CREATED) | F_BIT(F_SIZE) | \
	    F_BIT(F_BLOCK_SIZE) | F_BIT(F_NAMES) | F_BIT(F_COMPRESS))
#define F_CRYPT \
	(F_BIT(F_CIPHER) | F_BIT(F_KEY_LENGTH) | F_BIT(F_SALT) | \
	    F_BIT(F_VERIFIER))

static const struct {
	const char *name;
	bool (*get)(struct descriptor *d, const char *value);
} fields[NFIELDS] = {
    [F_LAYOUT] = {"layout", get_layout},
    [F_UUID] = {"uuid", get_uuid},
    [F_CREATED] = {"created", get_created},
    [F_SIZE] = {"size", get_size},
    [F_BLOCK_SIZE] = {"block-size", get_block_size},
    [F_NAMES] = {"names", get_names},
    [F_COMPRESS] = {"compress", get_compress},
    [F_LEVEL] = {"compress-level", get_level},
    [F_CIPHER] = {"cipher", get_cipher},
    [F_KEY_LENGTH] = {"key-length", get_key_length},
    [F_SALT] = {"salt", get_salt},
    [F_VERIFIER] = {"verifier", get_verifier},
};

static int
keep_extra(struct descriptor *d, const char *line, struct err *e)
{
	size_t n = strlen(d->extra);

	if (n + strlen(line) + 2 > sizeof(d->extra))
		return err_set(e, -EBADMSG,
		    "the descriptor has more than %d bytes of unknown lines",
		    DESCRIPTOR_EXTRA_MAX);
	sprintf(d->extra + n, "%s\n", line);
	return 0;
}

/* One line, without its end; it is changed. */
static int
take_line(struct descriptor *d, char *line, unsigned *seen, struct err *e)
{
	char *value = strchr(line, ' ');
	int i;

	if (value == NULL || value == line || value[1] == '\0')
		return err_set(e, -EBADMSG,
		    "the descriptor has the line \"%.40s\": each has a name, a "
		    "blank and a value", line);
	if (strncmp(line, "needs ", 6) == 0)
		return err_set(e, -EPROTONOSUPPORT,
		    "the volume needs \"%.80s\", which this version of pail "
		    "does not know: use a newer one", value + 1);
	*value = '\0';
	for (i = 0; i < NFIELDS; i++)
		if (strcmp(line, fields[i].name) == 0)
			break;
	if (i == NFIELDS) {
		*value = ' ';
		return keep_extra(d, line, e);
	}
	if (*seen & F_BIT(i))
		return err_set(e, -EBADMSG, "the descriptor has two lines %s",
		    line);
	*seen |= F_BIT(i);
	if (!fields[i].get(d, value + 1))
		return err_set(e, -EBADMSG,
		    "the descriptor has %s \"%.80s\", which is no value for it",
		    line, value + 1);
	return 0;
}

/* Everything between the first line and the last. */
static int
take_lines(struct descriptor *d, char *p, struct err *e)
{
	unsigned seen = 0;
	int rc;

	while (*p != '\0') {
		char *end = strchr(p, '\n');

		*end = '\0'; /* the text ends with one */
		rc = take_line(d, p, &seen, e);
		if (rc < 0)
			return rc;
		p = end + 1;
	}
	if ((seen & F_ALWAYS) != F_ALWAYS ||
	    ((seen & F_CRYPT) != 0 && (seen & F_CRYPT) != F_CRYPT))
		for (int i = 0; i < NFIELDS; i++)
			if (!(seen & F_BIT(i)) && i != F_LEVEL &&
			    ((F_BIT(i) & F_ALWAYS) || (seen & F_CRYPT)))
				return err_set(e, -EBADMSG,
				    "the descriptor has no line %s",
				    fields[i].name);
	rc = geometry_check(d->size, d->block_size, e);
	if (rc < 0)
		return err_wrap(e, -EBADMSG, "the descriptor");
	return 0;
}

/* The version in the first line, and where the second begins. */
static int
take_magic(char *text, char **rest, struct err *e)
{
	char *end = strchr(text, '\n');
	uint64_t version;

	if (end == NULL || strncmp(text, MAGIC, strlen(MAGIC)) != 0)
		return err_set(e, -EBADMSG, "it is not a volume descriptor");
	*end = '\0';
	if (!number_parse(text + strlen(MAGIC), UINT32_MAX, &version))
		return err_set(e, -EBADMSG, "it is not a volume descriptor");
	if (version != DESCRIPTOR_VERSION)
		return err_set(e, -EPROTONOSUPPORT,
		    "the volume has format version %" PRIu64 ", this pail knows "
		    "version %d: use a newer one", version,
		    DESCRIPTOR_VERSION);
	*end = '\n';
	*rest = end + 1;
	return 0;
}

/* Cut off the last line after checking it. */
static int
take_crc(char *text, size_t n, struct err *e)
{
	static const char name[] = "crc32 ";
	const size_t len = sizeof(name) - 1 + 9;
	uint8_t v[4];
	char *line;

	if (n < len || text[n - 1] != '\n')
		return err_set(e, -EBADMSG, "the descriptor is cut off");
	line = text + n - len;
	text[n - 1] = '\0';
	if (strncmp(line, name, sizeof(name) - 1) != 0 || line[-1] != '\n' ||
	    !hex_parse(line + sizeof(name) - 1, v, 4))
		return err_set(e, -EBADMSG,
		    "the descriptor does not end with its CRC");
	if (((uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 |
		v[3]) != crc32(0, (const Bytef *)text, (uInt)(n - len)))
		return err_set(e, -EBADMSG,
		    "the descriptor is damaged (its CRC is wrong)");
	*line = '\0';
	return 0;
}

int
descriptor_decode(struct descriptor *d, const void *p, size_t n, struct err *e)
{
	char *text, *rest = NULL;
	int rc;

	memset(d, 0, sizeof(*d));
	d->compress_level = COMPRESS_LEVEL_DEFAULT;
	if (n > DESCRIPTOR_MAX || memchr(p, '\0', n) != NULL)
		return err_set(e, -EBADMSG, "it is not a volume descriptor");
	text = malloc(n + 1);
	if (text == NULL)
		return err_errno(e, -ENOMEM, "the descriptor");
	memcpy(text, p, n);
	text[n] = '\0';
	rc = take_magic(text, &rest, e);
	if (rc == 0)
		rc = take_crc(text, n, e);
	if (rc == 0)
		rc = take_lines(d, rest, e);
	free(text);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a lease; see lease_owner.h.
 *
 * The machine is named by a hash of its machine-id, as that is not to be
 * published, together with the hardware's UUID where we may read it: copies of
 * a virtual machine often have the same machine-id, but not the same hardware.
 * Where one of two runs may read it and the other not they look like two
 * machines, which errs on the safe side.
 *
 * A process is named by its number, the namespace in which it counts, and the
 * time at which it was started, since numbers are used again.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "layout/lease_owner.h"
#include "store/store.h"

#define H_TOKEN "s3backer-mount-token"
#define H_ID "pail-lease"
#define H_MACHINE "pail-machine"
#define H_BOOT "pail-boot"
#define H_PROCESS "pail-process" /* pid start namespace */
#define H_HOLDER "pail-holder"	 /* pid start */
#define H_JOURNAL "pail-journal" /* a path, what is not plain text as %XX */

/* The first line of a small file; "" if there is none. */
static void
read_line(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(out, (int)cap, f) == NULL)
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	fclose(f);
}

static void
to_hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static void
find_machine(char *out)
{
	char id[64], hardware[64], text[160];
	uint8_t hash[EVP_MAX_MD_SIZE];

	out[0] = '\0';
	read_line("/etc/machine-id", id, sizeof(id));
	if (strlen(id) != 32) /* empty, or "uninitialized" */
		return;
	read_line("/sys/class/dmi/id/product_uuid", hardware,
	    sizeof(hardware));
	snprintf(text, sizeof(text), "pail machine %s %s", id, hardware);
	if (EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL) == 1)
		to_hex(hash, 16, out);
}

static void
find_pidns(char *out, size_t cap)
{
	char link[64];
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
	uint64_t inode;

	out[0] = '\0';
	if (n < 0)
		return;
	link[n] = '\0';
	if (sscanf(link, "pid:[%" SCNu64 "]", &inode) == 1)
		snprintf(out, cap, "%" PRIu64, inode);
}

struct process {
	bool dead;	/* a zombie: nothing of it runs any more */
	uint64_t start; /* 0 if that cannot be seen */
};

/*
 * What /proc says of a process.  The second field, its name in parentheses, may
 * contain anything; after it come the third and on: state, ... threads (20),
 * ... start (22).
 */
static void
look_at_process(int64_t pid, struct process *out)
{
	char path[64], stat[1024], state = '?';
	uint64_t threads = 0;
	const char *p;

	*out = (struct process){0};
	snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	read_line(path, stat, sizeof(stat));
	p = strrchr(stat, ')');
	for (int field = 3; p != NULL && field <= 22; field++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return;
		p++;
		if (field == 3)
			state = *p;
		else if (field == 20)
			threads = strtoull(p, NULL, 10);
		else if (field == 22)
			out->start = strtoull(p, NULL, 10);
	}
	/* Threads may outlive the first one; only then it is all over. */
	out->dead = (state == 'Z' || state == 'X') && threads <= 1;
}

int
lease_owner_self(struct lease_owner *o, struct err *e)
{
	uint8_t id[LEASE_ID_LEN / 2];
	struct process self;
	time_t now = time(NULL);
	struct tm tm;

	memset(o, 0, sizeof(*o));
	do {
		if (RAND_bytes(id, sizeof(id)) != 1 ||
		    RAND_bytes((unsigned char *)&o->token,
			sizeof(o->token)) != 1)
			return err_set(e, -EIO,
			    "no random numbers for a lease");
		o->token &= 0x7fffffff;
	} while (o->token <= LEASE_TOKEN_OLD ||
	    o->token == LEASE_TOKEN_SHARED);
	to_hex(id, sizeof(id), o->id);
	if (gethostname(o->host, sizeof(o->host) - 1) < 0 ||
	    o->host[0] == '\0')
		snprintf(o->host, sizeof(o->host), "?");
	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(o->when, sizeof(o->when), "%Y%m%dT%H%M%SZ", &tm) == 0)
		o->when[0] = '\0';
	find_machine(o->machine);
	read_line("/proc/sys/kernel/random/boot_id", o->boot, sizeof(o->boot));
	find_pidns(o->pidns, sizeof(o->pidns));
	o->pid = getpid();
	look_at_process(o->pid, &self);
	o->pid_start = self.start;
	return 0;
}

void
lease_owner_serve(struct lease_owner *o, int64_t holder)
{
	struct process p;

	o->pid = getpid();
	look_at_process(o->pid, &p);
	o->pid_start = p.start;
	o->holder = holder;
	look_at_process(holder, &p);
	o->holder_start = p.start;
}

bool
lease_owner_same_process(const struct lease_owner *a,
    const struct lease_owner *b)
{
	return a->pid == b->pid && a->pid_start == b->pid_start &&
	    a->holder == b->holder && a->holder_start == b->holder_start;
}

static int
add_journal(struct meta *m, const char *path)
{
	char text[3 * LEASE_JOURNAL_MAX], *to = text;

	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c > ' ' && c < 0x7f && c != '%')
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	*to = '\0';
	return meta_add(m, H_JOURNAL, text);
}

/* What is not understood is left as it is: no file has that name. */
static void
take_journal(char *to, size_t cap, const char *from)
{
	size_t n = 0;
	unsigned c;

	for (; *from && n < cap - 1; from++) {
		if (*from == '%' && sscanf(from + 1, "%2X", &c) == 1 && c > 0 &&
		    from[1] && from[2]) {
			to[n++] = (char)c;
			from += 2;
		} else {
			to[n++] = *from;
		}
	}
	to[n] = '\0';
}

int
lease_owner_encode(const struct lease_owner *o, struct strbuf *body,
    struct meta *m)
{
	char token[12], process[80];
	int rc;

	strbuf_printf(body, "%s\n%s\n", o->host, o->when);
	if (body->failed)
		return -ENOMEM;
	snprintf(token, sizeof(token), "%08" PRIx32, o->token);
	rc = meta_add(m, "content-type", "text/plain");
	if (rc == 0)
		rc = meta_add(m, H_TOKEN, token);
	if (rc == 0)
		rc = meta_add(m, H_ID, o->id);
	if (rc == 0 && o->machine[0] != '\0')
		rc = meta_add(m, H_MACHINE, o->machine);
	if (rc == 0 && o->boot[0] != '\0')
		rc = meta_add(m, H_BOOT, o->boot);
	if (rc == 0 && o->pid_start != 0 && o->pidns[0] != '\0') {
		snprintf(process, sizeof(process), "%" PRId64 " %" PRIu64 " %s",
		    o->pid, o->pid_start, o->pidns);
		rc = meta_add(m, H_PROCESS, process);
	}
	if (rc == 0 && o->holder > 0) {
		snprintf(process, sizeof(process), "%" PRId64 " %" PRIu64,
		    o->holder, o->holder_start);
		rc = meta_add(m, H_HOLDER, process);
	}
	if (rc == 0 && o->journal[0] != '\0')
		rc = add_journal(m, o->journal);
	return rc;
}

/* Copy what can be printed, and what fits. */
static void
take_text(char *to, size_t cap, const char *from, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < cap - 1; i++)
		to[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '?';
	to[i] = '\0';
}

static void
take_header(char *to, size_t cap, const struct meta *m, const char *name)
{
	const char *v = meta_get(m, name);

	if (v != NULL && strlen(v) < cap)
		take_text(to, cap, v, strlen(v));
}

void
lease_owner_decode(struct lease_owner *o, const struct meta *m,
    const void *body, size_t n)
{
	const char *p = body, *end = p + n, *nl;
	const char *token = meta_get(m, H_TOKEN);
	const char *process = meta_get(m, H_PROCESS);
	const char *holder = meta_get(m, H_HOLDER);
	char pidns[24] = "";

	memset(o, 0, sizeof(*o));
	nl = n > 0 ? memchr(p, '\n', n) : NULL;
	if (nl != NULL) {
		take_text(o->host, sizeof(o->host), p, (size_t)(nl - p));
		p = nl + 1;
		nl = memchr(p, '\n', (size_t)(end - p));
		take_text(o->when, sizeof(o->when), p,
		    (size_t)((nl != NULL ? nl : end) - p));
	}
	/* A token that is not understood is there all the same. */
	o->token = LEASE_TOKEN_OLD;
	if (token != NULL && strlen(token) == 8 &&
	    strspn(token, "0123456789abcdef") == 8)
		o->token = (uint32_t)strtoul(token, NULL, 16);
	if (o->token == 0)
		o->token = LEASE_TOKEN_OLD;
	take_header(o->id, sizeof(o->id), m, H_ID);
	if (strspn(o->id, "0123456789abcdef") != LEASE_ID_LEN)
		o->id[0] = '\0';
	take_header(o->machine, sizeof(o->machine), m, H_MACHINE);
	take_header(o->boot, sizeof(o->boot), m, H_BOOT);
	if (process != NULL &&
	    sscanf(process, "%" SCNd64 " %" SCNu64 " %23[0-9]", &o->pid,
		&o->pid_start, pidns) == 3)
		memcpy(o->pidns, pidns, sizeof(pidns));
	else
		o->pid = 0, o->pid_start = 0;
	if (meta_get(m, H_JOURNAL) != NULL)
		take_journal(
		    o->journal, sizeof(o->journal), meta_get(m, H_JOURNAL));
	/* What is said and not understood proves nothing. */
	if (holder != NULL && sscanf(holder, "%" SCNd64 " %" SCNu64,
	    &o->holder, &o->holder_start) != 2)
		o->holder = INT64_MAX, o->holder_start = 0;
}

bool
lease_owner_same(const struct lease_owner *a, const struct lease_owner *b)
{
	return a->id[0] != '\0' && strcmp(a->id, b->id) == 0;
}

static bool
same_text(const char *a, const char *b)
{
	return a[0] != '\0' && strcmp(a, b) == 0;
}

static bool
process_gone(int64_t pid, uint64_t start)
{
	struct process now;

	if (pid <= 0 || pid > INT32_MAX || start == 0)
		return false;
	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return true;
	look_at_process(pid, &now);
	return now.dead || (now.start != 0 && now.start != start);
}

bool
lease_owner_gone(const struct lease_owner *owner, const struct lease_owner *me)
{
	if (owner->id[0] == '\0') /* not pail's: nothing can be proved */
		return false;
	if (same_text(owner->boot, me->boot))
		return same_text(owner->pidns, me->pidns) &&
		    process_gone(owner->pid, owner->pid_start) &&
		    (owner->holder == 0 || process_gone(owner->holder,
			owner->holder_start));
	return owner->boot[0] != '\0' && me->boot[0] != '\0' &&
	    same_text(owner->machine, me->machine) &&
	    same_text(owner->host, me->host);
}

void
lease_owner_describe(const struct lease_owner *o, char *text, size_t cap)
{
	const char *w = o->when;
	char when[24] = "an unknown time", process[40] = "";

	if (strlen(w) == 16)
		snprintf(when, sizeof(when), "%.4s-%.2s-%.2s %.2s:%.2s:%.2s UTC",
		    w, w + 4, w + 6, w + 9, w + 11, w + 13);
	if (o->pid > 0)
		snprintf(process, sizeof(process), " (process %" PRId64 ")",
		    o->pid);
	snprintf(text, cap, "by %s on host %.200s%s since %s",
	    o->id[0] != '\0' ? "pail" : "s3backer",
	    o->host[0] != '\0' ? o->host : "?", process, when);
}

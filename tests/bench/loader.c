/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader: what a plain HTTP client gets out of a store.  The yardstick for
 * the bench: it keeps C requests in flight on kept-alive connections and
 * does nothing with the data.
 *
 *	loader get|put -e ENDPOINT -b BUCKET -p PREFIX -n COUNT [-s SIZE]
 *	       [-c INFLIGHT] [-r RANGE] [-R] [-H]
 *
 *	-n  objects PREFIX00000000 ... PREFIX<COUNT-1 as 8 hex digits>
 *	-s  bytes of one object (131072); for get the size that is expected
 *	-c  requests in flight (64)
 *	-r  get only so many bytes at a random place of each object
 *	-R  in random order
 *	-H  hash the body of a PUT, for the server to check
 *
 * The key comes from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION;
 * without a key requests are not signed.  The body of a PUT is different in
 * every object; without -H it is sent as UNSIGNED-PAYLOAD.
 *
 * One line of JSON on stdout: requests, seconds, rate, MB/s, errors, and
 * the latency from start to end of a request in milliseconds.  Exit status
 * 1 if any request failed or had the wrong length; the first is named.
 *
 * How: one thread, libcurl's multi interface driven by epoll through
 * curl_multi_socket_action: each slot is an easy handle that is used again
 * for the next object as soon as it is done.
 */
#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static struct {
	bool put, random, hash;
	const char *endpoint, *bucket, *prefix;
	long count, inflight, range;
	size_t size;
	char userpwd[512], sigv4[128];
	struct curl_slist *headers;
} conf = { .inflight = 64, .size = 131072 };

struct slot {
	CURL *easy;
	int64_t start_ns;
	size_t moved;		/* body bytes, in or out */
	uint64_t stamp;		/* first bytes of the body of a PUT */
	struct curl_slist *headers;	/* with its hash */
};

static CURLM *multi;
static int epoll_fd;
static long timeout_ms = -1;
static uint32_t *order;		/* in which objects are taken */
static float *latency_ms;
static long started, finished, errors;
static char *body;		/* of every PUT, behind the stamp */

static void
die(const char *what)
{
	fprintf(stderr, "loader: %s\n", what);
	exit(2);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* -------------------------------------------------------- curl callbacks */

static size_t
take_bytes(char *data, size_t size, size_t n, void *arg)
{
	struct slot *s = arg;

	s->moved += size * n;
	return size * n;
}

static size_t
give_bytes(char *to, size_t size, size_t n, void *arg)
{
	struct slot *s = arg;
	size_t left = conf.size - s->moved;
	size_t len = size * n < left ? size * n : left;

	memcpy(to, body + s->moved, len);
	if (s->moved == 0 && len >= sizeof(s->stamp))
		memcpy(to, &s->stamp, sizeof(s->stamp));
	s->moved += len;
	return len;
}

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event e = { .data.fd = fd };
	int op = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		curl_multi_assign(multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		e.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		e.events |= EPOLLOUT;
	if (epoll_ctl(epoll_fd, op, fd, &e) < 0)
		die("epoll_ctl failed");
	curl_multi_assign(multi, fd, &epoll_fd);
	return 0;
}

static int
watch_time(CURLM *m, long ms, void *arg)
{
	timeout_ms = ms;
	return 0;
}

/* -------------------------------------------------------------- requests */

static void
slot_init(struct slot *s)
{
	CURL *e = curl_easy_init();

	if (e == NULL)
		die("curl_easy_init failed");
	s->easy = e;
	curl_easy_setopt(e, CURLOPT_PRIVATE, s);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, 120L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 131072L);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 131072L);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, conf.headers);
	if (conf.userpwd[0] != '\0') {
		curl_easy_setopt(e, CURLOPT_AWS_SIGV4, conf.sigv4);
		curl_easy_setopt(e, CURLOPT_USERPWD, conf.userpwd);
	}
	if (conf.put) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, give_bytes);
		curl_easy_setopt(e, CURLOPT_READDATA, s);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE,
		    (curl_off_t)conf.size);
	}
}

/* The hash of what give_bytes will give. */
static void
hash_body(struct slot *s)
{
	static EVP_MD_CTX *c;
	unsigned char sum[32];
	char line[128] = "x-amz-content-sha256: ";
	size_t n = strlen(line);

	if (c == NULL)
		c = EVP_MD_CTX_new();
	if (c == NULL || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(c, &s->stamp, sizeof(s->stamp)) != 1 ||
	    EVP_DigestUpdate(c, body + sizeof(s->stamp),
		conf.size - sizeof(s->stamp)) != 1 ||
	    EVP_DigestFinal_ex(c, sum, NULL) != 1)
		die("no SHA-256");
	for (size_t i = 0; i < sizeof(sum); i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%02x",
		    sum[i]);
	curl_slist_free_all(s->headers);
	s->headers = curl_slist_append(NULL, line);
	if (s->headers == NULL)
		die("not enough memory");
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
}

static void
slot_start(struct slot *s)
{
	char url[1024], range[64];
	uint32_t number = order[started++];

	snprintf(url, sizeof(url), "%s/%s/%s%08x", conf.endpoint, conf.bucket,
	    conf.prefix, number);
	curl_easy_setopt(s->easy, CURLOPT_URL, url);
	if (conf.range > 0) {
		long places = (long)conf.size / conf.range;
		long at = random() % places * conf.range;

		snprintf(range, sizeof(range), "%ld-%ld", at,
		    at + conf.range - 1);
		curl_easy_setopt(s->easy, CURLOPT_RANGE, range);
	}
	s->moved = 0;
	s->stamp = (uint64_t)now_ns() << 8 ^ number;
	if (conf.hash)
		hash_body(s);
	s->start_ns = now_ns();
	if (curl_multi_add_handle(multi, s->easy) != CURLM_OK)
		die("curl_multi_add_handle failed");
}

static void
slot_done(struct slot *s, CURLcode rc)
{
	size_t expect = conf.range > 0 ? (size_t)conf.range : conf.size;
	long status = 0;

	latency_ms[finished++] = (now_ns() - s->start_ns) / 1e6;
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc != CURLE_OK || status / 100 != 2 ||
	    (!conf.put && s->moved != expect)) {
		if (errors++ == 0)
			fprintf(stderr, "loader: %s, HTTP %ld, %zu bytes\n",
			    curl_easy_strerror(rc), status, s->moved);
	}
	curl_multi_remove_handle(multi, s->easy);
	if (started < conf.count)
		slot_start(s);
}

static void
reap(void)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left)) != NULL) {
		CURLcode rc = m->data.result;
		struct slot *s;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
		slot_done(s, rc);
	}
}

static void
run(void)
{
	struct epoll_event ev[64];
	int running;

	while (finished < conf.count) {
		int n = epoll_wait(epoll_fd, ev, 64, (int)timeout_ms);

		if (n < 0 && errno != EINTR)
			die("epoll_wait failed");
		if (n <= 0)
			curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT,
			    0, &running);
		for (int i = 0; i < n; i++) {
			int what = 0;

			if (ev[i].events & (EPOLLIN | EPOLLHUP))
				what |= CURL_CSELECT_IN;
			if (ev[i].events & EPOLLOUT)
				what |= CURL_CSELECT_OUT;
			if (ev[i].events & EPOLLERR)
				what |= CURL_CSELECT_ERR;
			curl_multi_socket_action(multi, ev[i].data.fd, what,
			    &running);
		}
		reap();
	}
}

/* --------------------------------------------------------------- set-up */

static void
read_environment(void)
{
	const char *id = getenv("AWS_ACCESS_KEY_ID");
	const char *key = getenv("AWS_SECRET_ACCESS_KEY");
	const char *region = getenv("AWS_REGION");

	if (id == NULL || key == NULL)
		return;
	snprintf(conf.userpwd, sizeof(conf.userpwd), "%s:%s", id, key);
	snprintf(conf.sigv4, sizeof(conf.sigv4), "aws:amz:%s:s3",
	    region != NULL ? region : "us-east-1");
}

static void
read_arguments(int argc, char **argv)
{
	int opt;

	if (argc < 2)
		die("the first argument is get or put");
	conf.put = strcmp(argv[1], "put") == 0;
	if (!conf.put && strcmp(argv[1], "get") != 0)
		die("the first argument is get or put");
	while ((opt = getopt(argc - 1, argv + 1, "e:b:p:n:s:c:r:RH")) != -1) {
		switch (opt) {
		case 'e': conf.endpoint = optarg; break;
		case 'b': conf.bucket = optarg; break;
		case 'p': conf.prefix = optarg; break;
		case 'n': conf.count = atol(optarg); break;
		case 's': conf.size = (size_t)atol(optarg); break;
		case 'c': conf.inflight = atol(optarg); break;
		case 'r': conf.range = atol(optarg); break;
		case 'R': conf.random = true; break;
		case 'H': conf.hash = true; break;
		default: exit(2);
		}
	}
	if (conf.endpoint == NULL || conf.bucket == NULL ||
	    conf.prefix == NULL || conf.count < 1 || conf.size < 1 ||
	    conf.inflight < 1)
		die("-e, -b, -p and -n are needed");
	if (conf.range > (long)conf.size)
		die("-r is larger than -s");
	if (conf.hash && (!conf.put || conf.size < sizeof(uint64_t)))
		die("-H is for put, of 8 bytes and more");
	if (conf.inflight > conf.count)
		conf.inflight = conf.count;
}

static void
prepare(void)
{
	uint64_t x = 88172645463325252u;	/* any seed but 0 */

	order = calloc(conf.count, sizeof(*order));
	latency_ms = calloc(conf.count, sizeof(*latency_ms));
	body = malloc(conf.size + sizeof(x));
	if (order == NULL || latency_ms == NULL || body == NULL)
		die("not enough memory");
	srandom(now_ns());
	for (long i = 0; i < conf.count; i++)
		order[i] = i;
	for (long i = conf.count - 1; conf.random && i > 0; i--) {
		long j = random() % (i + 1);
		uint32_t was = order[i];

		order[i] = order[j];
		order[j] = was;
	}
	for (size_t i = 0; i < conf.size; i += sizeof(x)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(body + i, &x, sizeof(x));
	}
	conf.headers = curl_slist_append(NULL,
	    "x-amz-content-sha256: UNSIGNED-PAYLOAD");
}

static int
compare_float(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double
percentile(double p)
{
	return latency_ms[(long)((conf.count - 1) * p)];
}

static void
report(double seconds)
{
	size_t each = conf.range > 0 ? (size_t)conf.range : conf.size;

	qsort(latency_ms, conf.count, sizeof(*latency_ms), compare_float);
	printf("{\"op\": \"%s\", \"requests\": %ld, \"bytes_each\": %zu, "
	    "\"inflight\": %ld, \"seconds\": %.3f, \"rate\": %.1f, "
	    "\"mb_s\": %.1f, \"errors\": %ld, \"ms\": {\"p50\": %.2f, "
	    "\"p90\": %.2f, \"p99\": %.2f, \"max\": %.2f}}\n",
	    conf.put ? "put" : "get", conf.count, each, conf.inflight,
	    seconds, conf.count / seconds,
	    conf.count * (double)each / seconds / 1e6, errors,
	    percentile(0.5), percentile(0.9), percentile(0.99),
	    percentile(1));
}

int
main(int argc, char **argv)
{
	struct slot *slots;
	int64_t begin;

	read_environment();
	read_arguments(argc, argv);
	prepare();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	slots = calloc(conf.inflight, sizeof(*slots));
	if (multi == NULL || epoll_fd < 0 || slots == NULL)
		die("set-up failed");
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, conf.inflight);

	begin = now_ns();
	for (long i = 0; i < conf.inflight; i++) {
		slot_init(&slots[i]);
		slot_start(&slots[i]);
	}
	run();
	report((now_ns() - begin) / 1e9);

	for (long i = 0; i < conf.inflight; i++) {
		curl_easy_cleanup(slots[i].easy);
		curl_slist_free_all(slots[i].headers);
	}
	curl_multi_cleanup(multi);
	curl_slist_free_all(conf.headers);
	curl_global_cleanup();
	free(slots);
	free(order);
	free(latency_ms);
	free(body);
	close(epoll_fd);
	return errors > 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The engine against a server that does what servers do: slow ones, ones that
 * hang up, that send less than they said, more than there is room for, and
 * what is no HTTP at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/stat.h"
#include "http/http.h"
#include "unit/http/fake.h"

struct ctx {
	struct loop *loop;
	struct http *http;
	struct fake *fake;
	struct http_req r;
	char url[256];
	char room[4096];
	bool done;
	unsigned ndone;
	int64_t began_ns;
	struct loop_timer timer;
};

static void
done(struct http_req *r)
{
	struct ctx *x = r->arg;

	x->done = true;
	x->ndone++;
}

static void
start(struct ctx *x, fake_handler *h, const struct http_conf *conf)
{
	static const struct http_conf none;

	memset(x, 0, sizeof(*x));
	x->loop = loop_new(NULL);
	assert_non_null(x->loop);
	assert_int_equal(
	    http_new(x->loop, conf ? conf : &none, &x->http, NULL), 0);
	if (h)
		x->fake = fake_start(h, x);
	http_req_init(&x->r, HTTP_GET, x->url);
	if (h)
		snprintf(x->url, sizeof(x->url), "%s/x", fake_url(x->fake));
}

static void
stop(struct ctx *x)
{
	http_req_fini(&x->r);
	http_free(x->http);
	if (x->fake)
		fake_stop(x->fake);
	loop_free(x->loop);
}

/* Ask for method, and wait for the end. */
static int
ask(struct ctx *x, enum http_method m)
{
	x->r.method = m;
	x->r.done = done;
	x->r.arg = x;
	if (!x->r.recv && !x->r.recv_cap) {
		x->r.recv = x->room;
		x->r.recv_cap = sizeof(x->room);
	}
	x->done = false;
	x->began_ns = clock_mono_ns();
	http_submit(x->http, &x->r);
	assert_false(x->done); /* H2 */
	assert_int_equal(loop_run_until(x->loop, &x->done), 0);
	return x->r.rc;
}

static int64_t
took_ms(const struct ctx *x)
{
	return (clock_mono_ns() - x->began_ns) / NS_PER_MS;
}

/* --- what works ----------------------------------------------------------- */

static void
echo(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	char text[256] = "";

	/* libcurl asks for nothing that we did not ask for. */
	if (fake_header(q, "expect", text, sizeof(text)) ||
	    fake_header(q, "accept", text, sizeof(text)) ||
	    fake_header(q, "accept-encoding", text, sizeof(text)))
		fake_answer(c, 500, "", text);
	else if (q->body_len)
		fake_answer(c, 200, "ETag: \"e\"\r\n", q->body);
	else
		fake_answer(c, 200, "ETag: \"e\"\r\n", q->method);
}

static void
all_methods(void **state)
{
	static const enum http_method m[] = {HTTP_GET, HTTP_PUT, HTTP_HEAD,
	    HTTP_DELETE, HTTP_POST, HTTP_PUT, HTTP_GET};
	struct ctx x;

	start(&x, echo, NULL);
	/* On one handle and one connection, so that nothing stays behind from
	 * one method to the next. */
	for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		const char *name = http_method_name(m[i]);

		assert_int_equal(ask(&x, m[i]), 0);
		assert_int_equal(x.r.answer.status, 200);
		assert_int_equal(
		    x.r.recv_len, m[i] == HTTP_HEAD ? 0 : strlen(name));
		assert_memory_equal(x.room, name, x.r.recv_len);
		assert_string_equal(
		    http_answer_get(&x.r.answer, "etag"), "\"e\"");
		assert_int_equal(x.r.answer.length, strlen(name));
	}
	assert_int_equal(fake_connections(x.fake), 1);
	stop(&x);
}

static void
bodies_of_all_sizes(void **state)
{
	static const size_t sizes[] = {1, 1000, 65536, 131072, 131073, 3000000};
	struct ctx x;

	start(&x, echo, NULL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];
		char *out = malloc(n), *in = malloc(n);

		assert_non_null(out);
		assert_non_null(in);
		for (size_t k = 0; k < n; k++)
			out[k] = (char)('a' + (k * 7 + k / 1000) % 26);
		x.r.send = out;
		x.r.send_len = n;
		x.r.recv = in;
		x.r.recv_cap = n;
		assert_int_equal(ask(&x, HTTP_PUT), 0);
		assert_int_equal(x.r.answer.status, 200);
		assert_int_equal(x.r.recv_len, n);
		assert_memory_equal(in, out, n);
		free(out);
		free(in);
		x.r.send = x.r.recv = NULL;
		x.r.send_len = x.r.recv_cap = 0;
	}
	stop(&x);
}

static void
see_headers(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	char a[64] = "", b[64] = "", host[64] = "", empty[8] = "x";
	char text[256];

	fake_header(q, "x-a", a, sizeof(a));
	fake_header(q, "user-agent", b, sizeof(b));
	fake_header(q, "host", host, sizeof(host));
	fake_header(q, "x-empty", empty, sizeof(empty));
	snprintf(text, sizeof(text), "%s|%s|%s|%s|%s", q->target, a, b, host,
	    empty);
	fake_answer(c, 200, "", text);
}

static void
headers_and_paths_go_out_as_they_are(void **state)
{
	static const char *const headers[] = {"x-a: 1 2", "host: made.up",
	    "x-empty;"};
	static const char want[] = "/a/../b//c%2F?q=%20|1 2|me/1|made.up|";
	struct ctx x;

	start(&x, see_headers, &(struct http_conf){.user_agent = "me/1"});
	snprintf(x.url, sizeof(x.url), "%s/a/../b//c%%2F?q=%%20",
	    fake_url(x.fake));
	x.r.headers = headers;
	x.r.nheaders = 3;
	assert_int_equal(ask(&x, HTTP_GET), 0);
	assert_int_equal(x.r.recv_len, sizeof(want) - 1);
	assert_memory_equal(x.room, want, sizeof(want) - 1);
	stop(&x);
}

static void
chunked(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_printf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "5\r\nhello\r\n");
	fake_sleep_ms(5);
	fake_printf(c, "1\r\n!\r\n0\r\nETag: \"t\"\r\n\r\n");
}

static void
chunked_bodies(void **state)
{
	struct ctx x;

	start(&x, chunked, NULL);
	assert_int_equal(ask(&x, HTTP_GET), 0);
	assert_memory_equal(x.room, "hello!", 6);
	assert_true(x.r.answer.chunked);
	assert_int_equal(x.r.answer.length, HTTP_UNKNOWN);
	assert_null(http_answer_get(&x.r.answer, "etag"));
	stop(&x);
}

static void
refuse(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	char *big = malloc(200001);

	memset(big, 'e', 200000);
	big[200000] = '\0';
	fake_answer(c, 503, "Retry-After: 4\r\n", big);
	free(big);
}

static void
bodies_of_errors_are_text(void **state)
{
	struct ctx x;

	start(&x, refuse, NULL);
	assert_int_equal(ask(&x, HTTP_GET), 0);
	assert_int_equal(x.r.answer.status, 503);
	assert_int_equal(x.r.answer.retry_after_s, 4);
	assert_int_equal(x.r.recv_len, 0);
	assert_int_equal(x.r.text.len, 65536); /* the rest is dropped */
	assert_int_equal(ask(&x, HTTP_HEAD), 0);
	assert_int_equal(x.r.text.len, 0);
	stop(&x);
}

/* --- limits ---------------------------------------------------------------- */

static void
six_bytes(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_answer(c, 200, "", "sixsix");
}

static void
no_room(void **state)
{
	struct ctx x;

	start(&x, six_bytes, NULL);
	x.r.recv = x.room;
	x.r.recv_cap = 5;
	assert_int_equal(ask(&x, HTTP_GET), -EMSGSIZE);
	assert_non_null(strstr(x.r.err.text, "5 bytes"));
	x.r.recv_cap = 6;
	assert_int_equal(ask(&x, HTTP_GET), 0);
	x.r.recv = NULL;
	x.r.recv_cap = 5;
	assert_int_equal(ask(&x, HTTP_GET), -EMSGSIZE);
	x.r.recv_cap = 6;
	assert_int_equal(ask(&x, HTTP_GET), 0);
	assert_string_equal(x.r.text.s, "sixsix");
	stop(&x);
}

static void
long_header(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	size_t n = q->number == 0 ? 20000 : q->number == 1 ? 200000 : 5;
	char *big = malloc(n + 1);

	memset(big, 'h', n);
	big[n] = '\0';
	fake_printf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n"
	    "Content-Length: 0\r\n\r\n", big);
	free(big);
}

static void
long_headers_are_an_error_and_no_more(void **state)
{
	struct ctx x;

	start(&x, long_header, NULL);
	assert_int_equal(ask(&x, HTTP_GET), -EBADMSG);
	assert_non_null(strstr(x.r.err.text, "Content-Encoding"));
	assert_int_equal(ask(&x, HTTP_GET), -EBADMSG); /* libcurl's limit */
	assert_int_equal(ask(&x, HTTP_GET), 0);
	stop(&x);
}

/* --- broken connections ----------------------------------------------------- */

static void
cut_off(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_printf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	fake_close(c);
}

static void
a_body_that_is_cut_off(void **state)
{
	struct ctx x;

	start(&x, cut_off, NULL);
	assert_int_equal(ask(&x, HTTP_GET), -EPIPE); /* H4 */
	assert_true(x.r.sent);
	assert_int_equal(fake_requests(x.fake), 1);
	stop(&x);
}

/* The second request on each connection is read and then hung up on. */
static void
once_only(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	if (q->on_it == 0) {
		fake_answer(c, 200, "", q->method);
		return;
	}
	fake_reset(c);
}

static void
a_kept_connection_dies(void **state)
{
	static char big[300000];
	struct ctx x;

	start(&x, once_only, NULL);
	memset(big, 'b', sizeof(big));
	for (int i = 0; i < 20; i++) { /* H5 */
		enum http_method m = i % 2 ? HTTP_PUT : HTTP_GET;

		x.r.send = big;
		x.r.send_len = m == HTTP_PUT ? sizeof(big) : 0;
		assert_int_equal(ask(&x, m), 0);
		assert_int_equal(x.r.answer.status, 200);
	}
	assert_true(fake_connections(x.fake) >= 20);
	stop(&x);
}

static void
what_is_once_takes_a_new_connection(void **state)
{
	struct ctx x;

	start(&x, once_only, NULL);
	assert_int_equal(ask(&x, HTTP_PUT), 0);
	x.r.once = true;
	assert_int_equal(ask(&x, HTTP_PUT), 0);
	assert_int_equal(x.r.redone, 0);
	assert_int_equal(fake_connections(x.fake), 2);
	assert_int_equal(fake_requests(x.fake), 2);
	stop(&x);
}

static void
hang_up(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_close(c);
}

static void
a_new_connection_dies(void **state)
{
	struct ctx x;

	start(&x, hang_up, NULL);
	assert_int_equal(ask(&x, HTTP_GET), -EPIPE);
	assert_true(x.r.sent);
	assert_int_equal(fake_requests(x.fake), 1); /* not for ever */
	stop(&x);
}

static void
no_http(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_printf(c, "SSH-2.0-OpenSSH_9.2\r\n");
	fake_close(c);
}

static void
what_is_no_http(void **state)
{
	struct ctx x;

	start(&x, no_http, NULL);
	assert_int_equal(ask(&x, HTTP_GET), -EBADMSG);
	assert_non_null(strstr(x.r.err.text, "HTTP server"));
	stop(&x);
}

/* --- no connection ----------------------------------------------------------- */

static void
nobody_there(void **state)
{
	struct ctx x;

	start(&x, NULL, &(struct http_conf){.connect_timeout_ns =
						300 * NS_PER_MS});
	snprintf(x.url, sizeof(x.url), "http://127.0.0.1:1/");
	assert_int_equal(ask(&x, HTTP_GET), -ECONNREFUSED);
	assert_non_null(strstr(x.r.err.text, "nobody listens at 127.0.0.1:1"));
	assert_false(x.r.sent);
	snprintf(x.url, sizeof(x.url), "http://no.such.host.invalid/");
	assert_int_equal(ask(&x, HTTP_GET), -EHOSTUNREACH);
	assert_non_null(strstr(x.r.err.text, "no.such.host.invalid"));
	assert_false(x.r.sent);
	snprintf(x.url, sizeof(x.url), "gopher://h/");
	assert_int_equal(ask(&x, HTTP_GET), -EINVAL);
	stop(&x);
}

/* --- time -------------------------------------------------------------------- */

static void
never(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_sleep_ms(400);
	fake_close(c);
}

static void
deadlines(void **state)
{
	struct ctx x;

	start(&x, never, NULL);
	x.r.deadline_ns = loop_now(x.loop) + 100 * NS_PER_MS;
	assert_int_equal(ask(&x, HTTP_PUT), -ETIMEDOUT);
	assert_true(x.r.sent);
	assert_in_range(took_ms(&x), 90, 390);
	stop(&x);
}

static void
silence(void **state)
{
	struct ctx x;

	start(&x, never, &(struct http_conf){.stall_timeout_ns =
						 150 * NS_PER_MS});
	assert_int_equal(ask(&x, HTTP_GET), -ETIMEDOUT);
	assert_non_null(strstr(x.r.err.text, "silence"));
	assert_true(took_ms(&x) < 1500);
	stop(&x);
}

/* Slow, but never silent for long. */
static void
trickle(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_printf(c, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
	for (int i = 0; i < 12; i++) {
		fake_sleep_ms(100);
		fake_send(c, "t", 1);
	}
}

static void
slow_is_not_silent(void **state)
{
	struct ctx x;

	start(&x, trickle, &(struct http_conf){.stall_timeout_ns =
						   600 * NS_PER_MS});
	assert_int_equal(ask(&x, HTTP_GET), 0);
	assert_int_equal(x.r.recv_len, 12);
	stop(&x);
}

static void
tick(struct loop_timer *t)
{
	struct ctx *x = container_of(t, struct ctx, timer);

	x->done = true;
}

/* Let the loop run for a while. */
static void
run_ms(struct ctx *x, int ms)
{
	x->done = false;
	x->timer.fire = tick;
	assert_int_equal(loop_timer_set(x->loop, &x->timer,
	    loop_now(x->loop) + ms * NS_PER_MS), 0);
	assert_int_equal(loop_run_until(x->loop, &x->done), 0);
}

static void
idle_connections_are_closed(void **state)
{
	struct ctx x;

	start(&x, echo, &(struct http_conf){.idle_ns = 200 * NS_PER_MS});
	assert_int_equal(ask(&x, HTTP_GET), 0);
	run_ms(&x, 20);
	assert_int_equal(ask(&x, HTTP_GET), 0);
	assert_int_equal(fake_connections(x.fake), 1);
	assert_int_equal(fake_open(x.fake), 1);
	for (int i = 0; i < 20 && fake_open(x.fake) > 0; i++)
		run_ms(&x, 100);
	assert_int_equal(fake_open(x.fake), 0); /* H7 */
	assert_int_equal(ask(&x, HTTP_GET), 0); /* and comes back */
	assert_int_equal(fake_connections(x.fake), 2);
	stop(&x);
}

/* --- many ---------------------------------------------------------------------- */

struct many {
	struct ctx *x;
	struct http_req r[300];
	char room[300][16];
	unsigned left;
	bool done;
};

static void
one_done(struct http_req *r)
{
	struct many *m = r->arg;

	if (--m->left == 0)
		m->done = true;
}

static void
submit_many(struct many *m, struct ctx *x, unsigned n)
{
	m->x = x;
	m->left = n;
	m->done = false;
	for (unsigned i = 0; i < n; i++) {
		http_req_init(&m->r[i], HTTP_GET, x->url);
		m->r[i].recv = m->room[i];
		m->r[i].recv_cap = sizeof(m->room[i]);
		m->r[i].done = one_done;
		m->r[i].arg = m;
		http_submit(x->http, &m->r[i]);
	}
}

static void
slow_echo(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_sleep_ms(20);
	fake_answer(c, 200, "", q->method);
}

static void
many_at_once(void **state)
{
	struct many *m = calloc(1, sizeof(*m));
	static struct stat_set shown;
	struct http_stats s;
	struct ctx x;

	start(&x, slow_echo, &(struct http_conf){.max_connections = 50});
	http_use_stats(x.http, &shown);
	submit_many(m, &x, 300);
	http_stats(x.http, &s);
	assert_int_equal(s.active, 50);
	assert_int_equal(s.waiting, 250);
	assert_int_equal(loop_run_until(x.loop, &m->done), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(m->r[i].rc, 0);
		assert_memory_equal(m->room[i], "GET", 3);
		http_req_fini(&m->r[i]);
	}
	assert_int_equal(fake_connections(x.fake), 50);
	assert_int_equal(stat_get(&shown, STAT_HTTP_REQUESTS), 300);
	assert_int_equal(stat_get(&shown, STAT_HTTP_CONNECTS), 50);
	assert_int_equal(stat_get(&shown, STAT_HTTP_REDONE), 0);
	assert_int_equal(shown.hist[HIST_HTTP_FIRST_BYTE].count, 300);
	assert_true(shown.hist[HIST_HTTP_FIRST_BYTE].sum_ns >=
	    300 * 20 * NS_PER_MS);
	stop(&x);
	free(m);
}

static void
cancel_some(void **state)
{
	struct many *m = calloc(1, sizeof(*m));
	struct ctx x;

	start(&x, slow_echo, &(struct http_conf){.max_connections = 10});
	submit_many(m, &x, 30);
	for (int i = 0; i < 30; i += 2) { /* active ones and waiting ones */
		http_cancel(&m->r[i]);
		http_cancel(&m->r[i]); /* again: nothing happens */
	}
	assert_int_equal(m->left, 30); /* H2 */
	assert_int_equal(loop_run_until(x.loop, &m->done), 0);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(m->r[i].rc, i % 2 ? 0 : -ECANCELED);
		http_req_fini(&m->r[i]);
	}
	stop(&x);
	free(m);
}

static void
a_deadline_in_the_queue(void **state)
{
	struct many *m = calloc(1, sizeof(*m));
	struct ctx x;

	start(&x, never, &(struct http_conf){.max_connections = 1});
	m->left = 1;
	submit_many(m, &x, 1);
	x.r.deadline_ns = loop_now(x.loop) + 50 * NS_PER_MS;
	assert_int_equal(ask(&x, HTTP_GET), -EHOSTUNREACH);
	assert_false(x.r.sent);
	assert_in_range(took_ms(&x), 40, 350);
	assert_int_equal(loop_run_until(x.loop, &m->done), 0);
	http_req_fini(&m->r[0]);
	stop(&x);
	free(m);
}

static void
rates(void **state)
{
	static char big[100000];
	struct ctx x;
	int64_t t0;

	start(&x, echo, &(struct http_conf){.max_upload_rate = 500000});
	x.r.recv = NULL;
	x.r.recv_cap = sizeof(big);
	memset(big, 'b', sizeof(big));
	x.r.send = big;
	x.r.send_len = sizeof(big);
	t0 = clock_mono_ns();
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask(&x, HTTP_PUT), 0);
	/* Each begins when those before it are paid for: 300 kB. */
	assert_in_range((clock_mono_ns() - t0) / NS_PER_MS, 350, 1500);
	stop(&x);
}

static void
free_in_done(struct http_req *r)
{
	struct ctx *x = r->arg;

	http_free(x->http);
	x->http = NULL;
	x->done = true;
}

static void
the_engine_is_freed_by_its_last_answer(void **state)
{
	struct ctx x;

	start(&x, echo, NULL);
	x.r.recv = x.room;
	x.r.recv_cap = sizeof(x.room);
	x.r.done = free_in_done;
	x.r.arg = &x;
	http_submit(x.http, &x.r);
	assert_int_equal(loop_run_until(x.loop, &x.done), 0);
	stop(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_methods),
	    cmocka_unit_test(bodies_of_all_sizes),
	    cmocka_unit_test(headers_and_paths_go_out_as_they_are),
	    cmocka_unit_test(chunked_bodies),
	    cmocka_unit_test(bodies_of_errors_are_text),
	    cmocka_unit_test(no_room),
	    cmocka_unit_test(long_headers_are_an_error_and_no_more),
	    cmocka_unit_test(a_body_that_is_cut_off),
	    cmocka_unit_test(a_kept_connection_dies),
	    cmocka_unit_test(what_is_once_takes_a_new_connection),
	    cmocka_unit_test(a_new_connection_dies),
	    cmocka_unit_test(what_is_no_http),
	    cmocka_unit_test(nobody_there),
	    cmocka_unit_test(deadlines),
	    cmocka_unit_test(silence),
	    cmocka_unit_test(slow_is_not_silent),
	    cmocka_unit_test(idle_connections_are_closed),
	    cmocka_unit_test(many_at_once),
	    cmocka_unit_test(cancel_some),
	    cmocka_unit_test(a_deadline_in_the_queue),
	    cmocka_unit_test(rates),
	    cmocka_unit_test(the_engine_is_freed_by_its_last_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

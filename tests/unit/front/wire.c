/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the processes of a mount. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "front/wire.h"

static struct wire_msg m;

static void
text_and_descriptors(void **state)
{
	int s[2], p[2];
	char c = 0;

	assert_int_equal(wire_pair(s), 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(wire_recv(s[1], &m, MSG_DONTWAIT), 0);
	assert_int_equal(wire_say(s[0], WIRE_SORRY, "no"), 0);
	assert_int_equal(wire_send(s[0], WIRE_GIVE, NULL, 0, p, 2), 0);
	assert_int_equal(wire_recv(s[1], &m, 0), 1);
	assert_int_equal(m.type, WIRE_SORRY);
	assert_string_equal((char *)m.body, "no");
	assert_int_equal(m.fds[0], -1);
	assert_int_equal(wire_recv(s[1], &m, 0), 1);
	assert_int_equal(m.type, WIRE_GIVE);
	assert_int_equal(m.len, 0);
	assert_int_equal(write(m.fds[1], "x", 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	wire_drop_fds(&m);
	assert_int_equal(m.fds[0], -1);
	close(p[0]), close(p[1]);
	close(s[0]);
	assert_int_equal(wire_recv(s[1], &m, 0), -EPIPE);
	assert_int_equal(wire_say(s[1], WIRE_GO, ""), -EPIPE);
	assert_int_equal(wire_say(-1, WIRE_GO, ""), -EPIPE);
	close(s[1]);
}

/* What no pail sends: refused, and nothing stays open. */
static void
strange_packets(void **state)
{
	static char big[WIRE_BODY_MAX + 2];
	int s[2], before, after;

	assert_int_equal(wire_pair(s), 0);
	memset(big, 'a', sizeof(big));
	assert_int_equal(send(s[0], big, sizeof(big), 0), sizeof(big));
	assert_int_equal(wire_recv(s[1], &m, 0), -EPROTO);
	/* The longest. */
	assert_int_equal(wire_send(s[0], WIRE_SETTINGS, big, WIRE_BODY_MAX,
	    NULL, 0), 0);
	assert_int_equal(wire_recv(s[1], &m, 0), 1);
	assert_int_equal(m.len, WIRE_BODY_MAX);
	assert_int_equal(m.body[WIRE_BODY_MAX], 0);

	/* Three descriptors are one too many. */
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} a;
	struct iovec v = { big, 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1,
		.msg_control = &a, .msg_controllen = sizeof(a) };
	int fds[3] = { s[0], s[0], s[0] };

	memset(&a, 0, sizeof(a));
	a.h.cmsg_level = SOL_SOCKET;
	a.h.cmsg_type = SCM_RIGHTS;
	a.h.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&a.h), fds, sizeof(fds));
	before = dup(0), close(before);
	assert_int_equal(sendmsg(s[0], &h, 0), 1);
	assert_int_equal(wire_recv(s[1], &m, 0), -EPROTO);
	after = dup(0), close(after);
	assert_int_equal(before, after);
	close(s[0]), close(s[1]);
}

static void
strings(void **state)
{
	uint8_t b[16];
	const char *x, *y;

	assert_int_equal(wire_put_strings(b, sizeof(b), "/mnt/a", "secret"),
	    14);
	assert_int_equal(wire_get_strings(b, 14, &x, &y), 0);
	assert_string_equal(x, "/mnt/a");
	assert_string_equal(y, "secret");
	for (size_t n = 0; n < 14; n++)
		assert_int_equal(wire_get_strings(b, n, &x, &y), -EPROTO);
	assert_int_equal(wire_get_strings(b, 15, &x, &y), -EPROTO);
	assert_int_equal(wire_put_strings(b, 16, "12345678", "1234567"),
	    -ENOBUFS);
	assert_int_equal(wire_put_strings(b, 16, "12345678", "123456"), 16);
	assert_int_equal(wire_put_strings(b, 2, "", ""), 2);
	assert_int_equal(wire_get_strings(b, 2, &x, &y), 0);
	assert_string_equal(y, "");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_descriptors),
		cmocka_unit_test(strange_packets),
		cmocka_unit_test(strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

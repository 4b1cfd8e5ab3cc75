/* SPDX-License-Identifier: Apache-2.0 */
/* The page that outlives a process: what is put in comes out, at the places
 * that docs/restart.md says, and nothing else is believed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/fuse.h>

#include <cmocka.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "front/kept.h"

#define EXT (1u << 30)
#define RESEND (1u << 7) /* of the second word */

static void
fuse_init(struct kept_session *s, uint32_t flags, uint32_t flags2)
{
	struct fuse_in_header h = { .opcode = FUSE_INIT };
	uint32_t words[5] = { 7, 45, 131072, flags, flags2 };

	h.len = sizeof(h) + 64;
	memcpy(s->init, &h, sizeof(h));
	memcpy(s->init + sizeof(h), words, sizeof(words));
	s->init_len = h.len;
}

static void
round_trip(void **state)
{
	struct kept_session s = { .mode = 0640, .uid = 7, .gid = 8,
		.mount_ns = 1, .atime_ns = 2, .mtime_ns = 3, .ctime_ns = -4 };
	struct kept_session t;
	struct kept a, b;
	struct lease_owner o = { .token = 0x12345678 }, p = { .pid = 5 };

	assert_int_equal(kept_new(&a, 10000, NULL), 0);
	assert_int_equal(kept_get_session(&a, &t, NULL), 0);
	assert_int_equal(t.init_len, 0);
	assert_false(kept_can_resend(&a));
	fuse_init(&s, EXT, RESEND);
	kept_put_session(&a, &s);
	strcpy(o.id, "0123456789abcdef0123456789abcdef");
	strcpy(o.when, "20260102T030405Z");
	kept_put_lease(&a, &o);
	kept_add_count(&a, KEPT_CRASHES);
	kept_add_count(&a, KEPT_CRASHES);
	kept_add_count(&a, KEPT_UPGRADES);
	assert_false(kept_needs_journal(&a));
	kept_set_journal(&a, true);

	/* Another process, by the descriptor. */
	assert_int_equal(kept_adopt(&b, dup(a.fd), NULL), 0);
	kept_fini(&a);
	assert_int_equal(kept_get_session(&b, &t, NULL), 0);
	assert_memory_equal(&s, &t, sizeof(s));
	assert_true(kept_can_resend(&b));
	kept_get_lease(&b, &p);
	assert_string_equal(p.id, o.id);
	assert_string_equal(p.when, o.when);
	assert_int_equal(p.token, o.token);
	assert_int_equal(p.pid, 5);
	assert_int_equal(kept_get_count(&b, KEPT_CRASHES), 2);
	assert_int_equal(kept_get_count(&b, KEPT_UPGRADES), 1);
	assert_true(kept_needs_journal(&b));
	kept_set_journal(&b, false);
	assert_false(kept_needs_journal(&b));
	/* The places. */
	assert_memory_equal(b.page, "PAILKEPT\1\0\0\0", 12);
	assert_int_equal(get_le32(b.page + 16), 2);
	assert_int_equal(get_le32(b.page + 24), 0640);
	assert_int_equal(get_le64(b.page + 56), 3);
	assert_int_equal(get_le32(b.page + 76), s.init_len);
	assert_memory_equal(b.page + 80, s.init, s.init_len);
	assert_string_equal((char *)b.page + 336, o.id);
	assert_string_equal((char *)b.page + 376, o.when);
	kept_fini(&b);
}

static void
flags(void **state)
{
	struct kept_session s = { 0 };
	struct kept k;

	assert_int_equal(kept_new(&k, 0, NULL), 0);
	fuse_init(&s, 0, RESEND); /* an old kernel has no second word */
	kept_put_session(&k, &s);
	assert_false(kept_can_resend(&k));
	fuse_init(&s, EXT, ~RESEND);
	kept_put_session(&k, &s);
	assert_false(kept_can_resend(&k));
	kept_fini(&k);
}

static void
not_understood(void **state)
{
	struct kept_session s = { 0 };
	struct err e = ERR_INIT;
	struct kept k, other;

	assert_int_equal(kept_new(&k, 0, NULL), 0);
	assert_int_equal(kept_check(k.page, KEPT_PAGE - 1, &e), -EPROTO);
	k.page[8] = 2;
	assert_int_equal(kept_adopt(&other, dup(k.fd), &e), -EPROTO);
	assert_non_null(strstr(err_text(&e), "version 2"));
	k.page[8] = 1;
	k.page[0] = 'p';
	assert_int_equal(kept_adopt(&other, dup(k.fd), &e), -EPROTO);
	k.page[0] = 'P';
	assert_int_equal(ftruncate(k.fd, 100), 0);
	assert_int_equal(kept_adopt(&other, dup(k.fd), &e), -EPROTO);
	kept_fini(&k);

	/* A FUSE_INIT that is none. */
	assert_int_equal(kept_new(&k, 0, NULL), 0);
	fuse_init(&s, 0, 0);
	kept_put_session(&k, &s);
	put_le32(k.page + 76, KEPT_INIT_MAX + 1);
	assert_int_equal(kept_get_session(&k, &s, &e), -EPROTO);
	put_le32(k.page + 76, 3);
	assert_int_equal(kept_get_session(&k, &s, &e), -EPROTO);
	put_le32(k.page + 76, 100);
	assert_int_equal(kept_get_session(&k, &s, &e), -EPROTO);
	kept_fini(&k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(flags),
		cmocka_unit_test(not_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* FLUSH and failing stores: C4, C5, F1, F2, and what writers are told. */
#include "tests/unit/cache/fake.h"

#define BS 65536u
#define P 4096u

static uint8_t pat[BS], pat2[BS];
static int script_rc;	/* what the scripts below return */
static uint64_t script_block;

static int
setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	for (uint32_t i = 0; i < BS; i++) {
		pat[i] = (uint8_t)(i * 13 + (i >> 8) + 3);
		pat2[i] = (uint8_t)(i * 5 + (i >> 8) + 9);
	}
	rig_init(g, 4096, BS);
	rig_open(g);
	*state = g;
	return 0;
}

static int
teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

static int
fail_changes(struct layout *l, const struct layout_req *r)
{
	return r->op == LAYOUT_WRITE || r->op == LAYOUT_ERASE ? script_rc : 0;
}

static int
fail_all(struct layout *l, const struct layout_req *r)
{
	return script_rc;
}

static int
fail_block(struct layout *l, const struct layout_req *r)
{
	return r->op != LAYOUT_SYNC && r->block == script_block ? script_rc
								 : 0;
}

static int
fail_sync(struct layout *l, const struct layout_req *r)
{
	return r->op == LAYOUT_SYNC ? script_rc : 0;
}

/* --- the barrier --------------------------------------------------------------- */

static void
covers_uploads_in_flight(void **state) /* C4 */
{
	struct rig *g = *state;
	struct ask f;

	g->l->write_ns = 500 * MS;
	must_write(g, 1, 0, BS, pat);
	must_write(g, 2, 0, P, pat); /* sends the first */
	pass(g, 100 * MS);
	assert_int_equal(g->l->nwrite, 1);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 390 * MS);
	assert_false(f.done);
	assert_int_equal(ask_wait(g, &f), 0);
	assert_int_equal(g->l->nsync, 1);
	assert_int_equal(g->l->unsynced, 0);
	assert_memory_equal(g->l->blocks[1].data, pat, BS);
	assert_memory_equal(g->l->blocks[2].data, pat, P);
}

static void
later_writes_do_not_delay_it(void **state)
{
	struct rig *g = *state;
	struct ask f;
	int64_t t0 = loop_now(g->loop);

	must_write(g, 1, 0, P, pat);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	for (int i = 0; !f.done && i < 1000; i++) {
		must_write(g, 1, 0, P, pat2);
		must_write(g, (uint64_t)(2 + i), 0, P, pat2);
		pass(g, MS);
	}
	assert_true(f.done);
	assert_true(f.done_ns - t0 <= 2 * g->l->write_ns + 5 * MS);
}

static void
many_share_one_sync(void **state)
{
	struct rig *g = *state;
	struct ask f[10];

	for (uint64_t i = 0; i < 10; i++) {
		must_write(g, i, 0, P, pat);
		ask(g, &f[i], CACHE_FLUSH, 0, 0, 0, NULL);
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask_wait(g, &f[i]), 0);
	assert_int_equal(g->l->nwrite, 10);
	assert_true(g->l->nsync <= 2);
}

static void
each_sees_what_was_before_it(void **state)
{
	struct rig *g = *state;
	struct ask f1, f2;

	must_write(g, 1, 0, P, pat);
	ask(g, &f1, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 10 * MS);
	must_write(g, 1, 0, P, pat2);
	ask(g, &f2, CACHE_FLUSH, 0, 0, 0, NULL);
	assert_int_equal(ask_wait(g, &f1), 0);
	assert_int_equal(ask_wait(g, &f2), 0);
	assert_memory_equal(g->l->blocks[1].data, pat2, P);
	assert_true(f1.done_ns < f2.done_ns);
}

static void
nothing_to_do(void **state)
{
	struct rig *g = *state;
	struct ask f;

	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	assert_int_equal(ask_wait(g, &f), 0);
	assert_int_equal(g->l->nsync, 0);
}

static void
joins_a_sync_in_flight(void **state)
{
	struct rig *g = *state;
	struct ask f1, f2;

	must_write(g, 1, 0, P, pat);
	ask(g, &f1, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 30 * MS); /* written; the sync is on its way */
	assert_int_equal(g->l->nsync, 1);
	ask(g, &f2, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, MS);
	assert_false(f2.done); /* what it covers is not durable yet */
	assert_int_equal(ask_wait(g, &f1), 0);
	assert_int_equal(ask_wait(g, &f2), 0);
	assert_int_equal(g->l->nsync, 1);
}

/* Data that is dropped by a later ZERO still binds an older FLUSH: after it,
 * the store has the data or the zeros, not what was before. */
static void
zero_inherits_the_number(void **state) /* F1 */
{
	struct rig *g = *state;
	struct ask f;

	fake_fill(g->l, 1);
	fake_fill(g->l, 9);
	g->p.uploads = 1;
	g->l->write_ns = 100 * MS;
	must_write(g, 9, 0, BS, pat);
	must_write(g, 1, 0, P, pat);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	must_zero(g, 1, 0, BS);
	assert_int_equal(ask_wait(g, &f), 0);
	assert_int_equal(layout_present(g->l, 1), PRESENT_NO);
}

static void
write_inherits_the_number_of_an_erase(void **state) /* F1 */
{
	struct rig *g = *state;
	struct ask f;

	fake_fill(g->l, 1);
	must_zero(g, 1, 0, BS);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	must_write(g, 1, 0, P, pat);
	assert_int_equal(ask_wait(g, &f), 0);
	if (g->l->blocks[1].data)
		assert_true(mem_is_zero(g->l->blocks[1].data + P, BS - P));
	must_flush(g);
	assert_memory_equal(g->l->blocks[1].data, pat, P);
	assert_true(mem_is_zero(g->l->blocks[1].data + P, BS - P));
}

/* --- failures ---------------------------------------------------------------------- */

static void
each_flush_fails_until_it_is_safe(void **state) /* C5 */
{
	struct rig *g = *state;
	struct cache_status s;

	g->l->script = fail_changes;
	script_rc = -EACCES;
	must_write(g, 1, 0, P, pat);
	for (int i = 0; i < 5; i++) {
		struct ask f;

		ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
		assert_int_equal(ask_wait(g, &f), -EACCES);
		assert_non_null(strstr(f.r.err.text, "block 1"));
		must_read(g, 1, 0, P, pat);
		cache_get_status(g->c, &s);
		assert_int_equal(s.rc, -EACCES);
		assert_int_equal(s.dirty_blocks, 1);
		assert_true(s.oldest_dirty_ns > 0);
	}
	g->l->script = NULL;
	must_flush(g);
	cache_get_status(g->c, &s);
	assert_int_equal(s.rc, 0);
	assert_int_equal(s.dirty_blocks, 0);
	assert_int_equal(s.dirty_bytes, 0);
	assert_memory_equal(g->l->blocks[1].data, pat, P);
}

static void
it_heals_without_a_flush(void **state)
{
	struct rig *g = *state;

	g->l->script = fail_changes;
	script_rc = -EACCES;
	must_write(g, 1, 0, P, pat);
	must_zero(g, 2, 0, BS);
	fake_fill(g->l, 2);
	pass(g, 100 * NS_PER_S);
	/* Tried again at a growing pace, not in a rush. */
	assert_in_range(g->l->nwrite, 5, 25);
	g->l->script = NULL;
	pass(g, 61 * NS_PER_S);
	assert_memory_equal(g->l->blocks[1].data, pat, P);
	must_flush(g);
}

static void
passing_trouble_is_waited_out(void **state) /* F2 */
{
	struct rig *g = *state;
	struct ask f;

	g->l->script = fail_all;
	script_rc = -EAGAIN;
	must_write(g, 1, 0, P, pat);
	must_zero(g, 5, 0, BS);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 60 * NS_PER_S);
	assert_false(f.done);
	g->l->script = NULL;
	assert_int_equal(ask_wait(g, &f), 0);
	assert_memory_equal(g->l->blocks[1].data, pat, P);
}

static void
but_not_for_ever(void **state) /* F2 */
{
	struct rig *g = *state;
	struct ask f;
	int64_t t0 = loop_now(g->loop);

	g->l->script = fail_all;
	script_rc = -EAGAIN;
	must_write(g, 1, 0, P, pat);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	assert_int_equal(ask_wait(g, &f), -EAGAIN);
	assert_in_range(f.done_ns - t0, g->p.error_deadline_ns,
	    g->p.error_deadline_ns + 61 * NS_PER_S);
	g->l->script = NULL;
	must_flush(g);
}

/* Each try takes long and few are made, so most blocks fail only once. */
static void
nor_while_each_block_waits_for_its_turn(void **state) /* F2 */
{
	struct rig *g = *state;
	struct ask f;
	int64_t t0 = loop_now(g->loop);

	g->l->script = fail_all;
	g->l->write_ns = 33 * NS_PER_S;
	script_rc = -EAGAIN;
	for (uint64_t i = 0; i < 200; i++)
		must_write(g, i, 0, P, pat);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	assert_int_equal(ask_wait(g, &f), -EAGAIN);
	assert_in_range(f.done_ns - t0, g->p.error_deadline_ns,
	    g->p.error_deadline_ns + 61 * NS_PER_S);
	/* The next one need not wait so long for the same trouble. */
	t0 = loop_now(g->loop);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	assert_int_equal(ask_wait(g, &f), -EAGAIN);
	assert_true(f.done_ns - t0 < 61 * NS_PER_S);
	g->l->script = NULL;
	g->l->write_ns = MS;
	must_flush(g);
}

static void
one_bad_block_does_not_hold_up_the_others(void **state)
{
	struct rig *g = *state;
	struct ask f;
	int64_t t0;

	fake_fill(g->l, 7);
	g->l->script = fail_block;
	script_block = 7;
	script_rc = -EBADMSG;
	for (uint64_t b = 0; b < 60; b++)
		must_write(g, b, 0, P, pat);
	t0 = loop_now(g->loop);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	assert_int_equal(ask_wait(g, &f), -EBADMSG);
	assert_non_null(strstr(f.r.err.text, "block 7"));
	assert_true(f.done_ns - t0 < NS_PER_S);
	pass(g, 2 * NS_PER_S);
	assert_int_equal(layout_count_present(g->l), 60);
	g->l->script = NULL;
	must_flush(g);
	assert_memory_equal(g->l->blocks[7].data, pat, P);
	assert_int_equal(g->l->blocks[7].data[P], fake_byte(7, P));
}

static void
what_failed_comes_with_what_was_written_since(void **state)
{
	struct rig *g = *state;
	struct ask f;

	must_write(g, 1, 0, BS, pat);
	g->l->script = fail_changes;
	script_rc = -EACCES;
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 5 * MS);
	must_write(g, 1, P, P, pat2);
	assert_int_equal(ask_wait(g, &f), -EACCES);
	must_write(g, 1, 5 * P, 100, pat2);
	g->l->script = NULL;
	must_flush(g);
	assert_memory_equal(g->l->blocks[1].data, pat, P);
	assert_memory_equal(g->l->blocks[1].data + P, pat2, P);
	assert_memory_equal(g->l->blocks[1].data + 5 * P, pat2, 100);
	assert_memory_equal(
	    g->l->blocks[1].data + 6 * P, pat + 6 * P, BS - 6 * P);
}

static void
a_failed_sync_is_done_again(void **state)
{
	struct rig *g = *state;

	g->l->script = fail_sync;
	script_rc = -EIO;
	must_write(g, 1, 0, P, pat);
	assert_int_equal(do_ask(g, CACHE_FLUSH, 0, 0, 0, NULL), -EIO);
	assert_int_equal(do_ask(g, CACHE_FLUSH, 0, 0, 0, NULL), -EIO);
	g->l->script = NULL;
	must_flush(g);
	assert_int_equal(g->l->unsynced, 0);
	assert_int_equal(g->l->nsync, 3);
}

static void
a_failed_erase_is_reported_and_done_again(void **state)
{
	struct rig *g = *state;

	for (uint64_t b = 0; b < 10; b++)
		fake_fill(g->l, b);
	g->l->script = fail_changes;
	script_rc = -EACCES;
	must_zero(g, 0, 0, 10 * (uint64_t)BS);
	assert_int_equal(do_ask(g, CACHE_FLUSH, 0, 0, 0, NULL), -EACCES);
	must_write(g, 3, P, P, pat);
	assert_int_equal(do_ask(g, CACHE_FLUSH, 0, 0, 0, NULL), -EACCES);
	g->l->script = NULL;
	must_flush(g);
	assert_int_equal(layout_count_present(g->l), 1);
	assert_true(mem_is_zero(g->l->blocks[3].data, P));
	assert_memory_equal(g->l->blocks[3].data + P, pat, P);
}

/* Not by waiting: only those who write can make room in a store that is full. */
static void
a_full_store_is_told_at_once(void **state)
{
	struct rig *g = *state;
	struct ask a[400];
	unsigned ok = 0, full = 0;
	int64_t t0 = loop_now(g->loop);

	g->l->script = fail_all;
	script_rc = -ENOSPC;
	for (uint64_t i = 0; i < 400; i++)
		ask(g, &a[i], CACHE_WRITE, i, 0, BS, pat);
	for (uint64_t i = 0; i < 400; i++) {
		int rc = ask_wait(g, &a[i]);

		ok += rc == 0;
		full += rc == -ENOSPC;
	}
	assert_int_equal(ok + full, 400);
	assert_true(ok > 100 && full > 100);
	assert_true(loop_now(g->loop) - t0 < 10 * NS_PER_S);
	assert_int_equal(do_ask(g, CACHE_FLUSH, 0, 0, 0, NULL), -ENOSPC);
	g->l->script = NULL;
	must_flush(g);
	for (uint64_t i = 0; i < 400; i++)
		if (a[i].r.rc == 0)
			assert_memory_equal(g->l->blocks[i].data, pat, BS);
}

static void
writers_without_room_are_told_at_last(void **state)
{
	struct rig *g = *state;
	struct ask a[400];
	unsigned ok = 0, eio = 0;
	int64_t t0 = loop_now(g->loop);

	g->l->script = fail_all;
	script_rc = -EAGAIN;
	for (uint64_t i = 0; i < 400; i++)
		ask(g, &a[i], CACHE_WRITE, i, 0, BS, pat);
	for (uint64_t i = 0; i < 400; i++) {
		int rc = ask_wait(g, &a[i]);

		ok += rc == 0;
		eio += rc == -EIO;
		if (rc == -EIO)
			assert_non_null(strstr(a[i].r.err.text, "uploads"));
	}
	assert_int_equal(ok + eio, 400);
	assert_true(ok > 100 && eio > 100);
	assert_true(loop_now(g->loop) - t0 < 2 * g->p.error_deadline_ns);
	/* Nothing that was acknowledged is lost. */
	g->l->script = NULL;
	must_flush(g);
	for (uint64_t i = 0; i < 400; i++)
		if (a[i].r.rc == 0)
			assert_memory_equal(g->l->blocks[i].data, pat, BS);
		else
			assert_int_equal(
			    layout_present(g->l, i), PRESENT_NO);
	must_write(g, 300, 0, BS, pat2);
	must_flush(g);
}

/* --- reads that fail ------------------------------------------------------------------ */

static void
a_refused_read_fails_at_once(void **state)
{
	struct rig *g = *state;
	struct ask a, b;

	fake_fill(g->l, 7);
	g->l->script = fail_block;
	script_block = 7;
	script_rc = -EBADMSG;
	ask(g, &a, CACHE_READ, 7, 0, P, NULL);
	ask(g, &b, CACHE_READ, 7, 100, 5000, NULL);
	assert_int_equal(ask_wait(g, &a), -EBADMSG);
	assert_int_equal(ask_wait(g, &b), -EBADMSG);
	assert_non_null(strstr(a.r.err.text, "block 7"));
	assert_int_equal(do_ask(g, CACHE_WRITE, 7, 100, 100, pat), -EBADMSG);
	g->l->script = NULL;
	must_read_filled(g, 7, 0, BS);
}

static void
a_read_waits_out_passing_trouble(void **state)
{
	struct rig *g = *state;
	struct ask a;

	fake_fill(g->l, 7);
	g->l->script = fail_all;
	script_rc = -ETIMEDOUT;
	ask(g, &a, CACHE_READ, 7, 0, P, NULL);
	pass(g, 60 * NS_PER_S);
	assert_false(a.done);
	assert_in_range(g->l->nread, 10, 25);
	g->l->script = NULL;
	assert_int_equal(ask_wait(g, &a), 0);
	cache_req_fini(&a.r);

	g->l->script = fail_all;
	ask(g, &a, CACHE_READ, 7, 8 * P, P, NULL);
	assert_int_equal(ask_wait(g, &a), -ETIMEDOUT);
	g->l->script = NULL;
	must_read_filled(g, 7, 0, BS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(covers_uploads_in_flight),
	    T(later_writes_do_not_delay_it),
	    T(many_share_one_sync),
	    T(each_sees_what_was_before_it),
	    T(nothing_to_do),
	    T(joins_a_sync_in_flight),
	    T(zero_inherits_the_number),
	    T(write_inherits_the_number_of_an_erase),
	    T(each_flush_fails_until_it_is_safe),
	    T(it_heals_without_a_flush),
	    T(passing_trouble_is_waited_out),
	    T(but_not_for_ever),
	    T(nor_while_each_block_waits_for_its_turn),
	    T(one_bad_block_does_not_hold_up_the_others),
	    T(what_failed_comes_with_what_was_written_since),
	    T(a_failed_sync_is_done_again),
	    T(a_failed_erase_is_reported_and_done_again),
	    T(a_full_store_is_told_at_once),
	    T(writers_without_room_are_told_at_last),
	    T(a_refused_read_fails_at_once),
	    T(a_read_waits_out_passing_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a mount ends: paths through the states of front/ending.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "front/ending.h"

/* Each event brings the state after it. */
struct step {
	enum ending_event event;
	enum ending_state then;
};

static void
walk(const struct step *steps, size_t n)
{
	enum ending_state s = SERVING;

	for (size_t i = 0; i < n; i++) {
		s = ending_next(s, steps[i].event);
		assert_string_equal(
		    ending_name(s), ending_name(steps[i].then));
	}
}
#define WALK(...) \
	walk((const struct step[]){__VA_ARGS__}, \
	    sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void
somebody_unmounts(void **state)
{
	WALK({END_SESSION_OVER, STOPPING}, {END_IDLE, FLUSHING},
	    {END_FLUSHED, CLOSING});
}

static void
told_by_a_signal(void **state)
{
	WALK({END_SIGNAL, UNMOUNTING}, {END_SESSION_OVER, STOPPING},
	    {END_DETACHED, STOPPING}, {END_IDLE, FLUSHING},
	    {END_FLUSHED, CLOSING});
	/* Somebody still has it open: we stop all the same. */
	WALK({END_SIGNAL, UNMOUNTING}, {END_DETACHED, STOPPING},
	    {END_SESSION_OVER, STOPPING}, {END_IDLE, FLUSHING});
}

static void
the_store_recovers(void **state)
{
	WALK({END_SESSION_OVER, STOPPING}, {END_IDLE, FLUSHING},
	    {END_FLUSH_FAILED, PAUSING}, {END_PAUSE_OVER, FLUSHING},
	    {END_FLUSH_FAILED, PAUSING}, {END_PAUSE_OVER, FLUSHING},
	    {END_FLUSHED, CLOSING});
}

/* Data is given up only on a second word or when there is no hope. */
static void
giving_up(void **state)
{
	WALK({END_SIGNAL, UNMOUNTING}, {END_SIGNAL, GIVING_UP});
	WALK({END_SESSION_OVER, STOPPING}, {END_SIGNAL, GIVING_UP});
	WALK({END_SESSION_OVER, STOPPING}, {END_NO_PROGRESS, GIVING_UP});
	WALK({END_SESSION_OVER, STOPPING}, {END_IDLE, FLUSHING},
	    {END_SIGNAL, GIVING_UP});
	WALK({END_SESSION_OVER, STOPPING}, {END_IDLE, FLUSHING},
	    {END_FLUSH_FAILED, PAUSING}, {END_NO_PROGRESS, GIVING_UP});
	WALK({END_NO_PROGRESS, SERVING}, {END_FLUSH_FAILED, SERVING});
}

/* To a successor; whatever goes wrong, we go on. */
static void
handing_over(void **state)
{
	WALK({END_HAND_OVER, SAVING}, {END_FLUSHED, DRAINING},
	    {END_IDLE, SEALING}, {END_FLUSHED, LEAVING},
	    {END_SIGNAL, LEAVING}, {END_TOO_LONG, LEAVING});
	WALK({END_HAND_OVER, SAVING}, {END_FLUSH_FAILED, SERVING},
	    {END_HAND_OVER, SAVING}, {END_IDLE, SAVING},
	    {END_FLUSHED, DRAINING}, {END_FLUSHED, DRAINING},
	    {END_TOO_LONG, SERVING}, {END_FLUSHED, SERVING});
	WALK({END_HAND_OVER, SAVING}, {END_FLUSHED, DRAINING},
	    {END_IDLE, SEALING}, {END_FLUSH_FAILED, SERVING});
	WALK({END_HAND_OVER, SAVING}, {END_FLUSHED, DRAINING},
	    {END_IDLE, SEALING}, {END_TOO_LONG, SERVING});
	/* Told to end meanwhile: by the way that it would have been. */
	WALK({END_HAND_OVER, SAVING}, {END_SESSION_OVER, STOPPING});
	WALK({END_HAND_OVER, SAVING}, {END_SIGNAL, UNMOUNTING});
	WALK({END_HAND_OVER, SAVING}, {END_FLUSHED, DRAINING},
	    {END_SIGNAL, UNMOUNTING}, {END_IDLE, UNMOUNTING},
	    {END_DETACHED, STOPPING});
	WALK({END_SIGNAL, UNMOUNTING}, {END_HAND_OVER, UNMOUNTING});
}

static void
ends_stay(void **state)
{
	for (int ev = END_SIGNAL; ev <= END_TOO_LONG; ev++) {
		assert_int_equal(ending_next(CLOSING, ev), CLOSING);
		assert_int_equal(ending_next(GIVING_UP, ev), GIVING_UP);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(somebody_unmounts),
		cmocka_unit_test(told_by_a_signal),
		cmocka_unit_test(the_store_recovers),
		cmocka_unit_test(giving_up),
		cmocka_unit_test(handing_over),
		cmocka_unit_test(ends_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The holder, with processes that only pretend to serve.
 *
 * What stands for the kernel's device is the writing end of a pipe: as long as
 * anybody has it the mount is alive, and its other end tells when that is over.
 * Who is allowed to serve says so by a letter through another pipe: 'o' from
 * the old program, 'n' from the new one, which is this test, executed again.
 * An upgrade that goes wrong at each of its steps in turn must end with 'o'.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "front/holder.h"
#include "front/kept.h"
#include "front/wire.h"

#define REPORT_FD 77 /* inherited by all */
#define TEN_S 10000

/* Where the new program goes wrong; in the environment of all. */
#define STEP "TEST_STEP"
static const char *const steps[] = { "exit-at-once", "killed-before-hello",
	"hello-and-exit", "child-exits", "child-killed", "child-fails",
	"holder-killed", NULL };

static bool
step_is(const char *name)
{
	const char *s = getenv(STEP);

	return s != NULL && strcmp(s, name) == 0;
}

static void
report(char c)
{
	if (write(REPORT_FD, &c, 1) != 1)
		_exit(3);
}

/* --- one that pretends to serve ----------------------------------------------- */

static struct wire_msg msg;

/* The kernel sends again, and nothing is lost. */
static void
survive(struct kept *k)
{
	struct kept_session s = { 0 };
	struct fuse_in_header h = { .opcode = FUSE_INIT };
	uint32_t words[5] = { 7, 45, 131072, 1u << 30, 1u << 7 };

	h.len = sizeof(h) + 64;
	memcpy(s.init, &h, sizeof(h));
	memcpy(s.init + sizeof(h), words, sizeof(words));
	s.init_len = h.len;
	kept_put_session(k, &s);
	ledger_start(k, NULL);
}

__attribute__((noreturn)) static void
pretend(const struct hold_start *s, char letter)
{
	if (letter == 'n') {
		if (step_is("child-exits"))
			_exit(4);
		if (step_is("child-killed"))
			raise(SIGKILL);
		if (step_is("child-fails")) {
			wire_say(s->sock, WIRE_FAILED, "I had a bad day");
			_exit(4);
		}
	}
	if (!s->resume) {
		int p = atoi(getenv("TEST_DEVICE"));

		wire_send(s->sock, WIRE_MOUNTED, NULL, 0, &p, 1);
		close(p);
		if (getenv("TEST_SURVIVES"))
			survive(s->kept);
	} else if (fcntl(s->device, F_GETFD) < 0) {
		_exit(5);
	} else if (getenv("TEST_LOOP")) {
		raise(SIGKILL);
	}
	if (letter == 'n' && step_is("holder-killed"))
		kill(getppid(), SIGKILL); /* and so are we */
	wire_say(s->sock, WIRE_READY, "");
	bool told = false;

	while (wire_recv(s->sock, &msg, 0) == 1) {
		if (msg.type == WIRE_GO) {
			told = true;
			prctl(PR_SET_PDEATHSIG, 0);
			report(letter);
		} else if (msg.type == WIRE_DRAIN && getenv("TEST_REFUSE")) {
			wire_say(s->sock, WIRE_REFUSED, "not now");
			unsetenv("TEST_REFUSE");
		} else if (msg.type == WIRE_DRAIN && getenv("TEST_CRASH")) {
			kill(getpid(), SIGKILL);
		} else if (msg.type == WIRE_DRAIN) {
			wire_say(s->sock, WIRE_DRAINED, "");
			_exit(0);
		}
	}
	if (told)
		report('-'); /* the holder is gone */
	_exit(0);
}

static void
settled(void *arg)
{
	report('!');
}

static void
failed(void *arg, const char *sentence)
{
	report('?');
}

static char *argv_next[] = { (char *)(uintptr_t) "next", NULL };

__attribute__((noreturn)) static void
hold(struct takeover *t, char letter, bool foreground)
{
	const struct holder_params p = { .what = "test", .dir = "/mnt/test",
		.secret = "open sesame", .argv = argv_next,
		.foreground = foreground, .takeover = t, .settled = settled,
		.failed = failed, .pause_ns = 1000000 };
	const struct hold_start *start;
	struct holder *h;
	struct err e = ERR_INIT;
	int status;

	log_open("holder", LOG_LVL_ERROR, false);
	if (holder_new(&p, &h, &e) < 0)
		_exit(6);
	if (t == NULL)
		dprintf(REPORT_FD, "%08d", (int)getpid());
	if (holder_run(h, &start, &status) == HOLDER_SERVE)
		pretend(start, letter);
	holder_free(h);
	_exit(status);
}

/* The new program. */
static int
next(void)
{
	static struct takeover t;
	struct err e = ERR_INIT;

	if (step_is("exit-at-once"))
		return 9;
	if (takeover_begin(&t, &e) != 1 ||
	    strcmp(t.dir, "/mnt/test") != 0 ||
	    strcmp(t.secret, "open sesame") != 0 ||
	    getenv("PAIL_TAKEOVER") != NULL)
		return 10;
	if (step_is("killed-before-hello"))
		raise(SIGKILL);
	if (step_is("hello-and-exit")) {
		wire_say(t.sock, WIRE_HELLO, "0");
		return 11;
	}
	hold(&t, 'n', false);
}

/* --- the test's side ---------------------------------------------------------------- */

struct mount {
	pid_t holder;
	int device; /* the reading end: closed for ever when the mount is over */
	int reports;
	char name[64];
};

static char
next_report(struct mount *m)
{
	struct pollfd p = { .fd = m->reports, .events = POLLIN };
	char c;

	if (poll(&p, 1, TEN_S) != 1 || read(m->reports, &c, 1) != 1)
		return 0;
	return c;
}

static void
begin(struct mount *m, bool foreground)
{
	int dev[2], rep[2];
	char text[16] = "";

	assert_int_equal(pipe(dev), 0);
	assert_int_equal(pipe(rep), 0);
	m->holder = fork();
	if (m->holder == 0) {
		snprintf(text, sizeof(text), "%d", dev[1]);
		setenv("TEST_DEVICE", text, 1);
		fcntl(dev[1], F_SETFD, FD_CLOEXEC);
		dup2(rep[1], REPORT_FD);
		/* Only who serves has the device from the beginning. */
		close(dev[0]), close(rep[0]), close(rep[1]);
		hold(NULL, 'o', foreground);
	}
	close(dev[1]), close(rep[1]);
	m->device = dev[0];
	m->reports = rep[0];
	assert_int_equal(read(m->reports, text, 8), 8);
	snprintf(m->name, sizeof(m->name), "pail-holder-%d", atoi(text));
	/* Told to serve, and settled: in either order. */
	assert_int_equal(next_report(m) + next_report(m), 'o' + '!');
}

/* Ask for an upgrade to this program; the answer's letter. */
static char
upgrade(struct mount *m)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int fds[2] = { open("/proc/self/exe", O_RDONLY), STDERR_FILENO };
	struct pollfd p = { .fd = s, .events = POLLIN };
	char type = 0;

	strcpy(a.sun_path + 1, m->name);
	assert_int_equal(connect(s, (struct sockaddr *)&a,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
		strlen(m->name))), 0);
	assert_int_equal(wire_send(s, WIRE_DRAIN, NULL, 0, fds, 2), 0);
	if (poll(&p, 1, 3 * TEN_S) == 1 && wire_recv(s, &msg, 0) == 1)
		type = msg.type;
	close(fds[0]);
	close(s);
	return type;
}

/* The same; a program that was killed before may still have to be waited for. */
static char
upgrade_at_last(struct mount *m)
{
	char c;

	while ((c = upgrade(m)) == WIRE_SORRY &&
	    strstr((char *)msg.body, "just being") != NULL)
		usleep(10000);
	return c;
}

static bool
is_over(struct mount *m, int ms)
{
	struct pollfd p = { .fd = m->device, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && (p.revents & POLLHUP) != 0;
}

static int
end(struct mount *m)
{
	int status = 0;

	kill(m->holder, SIGTERM);
	assert_int_equal(waitpid(m->holder, &status, 0), m->holder);
	assert_true(is_over(m, TEN_S));
	close(m->device);
	close(m->reports);
	return status;
}

static void
in_the_background(void **state)
{
	struct mount m;
	int status;

	unsetenv(STEP);
	begin(&m, false);
	assert_int_equal(upgrade(&m), WIRE_DONE);
	assert_non_null(strstr((char *)msg.body, "version"));
	assert_int_equal(next_report(&m) + next_report(&m), 'n' + '!');
	/* The old holder is gone, the mount is not. */
	assert_int_equal(waitpid(m.holder, &status, 0), m.holder);
	assert_int_equal(status, 0);
	assert_false(is_over(&m, 0));
	/* And once more, by the new one. */
	int next_pid = atoi((char *)msg.body + strlen("process "));
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", next_pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(path, sizeof(path), f) != NULL)
		if (sscanf(path, "PPid: %d", &m.holder) == 1)
			break;
	fclose(f);
	snprintf(m.name, sizeof(m.name), "pail-holder-%d", (int)m.holder);
	assert_int_equal(upgrade(&m), WIRE_DONE);
	assert_int_equal(next_report(&m) + next_report(&m), 'n' + '!');
	next_pid = atoi((char *)msg.body + strlen("process "));
	kill(next_pid, SIGKILL); /* a crash is the end of it */
	assert_true(is_over(&m, TEN_S));
	close(m.device);
	close(m.reports);
}

/* Who waits for the first process waits for the last one, and his signals
 * reach it. */
static void
in_the_foreground(void **state)
{
	struct mount m;

	unsetenv(STEP);
	begin(&m, true);
	assert_int_equal(upgrade(&m), WIRE_DONE);
	assert_int_equal(next_report(&m) + next_report(&m), 'n' + '!');
	usleep(50000);
	assert_int_equal(waitpid(m.holder, NULL, WNOHANG), 0);
	assert_false(is_over(&m, 0));
	int status = end(&m);

	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) >= 128); /* of that signal */
}

static void
every_step_fails(void **state)
{
	for (unsigned i = 0; steps[i] != NULL; i++) {
		struct mount m;

		setenv(STEP, steps[i], 1);
		begin(&m, false);
		print_message("%s\n", steps[i]);
		for (unsigned again = 0; again < 2; again++) {
			assert_int_equal(upgrade(&m), WIRE_SORRY);
			assert_non_null(strstr((char *)msg.body,
			    "the old program goes on"));
			if (i == 5)
				assert_non_null(strstr((char *)msg.body,
				    "I had a bad day"));
			/* Before hello nobody had to stop. */
			if (i >= 2)
				assert_int_equal(next_report(&m), 'o');
			assert_false(is_over(&m, 0));
		}
		end(&m);
	}
	unsetenv(STEP);
}

static void
the_old_one_refuses(void **state)
{
	struct mount m;

	setenv("TEST_REFUSE", "1", 1);
	begin(&m, false);
	unsetenv("TEST_REFUSE");
	assert_int_equal(upgrade(&m), WIRE_SORRY);
	assert_string_equal((char *)msg.body, "not now");
	assert_false(is_over(&m, 50));
	assert_int_equal(upgrade_at_last(&m), WIRE_DONE);
	assert_int_equal(next_report(&m) + next_report(&m), 'n' + '!');
	kill(atoi((char *)msg.body + strlen("process ")), SIGTERM);
	assert_true(is_over(&m, TEN_S));
	assert_int_equal(waitpid(m.holder, NULL, 0), m.holder);
	close(m.device);
	close(m.reports);
}

/* What it had not written is gone: nobody may go on (T8). */
static void
a_crash_while_draining(void **state)
{
	struct mount m;
	int status;

	setenv("TEST_CRASH", "1", 1);
	begin(&m, false);
	unsetenv("TEST_CRASH");
	assert_int_equal(upgrade(&m), WIRE_SORRY);
	assert_non_null(strstr((char *)msg.body, "signal"));
	assert_true(is_over(&m, TEN_S));
	assert_int_equal(waitpid(m.holder, &status, 0), m.holder);
	assert_int_equal(WEXITSTATUS(status), 1);
	close(m.device);
	close(m.reports);
}

/* Nothing is lost by its death: another one goes on (T7). */
static void
a_crash_that_loses_nothing(void **state)
{
	struct mount m;

	setenv("TEST_SURVIVES", "1", 1);
	setenv("TEST_CRASH", "1", 1);
	begin(&m, false);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(upgrade_at_last(&m), WIRE_SORRY); /* crashes */
		assert_int_equal(next_report(&m), 'o');
		assert_false(is_over(&m, 0));
		if (i % 4 == 3) /* some service: all is well again */
			usleep(300000);
	}
	unsetenv("TEST_CRASH");
	end(&m);
	unsetenv("TEST_SURVIVES");
}

/* Again and again: an end, in words (T9). */
static void
a_crash_loop(void **state)
{
	struct mount m;
	int status;

	setenv("TEST_SURVIVES", "1", 1);
	setenv("TEST_CRASH", "1", 1);
	setenv("TEST_LOOP", "1", 1);
	begin(&m, false);
	unsetenv("TEST_LOOP");
	unsetenv("TEST_CRASH");
	unsetenv("TEST_SURVIVES");
	assert_int_equal(upgrade(&m), WIRE_SORRY);
	assert_true(is_over(&m, TEN_S));
	assert_int_equal(waitpid(m.holder, &status, 0), m.holder);
	assert_int_equal(WEXITSTATUS(status), 1);
	close(m.device);
	close(m.reports);
}

static void
the_holder_is_killed(void **state)
{
	struct mount m;

	begin(&m, false);
	kill(m.holder, SIGKILL);
	assert_int_equal(next_report(&m), '-'); /* still there to say so */
	assert_int_equal(waitpid(m.holder, NULL, 0), m.holder);
	assert_true(is_over(&m, TEN_S)); /* and then it ended by itself */
	close(m.device);
	close(m.reports);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_background),
		cmocka_unit_test(in_the_foreground),
		cmocka_unit_test(every_step_fails),
		cmocka_unit_test(the_old_one_refuses),
		cmocka_unit_test(a_crash_while_draining),
		cmocka_unit_test(a_crash_that_loses_nothing),
		cmocka_unit_test(a_crash_loop),
		cmocka_unit_test(the_holder_is_killed),
	};

	if (getenv("PAIL_TAKEOVER") != NULL)
		return next();
	/* Those whose holders have ended are ours to wait for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions at a real pseudo-terminal: a child has it as its controlling
 * terminal and asks; the test types and looks at what is shown and at the
 * modes that are left behind.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "cli/prompt.h"

#define SECRET "s3cret word"

/* What the child does: exits 0 if the answer is SECRET, else with the errno. */
enum ask { ASK_ONCE, ASK_TWICE, ASK_LINE, ASK_YES, ASK_NO_TTY, ASK_LATE };

static int
child(enum ask what)
{
	char answer[PROMPT_MAX];
	struct err e = ERR_INIT;
	bool yes;
	int rc;

	alarm(20);
	if (what == ASK_NO_TTY)
		setsid();
	if (what == ASK_LATE) {
		/* A signal that came before anybody waits for an answer. */
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGINT);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGINT);
	}
	if (what == ASK_YES) {
		rc = prompt_yes("Really? ", "--force", &yes, &e);
		return rc < 0 ? -rc : yes ? 0 : 99;
	}
	if (what == ASK_LINE)
		rc = prompt_line("Name: ", "--force", answer, &e);
	else
		rc = prompt_password("Password: ", what == ASK_TWICE,
		    "--password-file FILE", answer, &e);
	if (rc < 0)
		return strstr(err_text(&e), "--password-file") != NULL ||
			rc != -ENOTTY
		    ? -rc
		    : 98;
	return strcmp(answer, SECRET) == 0 ? 0 : 97;
}

struct term {
	int fd;
	pid_t pid;
	char seen[4096];
	size_t nseen;
};

static void
term_start(struct term *t, enum ask what)
{
	*t = (struct term){0};
	t->pid = forkpty(&t->fd, NULL, NULL, NULL);
	assert_true(t->pid >= 0);
	if (t->pid > 0)
		return;
	/* Who runs the tests in the background may have it ignored. */
	signal(SIGINT, SIG_DFL);
	_exit(child(what));
}

/* Wait until text was shown, after what was waited for before. */
static void
term_expect(struct term *t, const char *text)
{
	char *found;

	while ((found = strstr(t->seen, text)) == NULL) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, 20000), 1);
		n = read(t->fd, t->seen + t->nseen,
		    sizeof(t->seen) - 1 - t->nseen);
		assert_true(n > 0);
		t->nseen += (size_t)n;
		t->seen[t->nseen] = '\0';
	}
	found += strlen(text);
	t->nseen -= (size_t)(found - t->seen);
	memmove(t->seen, found, t->nseen + 1);
}

static void
term_type(struct term *t, const char *s)
{
	assert_int_equal(write(t->fd, s, strlen(s)), strlen(s));
}

/* The wait status; what was still shown is in seen. */
static int
term_end(struct term *t)
{
	int status;
	ssize_t n;

	while ((n = read(t->fd, t->seen + t->nseen,
		    sizeof(t->seen) - 1 - t->nseen)) > 0) {
		t->nseen += (size_t)n;
		t->seen[t->nseen] = '\0';
	}
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	close(t->fd);
	return status;
}

static void
password_is_not_shown(void **state)
{
	struct term t;
	int status;

	term_start(&t, ASK_ONCE);
	term_expect(&t, "Password: ");
	term_type(&t, SECRET "\n");
	status = term_end(&t);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_null(strstr(t.seen, "s3cret"));
}

static void
password_is_compared(void **state)
{
	struct term t;
	int status;

	term_start(&t, ASK_TWICE);
	term_expect(&t, "Password: ");
	term_type(&t, SECRET "\n");
	term_expect(&t, "again: ");
	term_type(&t, "typo\n");
	term_expect(&t, "differ");
	term_expect(&t, "Password: ");
	term_type(&t, SECRET "\n");
	term_expect(&t, "again: ");
	term_type(&t, SECRET "\n");
	status = term_end(&t);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_null(strstr(t.seen, "s3cret"));
}

static void
three_mistakes_are_enough(void **state)
{
	struct term t;
	int status;

	term_start(&t, ASK_TWICE);
	for (int i = 0; i < 3; i++) {
		term_expect(&t, "Password: ");
		term_type(&t, "\n");
		term_expect(&t, "again: ");
		term_type(&t, "\n");
		term_expect(&t, "empty");
	}
	status = term_end(&t);
	assert_int_equal(WEXITSTATUS(status), EINVAL);
}

static void
interrupt_restores_the_echo(void **state)
{
	struct termios before, after;
	struct term t;
	int status, slave;

	term_start(&t, ASK_ONCE);
	/* Keep the other side open, so that its modes can be asked for. */
	slave = open(ptsname(t.fd), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	term_expect(&t, "Password: ");
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_false(before.c_lflag & ECHO);
	term_type(&t, "\003");
	assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGINT);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_true(after.c_lflag & ECHO);
	close(slave);
	close(t.fd);
}

static void
signal_before_the_wait_is_seen(void **state)
{
	struct term t;

	term_start(&t, ASK_LATE);
	assert_int_equal(WEXITSTATUS(term_end(&t)), EINTR);
}

static void
line_is_read(void **state)
{
	struct term t;

	term_start(&t, ASK_LINE);
	term_expect(&t, "Name: ");
	term_type(&t, SECRET "\n");
	assert_int_equal(WEXITSTATUS(term_end(&t)), 0);
}

static void
end_of_file_is_no_answer(void **state)
{
	struct term t;

	term_start(&t, ASK_LINE);
	term_expect(&t, "Name: ");
	term_type(&t, "\004");
	assert_int_equal(WEXITSTATUS(term_end(&t)), EPIPE);
}

static void
only_yes_is_yes(void **state)
{
	static const struct {
		const char *answer;
		int status;
	} all[] = {{"y\n", 0}, {"yes\n", 0}, {"n\n", 99}, {"\n", 99},
	    {"yess\n", 99}, {"Y \n", 99}};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct term t;

		term_start(&t, ASK_YES);
		term_expect(&t, "Really? ");
		term_type(&t, all[i].answer);
		assert_int_equal(WEXITSTATUS(term_end(&t)), all[i].status);
	}
}

static void
without_a_terminal_the_option_is_named(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(child(ASK_NO_TTY));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), ENOTTY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(password_is_not_shown),
	    cmocka_unit_test(password_is_compared),
	    cmocka_unit_test(three_mistakes_are_enough),
	    cmocka_unit_test(interrupt_restores_the_echo),
	    cmocka_unit_test(signal_before_the_wait_is_seen),
	    cmocka_unit_test(line_is_read),
	    cmocka_unit_test(end_of_file_is_no_answer),
	    cmocka_unit_test(only_yes_is_yes),
	    cmocka_unit_test(without_a_terminal_the_option_is_named),
	};

	return cmocka_run_group_tests_name("prompt", tests, NULL, NULL);
}

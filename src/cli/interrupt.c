/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of a tool.
 *
 * Ending at once is done by the signal itself, with its default action
 * restored: that is what a shell wants to see.  Nothing is lost by it that was
 * not in flight; a lease that stays behind is taken over by the next pail on
 * this machine.
 *
 * A loop that waits is woken by any signal, so a deferred one is noticed as
 * soon as the work's next timer asks.  Signals that were ignored when the
 * program began (nohup) stay ignored.  Everything in the handler is
 * async-signal-safe.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/progress.h"

static volatile sig_atomic_t asked, deferred;
static const char *volatile advice_text;

static void
say(const char *s)
{
	if (write(STDERR_FILENO, s, strlen(s)) == -1)
		return; /* nobody listens */
}

static void
caught(int signo)
{
	progress_erase();
	if (!asked) {
		say("pail: stopped; ");
		say(advice_text);
		say("\n");
	}
	if (deferred && !asked) {
		asked = 1;
		return;
	}
	signal(signo, SIG_DFL);
	raise(signo);
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
#define NSIGNALS (sizeof(signals) / sizeof(signals[0]))

void
interrupt_install(const char *advice)
{
	struct sigaction sa = {.sa_handler = caught}, old;

	advice_text = advice;
	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < NSIGNALS; i++)
		if (sigaction(signals[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
}

void
interrupt_block(bool yes)
{
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < NSIGNALS; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(yes ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

void
interrupt_defer(bool yes)
{
	deferred = yes;
}

bool
interrupted(void)
{
	return asked != 0;
}

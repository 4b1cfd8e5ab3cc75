/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of a tool.  The handler only sets a flag; callbacks of the work ask
 * for it (the loop's wait ends with the signal, so they are called soon).  A
 * second signal finds somebody impatient: the terminal is cleaned and the
 * process ends at once by the same signal, which is what a shell wants to see.
 * Nothing is lost by that which was not in flight; a lease that stays behind
 * is taken over by the next tool on this host.
 *
 * Signals that were ignored when the program began (nohup) stay ignored.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/progress.h"

static volatile sig_atomic_t asked;
static const char *advice_text;

static void
caught(int signo)
{
	progress_erase();
	if (asked) {
		signal(signo, SIG_DFL);
		raise(signo);
		return;
	}
	asked = 1;
}

void
interrupt_install(const char *advice)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = caught}, old;

	advice_text = advice;
	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < 3; i++)
		if (sigaction(signals[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
}

bool
interrupted(void)
{
	return asked != 0;
}

void
interrupt_say(void)
{
	progress_erase();
	fprintf(stderr, "pail: stopped; %s\n",
	    advice_text != NULL ? advice_text : "nothing was changed");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From errno to exit status.  Most failures are one: a script wants to tell
 * apart only what it would treat differently (damage: call somebody; busy: try
 * later; stopped: go on).
 */
#include <errno.h>

#include "cli/exit.h"

enum cli_status
cli_status_of(int rc)
{
	switch (rc) {
	case 0:
		return CLI_OK;
	case -EBUSY:
		return CLI_BUSY;
	case -EBADMSG:
		return CLI_DAMAGE;
	case -ECANCELED:
	case -EINTR:
		return CLI_STOPPED;
	default:
		return CLI_FAILED;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and read-ahead of a mount; see guard.h. */
#include "config.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "front/guard.h"
#include "front/mounts.h"

#define READAHEAD_KIB 1024

static bool
may_lock_memory(void)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct d[2];

	memset(d, 0, sizeof(d));
	if (syscall(SYS_capget, &h, d) != 0)
		return false;
	return (d[0].effective & (1u << CAP_IPC_LOCK)) != 0;
}

void
guard_memory(void)
{
#ifdef PR_SET_IO_FLUSHER
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0)
		log_debug("not marked as an I/O flusher: %s",
		    strerror(errno));
#endif
	/* With a limit, allocations would begin to fail there. */
	if (!may_lock_memory())
		log_debug("memory is not locked: no CAP_IPC_LOCK");
	else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		log_debug("memory is not locked: %s", strerror(errno));
}

void
guard_widen_readahead(const char *dir)
{
	const struct mount_point *p;
	struct mounts m;

	if (mounts_read(&m, NULL) < 0)
		return;
	p = mounts_at(&m, dir);
	int rc = p != NULL ? mounts_set_readahead(p, READAHEAD_KIB) : -ENOENT;

	if (rc < 0)
		log_debug("the kernel's read-ahead stays: %s", strerror(-rc));
	mounts_fini(&m);
}

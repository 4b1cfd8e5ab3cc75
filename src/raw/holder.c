/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder.c: who has a device locked; see holder.h.
 *
 * The kernel lists locks by file and process in /proc/locks.  Where that cannot
 * be read, or a file system shows other numbers there than stat does, nobody is
 * named: the refusal stands all the same.
 */
#include "raw/holder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define COMMAND_MAX 200

bool
raw_holder_parse(const char *line, dev_t dev, ino_t ino, pid_t *pid)
{
	unsigned maj, min;
	unsigned long long i;
	int p;

	/* One that waits has an arrow after the number. */
	if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%llu", &p, &maj, &min,
		&i) != 4)
		return false;
	*pid = p;
	return p > 0 && maj == major(dev) && min == minor(dev) && i == ino;
}

static bool
find_pid(const struct stat *st, pid_t *pid)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = raw_holder_parse(line, st->st_dev, st->st_ino, pid);
	if (f)
		fclose(f);
	return found;
}

/* What it was called with, in one line; "" if that cannot be read. */
static void
read_command(pid_t pid, char out[COMMAND_MAX])
{
	char path[64];
	ssize_t n;
	int fd;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, out, COMMAND_MAX - 1);
	close(fd);
	while (n > 0 && out[n - 1] == '\0')
		n--;
	out[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
			out[i] = ' ';
}

char *
raw_holder(int fd, char out[RAW_HOLDER_MAX])
{
	char command[COMMAND_MAX];
	struct stat st;
	pid_t pid;

	if (fstat(fd, &st) < 0 || !find_pid(&st, &pid)) {
		snprintf(out, RAW_HOLDER_MAX, "another process");
		return out;
	}
	if (pid == getpid()) {
		snprintf(out, RAW_HOLDER_MAX, "this command itself");
		return out;
	}
	read_command(pid, command);
	snprintf(out, RAW_HOLDER_MAX, "process %d%s%s%s", (int)pid,
	    command[0] ? " (" : "", command, command[0] ? ")" : "");
	return out;
}

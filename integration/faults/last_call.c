/* SPDX-License-Identifier: Apache-2.0 */
/*
 * last_call.so, by LD_PRELOAD: the program gets SIGKILL when its Nth call that changes a directory or brings a file to
 * the disk begins. N is $LAST_CALL; the file $LAST_CALL_FILE then holds the call's name. For programs that may not be
 * traced, as inject.c does it, because who starts them may not.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long count;

static void begin(const char *name)
{
	const char *last = getenv("LAST_CALL"), *file = getenv("LAST_CALL_FILE");
	int fd;

	if (!last || !file || atomic_fetch_add(&count, 1) + 1 != atol(last))
		return;
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	(void)!write(fd, name, strlen(name));
	kill(getpid(), SIGKILL);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	begin("renameat");
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	begin("renameat2");
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
	begin("unlinkat");
	return (int)syscall(SYS_unlinkat, dir, name, flags);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	begin("mkdirat");
	return (int)syscall(SYS_mkdirat, dir, name, mode);
}

int fsync(int fd)
{
	begin("fsync");
	return (int)syscall(SYS_fsync, fd);
}

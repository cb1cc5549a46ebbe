/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach PID: every way to another process's memory, files and secrets that a process with the rights of a container's
 * root could try. One line each: the way, and "reached" or the error.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void tell(const char *way, long result)
{
	printf("%s %s\n", way, result >= 0 ? "reached" : strerror(errno));
}

/* Opened is not yet read: environ and mem decide at the open, some kernels at the read. */
static long look(int pid, const char *name)
{
	char path[64], byte;
	int fd, flags = strcmp(name, "root") && strcmp(name, "cwd") ? O_RDONLY : O_RDONLY | O_DIRECTORY;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags);
	if (fd < 0)
		return -1;
	if (strcmp(name, "mem") != 0 && !(flags & O_DIRECTORY) && read(fd, &byte, 1) < 0)
		return -1;
	return 0;
}

static long read_memory(int pid)
{
	char byte;
	struct iovec local = {&byte, 1}, remote = {(void *)0x400000, 1};

	/* EFAULT: it was allowed, and nothing is mapped there. */
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
		return 0;
	return -1;
}

static long take_descriptor(int pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0);
}

static long trace(int pid)
{
	long r = ptrace(PTRACE_SEIZE, pid, 0, 0);

	if (r == 0)
		ptrace(PTRACE_DETACH, pid, 0, 0);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"mem", "environ", "maps", "root", "cwd", "exe", "fd/0", "ns/mnt", "auxv"};
	int pid = argc == 2 ? atoi(argv[1]) : 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		tell(names[i], look(pid, names[i]));
	tell("process_vm_readv", read_memory(pid));
	tell("pidfd_getfd", take_descriptor(pid));
	tell("kcmp", syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0));
	tell("ptrace", trace(pid));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.so, by LD_PRELOAD under a dynamically linked runtime: the Nth allocation ($VOLRUN_ALLOC_FAIL; 0: none) of the
 * command and of the processes that it makes, as long as they run its own program, fails.
 *
 * To the file $VOLRUN_ALLOC_REPORT it writes "failed N" when it does so, and, when the command itself ends by exit(3),
 * "open FD" for each descriptor that it has left open beside those that it was started with.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FDS_MAX 1024

/* glibc's own, which it exports for just this. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static long *count, target;
static const char *report;
static pid_t first;
static char inherited[FDS_MAX];

static void tell(const char *what, long n)
{
	int saved = errno, fd = open(report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	char text[64];
	int len = snprintf(text, sizeof(text), "%s %ld\n", what, n);

	if (fd < 0 || write(fd, text, (size_t)len) != len)
		_exit(125);
	close(fd);
	errno = saved;
}

static int fails(void)
{
	if (!count || __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST) != target)
		return 0;
	tell("failed", target);
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}

static void __attribute__((constructor)) begin(void)
{
	const char *n = getenv("VOLRUN_ALLOC_FAIL");
	void *shared;

	report = getenv("VOLRUN_ALLOC_REPORT");
	if (!n || !report)
		return;
	for (int fd = 0; fd < FDS_MAX; fd++)
		inherited[fd] = fcntl(fd, F_GETFD) >= 0;
	/* Other programs (ps) are not meant. */
	unsetenv("LD_PRELOAD");
	unsetenv("VOLRUN_ALLOC_FAIL");
	first = getpid();
	target = atol(n);
	/* The processes that it makes count on. */
	shared = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		_exit(125);
	count = shared;
}

static void __attribute__((destructor)) end(void)
{
	if (!count || getpid() != first)
		return;
	for (int fd = 0; fd < FDS_MAX; fd++)
		if (!inherited[fd] && fcntl(fd, F_GETFD) >= 0)
			tell("open", fd);
}

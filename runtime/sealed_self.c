/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sealed_self.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define SELF "/proc/self/exe"
/* For the copy: where it comes from, to find the programs beside it. */
#define ORIGIN "_VOLRUN_ORIGIN"

static char **own_argv;

void self_remember(char **argv)
{
	own_argv = argv;
}

static bool names(const struct spec_caps *caps, const char *name)
{
	for (size_t i = 0; caps && i < caps->n_bounding; i++)
		if (strcmp(caps->bounding[i], name) == 0)
			return true;
	return false;
}

bool self_is_exposed(const struct spec *spec)
{
	const struct spec_namespace *pid = spec_find_namespace(spec, SPEC_NS_PID);
	bool traces = spec->process && names(spec->process->capabilities, "CAP_SYS_PTRACE");

	return (traces || (pid && pid->path)) && !spec_find_namespace(spec, SPEC_NS_USER);
}

static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_WRITE);
}

static int copy_sealed(int from, int *ret)
{
	_cleanup_close_ int fd = memfd_executable("volrun");
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(from, &st) < 0)
		return -errno;
	for (off_t at = 0; at < st.st_size;) {
		ssize_t n = sendfile(fd, from, &at, (size_t)(st.st_size - at));

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	r = memfd_seal(fd);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

void self_seal(void)
{
	_cleanup_close_ int self = open(SELF, O_RDONLY | O_CLOEXEC), copy = -1;
	char path[PATH_MAX];

	if (self < 0 || is_sealed(self) || copy_sealed(self, &copy) < 0)
		return;
	if (self_path(path, sizeof(path)) > 0 && setenv(ORIGIN, path, 1) == 0)
		syscall(SYS_execveat, copy, "", own_argv, environ, AT_EMPTY_PATH);
}

ssize_t self_path(char *buf, size_t size)
{
	_cleanup_close_ int self = open(SELF, O_RDONLY | O_CLOEXEC);
	const char *origin = getenv(ORIGIN);
	ssize_t n;

	if (self >= 0 && origin && is_sealed(self)) {
		n = snprintf(buf, size, "%s", origin);
	} else {
		n = readlink(SELF, buf, size - 1);
		if (n >= 0)
			buf[n] = '\0';
	}
	return n;
}

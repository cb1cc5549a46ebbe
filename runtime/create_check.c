/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/create_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>

#include "base/cleanup.h"
#include "base/io.h"

/* Each of these would change the host instead of the container. */
static int check_namespaces(const struct spec *spec, struct error *err)
{
	bool user = spec_find_namespace(spec, SPEC_NS_USER);

	if (((spec->hostname && *spec->hostname) || (spec->domainname && *spec->domainname)) &&
	    !spec_find_namespace(spec, SPEC_NS_UTS))
		return error_set(err, EINVAL, "hostname, domainname: need a uts namespace");
	if (!user && (spec->linux_->n_uid_mappings || spec->linux_->n_gid_mappings))
		return error_set(err, EINVAL, "linux.uidMappings, linux.gidMappings: need a user namespace");
	if (spec->linux_->n_time_offsets && !spec_find_namespace(spec, SPEC_NS_TIME))
		return error_set(err, EINVAL, "linux.timeOffsets: need a time namespace");
	return 0;
}

static int check_terminal(const struct spec_process *process, const struct create_request *request, struct error *err)
{
	if (process->terminal && !request->foreground && !request->console_socket)
		return error_set(
		    err, EINVAL,
		    "process.terminal: nobody would hold the terminal: use --console-socket, or run in the foreground");
	if (!process->terminal && request->console_socket)
		return error_set(err, EINVAL,
				 "--console-socket: process.terminal is false, there is no terminal to send");
	return 0;
}

int create_check(const struct spec *spec, const struct create_request *request, struct error *err)
{
	int r;

	if (!spec->root || !spec->root->path)
		return error_set(err, EINVAL, "config.json: $.root.path: missing");
	r = check_namespaces(spec, err);
	if (r == 0)
		r = check_terminal(spec->process, request, err);
	return r;
}

int create_bundle_path(const char *bundle, struct arena *arena, const char **ret, struct error *err)
{
	_cleanup_close_ int fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t n;

	if (fd < 0)
		return error_errno(err, errno, "open the bundle %s", bundle);
	n = readlink(fd_path(fd, link), path, sizeof(path) - 1);
	if (n < 0)
		return error_errno(err, errno, "find the path of the bundle %s", bundle);
	*ret = arena_strndup(arena, path, (size_t)n);
	return *ret ? 0 : error_set(err, ENOMEM, "out of memory");
}

int create_rootfs_path(const char *bundle, const char *path, struct arena *arena, const char **ret, struct error *err)
{
	*ret = path[0] == '/' ? path : arena_printf(arena, "%s/%s", bundle, path);
	return *ret ? 0 : error_set(err, ENOMEM, "out of memory");
}

int create_absolute_path(const char *path, struct arena *arena, const char **ret, struct error *err)
{
	char cwd[PATH_MAX];

	if (path[0] == '/')
		*ret = path;
	else if (!getcwd(cwd, sizeof(cwd)))
		return error_errno(err, errno, "find the working directory");
	else
		*ret = arena_printf(arena, "%s/%s", cwd, path);
	return *ret ? 0 : error_set(err, ENOMEM, "out of memory");
}

int create_copy_config(const char *bundle, const char *config, int dir_fd, struct error *err)
{
	_cleanup_close_ int bundle_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int from = config	   ? open(config, O_RDONLY | O_CLOEXEC)
				   : bundle_fd < 0 ? -1
						   : openat(bundle_fd, "config.json", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = openat(dir_fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n = 1;

	if (from < 0 || to < 0)
		return error_errno(err, errno, "copy config.json");
	while (n > 0)
		n = sendfile(to, from, NULL, 1 << 20);
	return n < 0 ? error_errno(err, errno, "copy config.json") : 0;
}

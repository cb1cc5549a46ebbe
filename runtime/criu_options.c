/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu_options.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "runtime/criu.h"

void criu_place_close(struct criu_place *p)
{
	cleanup_close(&p->images_fd);
	cleanup_close(&p->status_fd);
	*p = (struct criu_place)CRIU_PLACE_INIT;
}

int criu_parse_page_server(const char *text, struct arena *arena, struct criu_request *r, struct error *err)
{
	const char *colon = strrchr(text, ':');
	uint64_t port = 0;
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (n == 0 || num_parse_u64(colon + 1, 65535, &port) < 0 || port == 0)
		return error_set(err, EINVAL, "--page-server: \"%s\" is not ADDRESS:PORT", text);
	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	r->page_server = arena_strndup(arena, text, n);
	r->page_server_port = (int)port;
	return r->page_server ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int open_directory(const char *option, const char *path, bool make, int *ret_fd, struct error *err)
{
	int r = make ? mkdir_p_at(AT_FDCWD, path, 0700) : 0;
	int fd = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, r < 0 ? r : errno, "%s %s", option, path);
	*ret_fd = fd;
	return 0;
}

static int open_status_fd(const char *text, int *ret, struct error *err)
{
	uint64_t n;
	int flags, fd;

	if (num_parse_u64(text, INT32_MAX, &n) < 0)
		return error_set(err, EINVAL, "--status-fd: \"%s\" is no number", text);
	flags = fcntl((int)n, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return error_set(err, EBADF, "--status-fd: %d is no descriptor that can be written to", (int)n);
	fd = fcntl((int)n, F_DUPFD_CLOEXEC, 3);
	/* Who waits at its other end shall see its end. */
	close((int)n);
	*ret = fd;
	return fd < 0 ? error_errno(err, errno, "--status-fd") : 0;
}

static int apply_names(struct criu_options *o, struct arena *arena, struct error *err)
{
	struct criu_request *r = &o->request;

	if (o->cgroups_mode && *o->cgroups_mode && criu_cgroup_mode_parse(o->cgroups_mode, &r->cgroup_mode) < 0)
		return error_set(err, EINVAL, "--manage-cgroups-mode: \"%s\" is none of soft, full, strict, ignore",
				 o->cgroups_mode);
	if (o->network_lock && criu_network_lock_parse(o->network_lock, &r->network_lock) < 0)
		return error_set(err, EINVAL, "--network-lock: \"%s\" is none of iptables, nftables, skip",
				 o->network_lock);
	for (size_t i = 0; i < o->empty_ns.n; i++)
		if (strcmp(o->empty_ns.items[i], "network") != 0)
			return error_set(err, EINVAL, "--empty-ns: namespace \"%s\" is not supported, only network",
					 o->empty_ns.items[i]);
	return o->page_server ? criu_parse_page_server(o->page_server, arena, r, err) : 0;
}

int criu_options_apply(struct criu_options *o, bool make, struct criu_place *ret, struct arena *arena,
		       struct error *err)
{
	_cleanup_(criu_place_close) struct criu_place p = CRIU_PLACE_INIT;
	_cleanup_close_ int work = -1;
	int r = apply_names(o, arena, err);

	if (!o->image_path || !*o->image_path)
		o->image_path = "checkpoint";
	if (r == 0)
		r = open_directory("--image-path", o->image_path, make, &p.images_fd, err);
	if (r == 0 && o->work_path && *o->work_path)
		r = open_directory("--work-path", o->work_path, true, &work, err);
	if (r == 0 && o->status_fd)
		r = open_status_fd(o->status_fd, &p.status_fd, err);
	if (r < 0)
		return r;
	p.log_dir = o->work_path && *o->work_path ? o->work_path : o->image_path;
	o->request.images_dir_fd = CRIU_IMAGES_FD;
	o->request.work_dir_fd = CRIU_WORK_FD;
	o->request.orphan_terminal = true;
	/* Who made the network of the container makes it again: see restore.c. */
	o->request.empty_namespaces = CLONE_NEWNET;
	*ret = p;
	p = (struct criu_place)CRIU_PLACE_INIT;
	return 0;
}

int criu_volumes_file(const struct criu_options *o, struct arena *arena, const char **ret, struct error *err)
{
	*ret = arena_printf(arena, "%s/" CRIU_VOLUMES_FILE, o->image_path);
	return *ret ? 0 : error_set(err, ENOMEM, "out of memory");
}

const char *criu_config_file(const struct spec *spec)
{
	const char *file = spec_annotation(spec, "org.criu.config");

	if (!file)
		return "/etc/criu/runc.conf";
	return *file ? file : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* At a container's end: nobody writes to its trees any more, or the commit says that somebody might. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/confine.h"
#include "hooks/engine/tree_mounts.h"
#include "hooks/engine/tree_writers.h"
#include "hooks/keeper_hold.h"
#include "hooks/keeper_users.h"

/* What a process had open that has just ended is closed a moment later. */
#define PATIENCE_NS NSEC_PER_SEC
#define PAUSE_NS (20 * NSEC_PER_MSEC)

void hold_unsure(struct hold *h)
{
	h->end_unsure = true;
}

void hold_pin(struct hold *h, int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE);
	_cleanup_close_ int fd = -1;
	struct stat theirs, ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", h->request->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* What is found of a process that has ended may be a later one's of the same pid. */
	if (fd < 0 || pidfd < 0 || poll(&p, 1, 0) > 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/mnt", &ours) < 0)
		hold_unsure(h);
	else if (theirs.st_ino != ours.st_ino)
		h->mnt_ns = TAKE_FD(fd);
}

static bool has_tree(const struct hold_volume *hv)
{
	return (hv->lease || hv->orphan || hv->joined) && !hv->aside && hv->tree_fd >= 0;
}

void hold_quiet_own(struct hold *h)
{
	bool written = false;

	for (size_t i = 0; i < h->n && h->mnt_ns >= 0; i++) {
		struct hold_volume *hv = &h->volumes[i];
		int r = has_tree(hv) ? tree_make_quiet_in(hv->tree_fd, h->mnt_ns) : 1;

		written |= r == 0;
		h->end_unsure |= r < 0;
	}
	/* It keeps the container's other mounts, too, from being taken down. */
	if (!written) {
		cleanup_close(&h->mnt_ns);
		h->mnt_ns = -1;
	}
}

static bool is_quiet(const struct hold *h, const struct hold_volume *hv)
{
	if (h->mnt_ns >= 0 && tree_make_quiet_in(hv->tree_fd, h->mnt_ns) == 0)
		return false;
	if (hv->joined)
		return !h->end_unsure || !tree_has_writers(hv->tree_fd, NULL, 0);
	return tree_make_quiet(hv->tree_fd) != 0 &&
	       !((h->end_unsure || hv->was_unquiet) && tree_has_writers(hv->tree_fd, NULL, 0));
}

void hold_quiet(struct hold *h)
{
	int64_t until = clock_boottime_ns() + PATIENCE_NS;

	hold_quiet_own(h);
	for (size_t i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];

		if (!has_tree(hv) || (hv->lease && !hv->dirty))
			continue;
		hv->v.unquiet = false;
		while (!is_quiet(h, hv)) {
			hv->v.unquiet = clock_boottime_ns() >= until;
			if (hv->v.unquiet)
				break;
			clock_sleep_ns(PAUSE_NS);
		}
		if (hv->v.unquiet)
			tree_has_writers(hv->tree_fd, hv->writer, sizeof(hv->writer));
		if (hv->v.unquiet && hv->joined)
			users_note_unquiet(&hv->v.cache, hv->joined);
	}
	cleanup_close(&h->mnt_ns);
	h->mnt_ns = -1;
}

bool hold_recover_quiet(int tree_fd, char *who, size_t size)
{
	int64_t until = clock_boottime_ns() + PATIENCE_NS;

	while (tree_make_quiet(tree_fd) == 0 || tree_has_writers(tree_fd, who, size)) {
		if (clock_boottime_ns() >= until)
			return false;
		clock_sleep_ns(PAUSE_NS);
	}
	return true;
}

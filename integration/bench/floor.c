/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor ROOTFS NAME: the least that a container's start and end can cost.
 *
 * It does by itself the kernel work that `volrun spec`'s config.json asks for,
 * with /bin/true as the program, and nothing else: no JSON, no state, no checks,
 * no hardening, everything written down at compile time. Cgroups are those of the machine
 * (v2 alone, or each v1 hierarchy and the unified one), named NAME. What a
 * runtime takes beyond this is its own.
 *
 * Exit status: the program's; 125 when a step failed (with its name on stderr).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"
#define HIERARCHIES_MAX 16

/* CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE */
#define CAPS (1u << 5 | 1u << 10 | 1u << 29)

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(125);
}

#define CHECK(call)                                                                                                    \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			die(#call);                                                                                    \
	} while (0)

static void put(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		die(path);
	close(fd);
}

/* --- cgroups --------------------------------------------------------------------- */

static char hierarchies[HIERARCHIES_MAX][64]; /* "/sys/fs/cgroup/cpu"; v2: "/sys/fs/cgroup" */
static size_t n_hierarchies;
static int unified;

static void find_hierarchies(void)
{
	struct statfs fs;
	struct dirent *e;
	DIR *dir;

	CHECK(statfs(ROOT, &fs));
	unified = fs.f_type == CGROUP2_SUPER_MAGIC;
	if (unified) {
		strcpy(hierarchies[n_hierarchies++], ROOT);
		return;
	}
	dir = opendir(ROOT);
	if (!dir)
		die(ROOT);
	while ((e = readdir(dir)) && n_hierarchies < HIERARCHIES_MAX) {
		char *path = hierarchies[n_hierarchies];

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(hierarchies[0]), ROOT "/%.40s", e->d_name);
		/* A plain directory may have been left there. */
		CHECK(statfs(path, &fs));
		n_hierarchies += fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC;
	}
	closedir(dir);
}

static void copy_down(const char *hierarchy, const char *name, const char *file)
{
	char path[256], value[256];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", hierarchy, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, value, sizeof(value));
	if (n < 0)
		die(path);
	close(fd);
	snprintf(path, sizeof(path), "%s/%s/%s", hierarchy, name, file);
	put(path, value, (size_t)n);
}

static void devices_v1(const char *hierarchy, const char *name)
{
	static const char *const allow[] = {"c *:* m",	 "b *:* m",   "c 1:3 rwm",  "c 1:5 rwm",
					    "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",  "c 5:0 rwm",
					    "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"};
	char path[256];

	snprintf(path, sizeof(path), "%s/%s/devices.deny", hierarchy, name);
	put(path, "a", 1);
	snprintf(path, sizeof(path), "%s/%s/devices.allow", hierarchy, name);
	for (size_t i = 0; i < sizeof(allow) / sizeof(*allow); i++)
		put(path, allow[i], strlen(allow[i]));
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define JNE(reg, value, to) INSN(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, to, value)
#define JEQ(reg, value, to) INSN(BPF_JMP32 | BPF_JEQ | BPF_K, reg, 0, to, value)
#define RETURN(value) INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* The same devices as above: mknod of any; 1:3,5,7,8,9; 5:0,1,2; 136:*. */
static void devices_v2(int cgroup_fd)
{
	static const struct bpf_insn program[] = {
	    INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0),
	    INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0),
	    INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0),
	    INSN(BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16),
	    JEQ(BPF_REG_3, BPF_DEVCG_ACC_MKNOD, 16),
	    INSN(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff),
	    JNE(BPF_REG_2, BPF_DEVCG_DEV_CHAR, 12),
	    JEQ(BPF_REG_4, 136, 13),
	    JNE(BPF_REG_4, 1, 6),
	    JEQ(BPF_REG_5, 3, 11),
	    JEQ(BPF_REG_5, 5, 10),
	    JEQ(BPF_REG_5, 7, 9),
	    JEQ(BPF_REG_5, 8, 8),
	    JEQ(BPF_REG_5, 9, 7),
	    INSN(BPF_JMP | BPF_JA, 0, 0, 4, 0),
	    JNE(BPF_REG_4, 5, 3),
	    JEQ(BPF_REG_5, 0, 4),
	    JEQ(BPF_REG_5, 1, 3),
	    JEQ(BPF_REG_5, 2, 2),
	    RETURN(0),
	    RETURN(1),
	};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
			       .insns = (uint64_t)(uintptr_t)program,
			       .insn_cnt = sizeof(program) / sizeof(*program),
			       .license = (uint64_t)(uintptr_t) "Apache-2.0"};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	union bpf_attr attach = {.target_fd = (uint32_t)cgroup_fd,
				 .attach_bpf_fd = (uint32_t)fd,
				 .attach_type = BPF_CGROUP_DEVICE,
				 .attach_flags = BPF_F_ALLOW_MULTI};

	CHECK(fd);
	CHECK(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)));
	close(fd);
}

/* Returns the v2 cgroup's directory, or -1. */
static int make_cgroups(const char *name)
{
	char path[256];
	int fd = -1;

	for (size_t i = 0; i < n_hierarchies; i++) {
		snprintf(path, sizeof(path), "%s/%s", hierarchies[i], name);
		CHECK(mkdir(path, 0755));
		if (unified) {
			CHECK(fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
			devices_v2(fd);
		} else if (strcmp(hierarchies[i], ROOT "/cpuset") == 0) {
			copy_down(hierarchies[i], name, "cpuset.cpus");
			copy_down(hierarchies[i], name, "cpuset.mems");
		} else if (strcmp(hierarchies[i], ROOT "/devices") == 0) {
			devices_v1(hierarchies[i], name);
		}
	}
	return fd;
}

static void enter_cgroups(const char *name, pid_t pid)
{
	char path[256], text[16];
	int len = snprintf(text, sizeof(text), "%d", (int)pid);

	for (size_t i = 0; i < n_hierarchies; i++) {
		snprintf(path, sizeof(path), "%s/%s/cgroup.procs", hierarchies[i], name);
		put(path, text, (size_t)len);
	}
}

static void remove_cgroups(const char *name)
{
	char path[256];

	for (size_t i = 0; i < n_hierarchies; i++) {
		snprintf(path, sizeof(path), "%s/%s", hierarchies[i], name);
		/* A reaped process may be listed for a moment. */
		for (int tries = 0; rmdir(path) < 0; tries++) {
			if (errno != EBUSY || tries == 10000)
				die(path);
			usleep(100);
		}
	}
}

/* --- the container's file system --------------------------------------------------- */

static void mount_at(const char *type, const char *source, const char *target, unsigned long flags, const char *data)
{
	if (mount(source, target, type, flags, data) < 0)
		die(target);
}

static void mount_cgroups(const char *name)
{
	const unsigned long flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME;
	char from[256], to[256];

	if (unified) {
		mount_at("cgroup2", "cgroup", "sys/fs/cgroup", flags | MS_RDONLY, NULL);
		return;
	}
	mount_at("tmpfs", "tmpfs", "sys/fs/cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=755");
	for (size_t i = 0; i < n_hierarchies; i++) {
		snprintf(from, sizeof(from), "%s/%s", hierarchies[i], name);
		snprintf(to, sizeof(to), "sys/fs/cgroup/%s", strrchr(hierarchies[i], '/') + 1);
		CHECK(mkdir(to, 0755));
		mount_at(NULL, from, to, MS_BIND, NULL);
		mount_at(NULL, NULL, to, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL);
	}
	mount_at(NULL, NULL, "sys/fs/cgroup", MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL);
}

static void make_devices(void)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} nodes[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},	  {"dev/full", 1, 7},
		     {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
	static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},	  {"/proc/self/fd/0", "dev/stdin"},
					       {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
					       {"/proc/kcore", "dev/core"},	  {"pts/ptmx", "dev/ptmx"}};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		CHECK(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		CHECK(symlink(links[i][0], links[i][1]));
}

static void make_rootfs(const char *rootfs, const char *name)
{
	const unsigned long nosuid = MS_NOSUID | MS_NOEXEC, nodev = nosuid | MS_NODEV;

	mount_at(NULL, NULL, "/", MS_REC | MS_SLAVE, NULL);
	mount_at(NULL, rootfs, rootfs, MS_BIND | MS_REC, NULL);
	CHECK(chdir(rootfs));
	mount_at("proc", "proc", "proc", 0, NULL);
	mount_at("tmpfs", "tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	CHECK(mkdir("dev/pts", 0755));
	CHECK(mkdir("dev/shm", 0755));
	CHECK(mkdir("dev/mqueue", 0755));
	mount_at("devpts", "devpts", "dev/pts", nosuid, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	mount_at("tmpfs", "shm", "dev/shm", nodev, "mode=1777,size=65536k");
	mount_at("mqueue", "mqueue", "dev/mqueue", nodev, NULL);
	mount_at("sysfs", "sysfs", "sys", nodev | MS_RDONLY, NULL);
	mount_cgroups(name);
	make_devices();
}

static void enter_rootfs(void)
{
	CHECK(syscall(SYS_pivot_root, ".", "."));
	CHECK(umount2(".", MNT_DETACH));
	CHECK(chdir("/"));
}

static void protect_paths(void)
{
	static const char *const masked[] = {
	    "/proc/acpi",	"/proc/asound",	     "/proc/kcore",	  "/proc/keys",	   "/proc/latency_stats",
	    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"};
	static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
					       "/proc/sysrq-trigger"};

	for (size_t i = 0; i < sizeof(readonly) / sizeof(*readonly); i++) {
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			continue;
		mount_at(NULL, NULL, readonly[i], MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV,
			 NULL);
	}
	for (size_t i = 0; i < sizeof(masked) / sizeof(*masked); i++) {
		if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno == ENOTDIR)
			mount_at("tmpfs", "tmpfs", masked[i], MS_RDONLY, "size=0k,nr_inodes=1");
	}
	mount_at(NULL, NULL, "/", MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

/* --- the process ------------------------------------------------------------------ */

static void reduce_rights(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{CAPS, CAPS, 0}, {0, 0, 0}};
	struct rlimit limit = {1024, 1024};

	CHECK(setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < 64; i++) {
		if ((i > 31 || !(CAPS & 1u << i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			break;
	}
	CHECK(syscall(SYS_setgroups, 0, NULL));
	CHECK(setresgid(0, 0, 0));
	CHECK(setresuid(0, 0, 0));
	CHECK(syscall(SYS_capset, &header, data));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void child(const char *rootfs, const char *name, int go)
{
	char *const argv[] = {"/bin/true", NULL};
	char *const envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};
	char byte;

	if (go >= 0 && read(go, &byte, 1) != 1) /* in its v1 cgroups */
		die("read");
	umask(0);
	CHECK(setsid());
	if (unified)
		CHECK(unshare(CLONE_NEWCGROUP));
	CHECK(sethostname("volrun", 6));
	make_rootfs(rootfs, name);
	enter_rootfs();
	protect_paths();
	umask(022);
	reduce_rights();
	execve(argv[0], argv, envp);
	die(argv[0]);
}

int main(int argc, char **argv)
{
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS,
				  .exit_signal = SIGCHLD};
	int cgroup_fd, go[2] = {-1, -1}, status;
	pid_t pid;

	if (argc != 3) {
		fprintf(stderr, "usage: floor ROOTFS CGROUP\n");
		return 125;
	}
	find_hierarchies();
	cgroup_fd = make_cgroups(argv[2]);
	if (unified) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	} else {
		CHECK(pipe2(go, O_CLOEXEC));
	}
	CHECK(pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args)));
	if (pid == 0)
		child(argv[1], argv[2], go[0]);
	if (!unified) {
		enter_cgroups(argv[2], pid);
		if (write(go[1], "g", 1) != 1)
			die("write");
	}
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid");
	remove_cgroups(argv[2]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/rootfs_box.h"

#include <sys/vfs.h>
#include <sys/wait.h>

#include "runtime/mount_fs.h"

/* --- in the child ---------------------------------------------------------- */

static int report_fd;

void give_up(const char *text)
{
	write_all(report_fd, text, strlen(text));
	_exit(1);
}

long fs_magic(const char *path)
{
	struct statfs s;

	return statfs(path, &s) < 0 ? -1 : (long)s.f_type;
}

unsigned long flags_of(const char *path)
{
	struct statvfs s;

	CHECK(statvfs(path, &s) == 0);
	return s.f_flag;
}

bool is_device(const char *path, unsigned maj, unsigned min)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(maj, min);
}

bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void map_ids(pid_t pid, unsigned n)
{
	char path[64], map[32];

	snprintf(map, sizeof(map), "0 0 %u", n);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	write_file_at(AT_FDCWD, path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	write_file_at(AT_FDCWD, path, map);
}

static size_t count_mounts(void)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;

	CHECK(read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &text, NULL) == 0);
	for (const char *p = text; *p; p++)
		n += *p == '\n';
	return n;
}

static void container(struct box *b)
{
	struct error err = ERROR_INIT;
	struct rootfs_volume volume = {.destination = b->volume, .tree_fd = -1};

	if (b->before)
		b->before(b);
	if (b->volume) {
		volume.tree_fd = mount_clone(AT_FDCWD, b->outside, false, false);
		CHECK(volume.tree_fd >= 0);
		CHECK(mount_change(volume.tree_fd, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, MS_PRIVATE) == 0);
		b->r.volumes = &volume;
		b->r.n_volumes = 1;
	}
	if (rootfs_prepare(&b->r, &err) < 0)
		give_up(err.msg);
	if (b->prepared)
		b->prepared(b);
	if (rootfs_enter(&b->r, &err) < 0)
		give_up(err.msg);
	if (rootfs_finish(&b->r, &err) < 0)
		give_up(err.msg);
	if (b->inside)
		b->inside(b);
	_exit(0);
}

/* Namespaces, then the first process of the new pid namespace; ids mapped by the outermost parent. */
static void namespaces(struct box *b, int mapped_fd)
{
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
	size_t before;
	char c;
	int status, host;
	pid_t pid;

	report_fd = b->report[1];
	if (b->outer)
		b->outer(b);
	host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	before = count_mounts();
	if (b->userns) {
		CHECK(unshare(CLONE_NEWUSER) == 0);
		CHECK(write(b->report[1], "u", 1) == 1);
		CHECK(read(mapped_fd, &c, 1) == 1);
		CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	}
	CHECK(unshare(flags & ~b->no_unshare) == 0);
	pid = fork();
	if (pid == 0)
		container(b);
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (b->watch_host) {
		CHECK(setns(host, CLONE_NEWNS) == 0);
		CHECK(count_mounts() == before);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/* Runs it; "" when all went well, else what was reported. */
const char *box_run(struct box *b)
{
	static char text[2048];
	int mapped[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(b->report, O_CLOEXEC), 0);
	assert_int_equal(pipe2(mapped, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		namespaces(b, mapped[0]);
	close(b->report[1]);
	close(mapped[0]);
	if (b->userns && read(b->report[0], text, 1) == 1) {
		map_ids(pid, b->ids);
		assert_int_equal(write(mapped[1], "m", 1), 1);
	}
	while (len < sizeof(text) - 1 && (n = read(b->report[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(b->report[0]);
	close(mapped[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (len == 0 && status != 0)
		snprintf(text, sizeof(text), "ended with status %x", (unsigned)status);
	return text;
}

void put_outside(struct box *b, const char *name, const char *text)
{
	const char *path = arena_printf(&b->arena, "%s/%s", b->outside, name);

	assert_int_equal(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0644, false), 0);
}

/* --- building a box ---------------------------------------------------------- */

const char *in_root(struct box *b, const char *path)
{
	return arena_printf(&b->arena, "%s%s", b->root, path);
}

void put_dir(struct box *b, const char *path)
{
	assert_int_equal(mkdir(in_root(b, path), 0755), 0);
}

void put_file(struct box *b, const char *path, const char *text)
{
	assert_int_equal(write_file_atomic_at(AT_FDCWD, in_root(b, path), text, strlen(text), 0644, false), 0);
}

void put_link(struct box *b, const char *target, const char *path)
{
	assert_int_equal(symlink(target, in_root(b, path)), 0);
}

struct spec_mount *add_mount(struct box *b, const char *dest, const char *type, const char *source, const char *options)
{
	struct spec_mount *m = &b->mounts[b->spec.n_mounts++];
	const char **list = arena_calloc(&b->arena, 32, sizeof(*list));
	char *save = NULL, *copy = arena_strdup(&b->arena, options);

	assert_true(b->spec.n_mounts <= BOX_MOUNTS_MAX);
	*m = (struct spec_mount){.destination = dest, .type = type, .source = source, .options = list};
	for (char *o = strtok_r(copy, " ", &save); o; o = strtok_r(NULL, " ", &save))
		list[m->n_options++] = o;
	return m;
}

void set_strings(struct box *b, const char ***ret, size_t *ret_n, const char *words)
{
	const char **list = arena_calloc(&b->arena, 32, sizeof(*list));
	char *save = NULL, *copy = arena_strdup(&b->arena, words);

	*ret_n = 0;
	for (char *o = strtok_r(copy, " ", &save); o; o = strtok_r(NULL, " ", &save))
		list[(*ret_n)++] = o;
	*ret = list;
}

/* What `runc spec` writes. */
void add_usual_mounts(struct box *b)
{
	add_mount(b, "/proc", "proc", "proc", "");
	add_mount(b, "/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k");
	add_mount(b, "/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5");
	add_mount(b, "/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k");
	add_mount(b, "/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev");
	add_mount(b, "/sys", "sysfs", "sysfs", "nosuid noexec nodev ro");
	add_mount(b, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid noexec nodev relatime ro");
	set_strings(b, &b->linux_.masked_paths, &b->linux_.n_masked_paths,
		    "/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
		    "/proc/timer_stats /proc/sched_debug /sys/firmware /proc/scsi");
	set_strings(b, &b->linux_.readonly_paths, &b->linux_.n_readonly_paths,
		    "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger");
}

int make_box(void **state)
{
	static const int types[] = {SPEC_NS_PID, SPEC_NS_NETWORK, SPEC_NS_IPC,
				    SPEC_NS_UTS, SPEC_NS_MOUNT,	  SPEC_NS_CGROUP};
	struct box *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	strcpy(b->dir, "/tmp/volrun-rootfs-XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	snprintf(b->root, sizeof(b->root), "%s/rootfs", b->dir);
	snprintf(b->outside, sizeof(b->outside), "%s/outside", b->dir);
	if (chmod(b->dir, 0755) < 0 || mkdir(b->root, 0755) < 0 || mkdir(b->outside, 0755) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		b->ns[i].type = types[i];
	b->linux_.namespaces = b->ns;
	b->linux_.n_namespaces = ARRAY_SIZE(types);
	b->ids = 1000;
	b->spec_root.path = b->root;
	b->spec.root = &b->spec_root;
	b->spec.linux_ = &b->linux_;
	b->spec.mounts = b->mounts;
	b->r = (struct rootfs){
	    .spec = &b->spec, .rootfs_path = b->root, .arena = &b->arena, .console_fd = -1, .root_fd = -1};
	*state = b;
	return 0;
}

int drop_box(void **state)
{
	struct box *b = *state;
	int r = remove_tree_at(AT_FDCWD, b->dir);

	arena_free(&b->arena);
	free(b);
	return r;
}

char *read_text(const char *path)
{
	char *text = NULL;

	return read_file_at(AT_FDCWD, path, 65536, &text, NULL) < 0 ? strdup("") : text;
}

void look_at_the_usual(struct box *b)
{
	char target[64] = "";

	(void)b;
	CHECK(fs_magic("/proc") == PROC_SUPER_MAGIC);
	CHECK(fs_magic("/dev") == TMPFS_MAGIC);
	CHECK(fs_magic("/dev/pts") == DEVPTS_SUPER_MAGIC);
	CHECK(fs_magic("/sys") == SYSFS_MAGIC);
	CHECK(getpid() == 1 && exists("/proc/1") && !exists("/proc/2"));
	CHECK(is_device("/dev/null", 1, 3) && is_device("/dev/zero", 1, 5) && is_device("/dev/full", 1, 7));
	CHECK(is_device("/dev/random", 1, 8) && is_device("/dev/urandom", 1, 9) && is_device("/dev/tty", 5, 0));
	CHECK(readlink("/dev/ptmx", target, sizeof(target)) == 8 && !strcmp(target, "pts/ptmx"));
	CHECK(exists("/dev/fd") && exists("/dev/stdin") && exists("/dev/stdout") && exists("/dev/stderr"));
	CHECK(flags_of("/sys") & ST_RDONLY);
	CHECK((flags_of("/dev/shm") & (ST_NOSUID | ST_NODEV | ST_NOEXEC)) == (ST_NOSUID | ST_NODEV | ST_NOEXEC));
	CHECK(flags_of("/proc/sys") & ST_RDONLY);
	CHECK(is_device("/proc/keys", 1, 3) || !exists("/proc/keys"));
	CHECK(flags_of("/sys/fs/cgroup") & ST_RDONLY);
	CHECK(!exists("/tmp"));
}

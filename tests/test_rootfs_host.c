/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, the terminal, user namespaces, cgroups, propagation, volumes. */
#include "tests/rootfs_box.h"

/* --- devices, terminal -------------------------------------------------------- */

static void look_at_devices(struct box *b)
{
	struct stat st;

	(void)b;
	CHECK(stat("/dev/null", &st) == 0 && st.st_rdev == makedev(1, 3) && (st.st_mode & 07777) == 0600);
	CHECK(st.st_uid == 3 && st.st_gid == 4);
	CHECK(stat("/dev/deep/pipe", &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK(is_device("/other/fuse", 10, 229));
	CHECK(lstat("/dev/ptmx", &st) == 0 && S_ISLNK(st.st_mode));
}

static void devices_of_the_spec_win_over_the_defaults(void **state)
{
	struct box *b = *state;
	uint32_t mode = 0600, uid = 3, gid = 4;
	struct spec_device d[] = {
	    {"/dev/null", "c", 1, 3, &mode, &uid, &gid},
	    {"/dev/deep/pipe", "p", 0, 0, NULL, NULL, NULL},
	    {"/other/fuse", "u", 10, 229, NULL, NULL, NULL},
	    {"/dev/ptmx", "c", 5, 2, NULL, NULL, NULL},
	};

	add_mount(b, "/dev", "tmpfs", "tmpfs", "mode=755");
	b->linux_.devices = d;
	b->linux_.n_devices = ARRAY_SIZE(d);
	b->inside = look_at_devices;
	assert_runs(b);
}

static void a_device_type_that_is_none_is_refused(void **state)
{
	struct box *b = *state;
	struct spec_device d = {"/dev/x", "z", 1, 1, NULL, NULL, NULL};

	b->linux_.devices = &d;
	b->linux_.n_devices = 1;
	assert_refused(b, "device \"/dev/x\": type \"z\": not one of c, u, b, p");
}

static void look_at_host_dev(struct box *b)
{
	(void)b;
	CHECK(exists("/dev/f"));
	CHECK(!exists("/dev/null") && !exists("/dev/ptmx") && !exists("/dev/fd"));
}

static void a_bound_dev_is_left_as_it_is(void **state)
{
	struct box *b = *state;

	put_outside(b, "f", "");
	add_mount(b, "/dev", "bind", b->outside, "rbind");
	b->inside = look_at_host_dev;
	assert_runs(b);
}

static void open_terminal(struct box *b)
{
	char name[32];
	struct error err = ERROR_INIT;
	int master;

	CHECK(rootfs_open_pty(&b->r, &master, name, sizeof(name), &err) == 0);
	CHECK(!strcmp(name, "/dev/pts/0"));
	if (rootfs_mount_console(&b->r, name, &err) < 0)
		give_up(err.msg);
}

static void look_at_terminal(struct box *b)
{
	(void)b;
	CHECK(is_device("/dev/console", 136, 0));
	CHECK(fs_magic("/dev/console") == DEVPTS_SUPER_MAGIC);
}

static void the_terminal_is_on_dev_console(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->prepared = open_terminal;
	b->inside = look_at_terminal;
	assert_runs(b);
}

static void mount_a_false_terminal(struct box *b)
{
	struct error err = ERROR_INIT;

	CHECK(rootfs_mount_console(&b->r, "/dev/null", &err) < 0);
	CHECK(rootfs_mount_console(&b->r, "/evil", &err) < 0);
	CHECK(rootfs_mount_console(&b->r, "/dev/like-a-pty", &err) < 0);
}

static void what_is_no_pty_is_not_put_on_dev_console(void **state)
{
	struct box *b = *state;
	struct spec_device like_a_pty = {"/dev/like-a-pty", "c", 136, 0, NULL, NULL, NULL};

	add_usual_mounts(b);
	put_link(b, "/dev/null", "/evil");
	b->linux_.devices = &like_a_pty;
	b->linux_.n_devices = 1;
	b->prepared = mount_a_false_terminal;
	assert_runs(b);
}

static void a_console_that_is_a_link_is_not_followed(void **state)
{
	struct box *b = *state;

	put_dir(b, "/dev");
	put_link(b, "/victim", "/dev/console");
	put_file(b, "/victim", "");
	add_mount(b, "/dev/pts", "devpts", "devpts", "newinstance ptmxmode=0666");
	b->prepared = open_terminal;
	assert_refused(b, "/dev/console: Too many levels of symbolic links");
}

/* --- user namespace, volumes, chroot ------------------------------------------- */

static void look_at_userns(struct box *b)
{
	struct stat dev, null;

	look_at_the_usual(b);
	CHECK(stat("/dev", &dev) == 0 && stat("/dev/null", &null) == 0 && dev.st_dev != null.st_dev);
}

static void a_user_namespace_gets_the_host_s_devices(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->userns = true;
	b->r.in_userns = true;
	b->inside = look_at_userns;
	assert_runs(b);
}

static void mount_nosuid_outside(struct box *b)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	CHECK(mount("tmpfs", b->outside, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, NULL) == 0);
}

static void look_at_locked(struct box *b)
{
	unsigned long want = ST_NOSUID | ST_NODEV | ST_NOATIME;

	(void)b;
	CHECK((flags_of("/x") & (want | ST_RDONLY)) == (want | ST_RDONLY));
	CHECK((flags_of("/y") & (want | ST_NOEXEC)) == (want | ST_NOEXEC));
}

static void locked_flags_of_a_source_stay_in_a_user_namespace(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	add_mount(b, "/x", "bind", b->outside, "bind ro");
	add_mount(b, "/y", "bind", b->outside, "bind rw noexec");
	b->userns = true;
	b->r.in_userns = true;
	b->outer = mount_nosuid_outside;
	b->inside = look_at_locked;
	assert_runs(b);
}

static void a_locked_flag_that_is_to_be_cleared_is_an_error(void **state)
{
	struct box *b = *state;

	add_mount(b, "/x", "bind", b->outside, "bind suid");
	b->userns = true;
	b->r.in_userns = true;
	b->outer = mount_nosuid_outside;
	assert_refused(b, "on \"/x\": the source's mount flags are locked");
}

static void an_unmapped_gid_of_devpts_is_left_out(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->userns = true;
	b->ids = 1;
	b->r.in_userns = true;
	b->inside = look_at_userns;
	assert_runs(b);
}

static void look_at_host_sys(struct box *b)
{
	(void)b;
	CHECK(fs_magic("/sys") == SYSFS_MAGIC && exists("/sys/kernel"));
	CHECK((flags_of("/sys") & (ST_RDONLY | ST_NOSUID)) == (ST_RDONLY | ST_NOSUID));
}

static void sysfs_is_the_host_s_where_the_network_is(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->userns = true;
	b->r.in_userns = true;
	b->no_unshare = CLONE_NEWNET;
	b->inside = look_at_host_sys;
	assert_runs(b);
}

/* --- cgroup --------------------------------------------------------------------- */

static void pure_v2(struct box *b)
{
	(void)b;
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	CHECK(umount2("/sys/fs/cgroup", MNT_DETACH) == 0);
	CHECK(mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0);
}

static void look_at_v2(struct box *b)
{
	(void)b;
	CHECK(fs_magic("/sys/fs/cgroup") == CGROUP2_SUPER_MAGIC);
	CHECK(flags_of("/sys/fs/cgroup") & ST_RDONLY);
	CHECK(exists("/sys/fs/cgroup/cgroup.procs"));
}

static void cgroup_is_cgroup2_on_a_v2_host(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->outer = pure_v2;
	b->inside = look_at_v2;
	assert_runs(b);
}

static void cgroup2_is_bound_in_a_user_namespace_without_a_cgroup_namespace(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->outer = pure_v2;
	b->userns = true;
	b->r.in_userns = true;
	b->no_unshare = CLONE_NEWCGROUP;
	b->linux_.n_namespaces--;
	b->inside = look_at_v2;
	assert_runs(b);
}

/* A v1 world of one joint hierarchy, whatever the machine has. */
static void pure_v1(struct box *b)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	umount2("/sys/fs/cgroup", MNT_DETACH);
	CHECK(mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/sys/fs/cgroup/cpu,cpuacct", 0755) == 0 && mkdir("/sys/fs/cgroup/unified", 0755) == 0);
	CHECK(mount(b->outside, "/sys/fs/cgroup/cpu,cpuacct", NULL, MS_BIND, NULL) == 0);
	CHECK(mount("none", "/sys/fs/cgroup/unified", "cgroup2", 0, NULL) == 0);
}

static void look_at_v1(struct box *b)
{
	(void)b;
	CHECK(fs_magic("/sys/fs/cgroup") == TMPFS_MAGIC);
	CHECK(flags_of("/sys/fs/cgroup") & ST_RDONLY);
	CHECK(fs_magic("/sys/fs/cgroup/unified") == CGROUP2_SUPER_MAGIC);
	CHECK(flags_of("/sys/fs/cgroup/unified") & ST_RDONLY);
	/* Not a cgroup file system, so not shown. */
	CHECK(!exists("/sys/fs/cgroup/cpu,cpuacct"));
}

static void cgroup_is_a_directory_of_hierarchies_on_a_v1_host(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->outer = pure_v1;
	b->inside = look_at_v1;
	assert_runs(b);
}

/* --- propagation, volumes, chroot ------------------------------------------------- */

static void share_everything(struct box *b)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	/* No peer of the machine's own mounts, but shared, as systemd has them. */
	CHECK(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	CHECK(mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) == 0);
	/* The rootfs is a mount of its own, as an engine's overlay is. */
	CHECK(mount(b->root, b->root, NULL, MS_BIND, NULL) == 0);
}

static void nothing_of_the_container_is_seen_on_a_shared_host(void **state)
{
	static const char *const propagation[] = {NULL, "rslave", "rprivate", "private", "slave", "shared", "rshared"};
	struct box *b = *state;

	add_usual_mounts(b);
	b->outer = share_everything;
	b->watch_host = true;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(propagation); i++) {
		const char *text;

		b->linux_.rootfs_propagation = propagation[i / 2];
		b->r.no_pivot = i % 2;
		text = box_run(b);
		if (*text)
			fail_msg("%s%s: %s", propagation[i / 2] ? propagation[i / 2] : "none",
				 b->r.no_pivot ? ", no pivot" : "", text);
	}
}

static void look_at_volume(struct box *b)
{
	_cleanup_free_ char *text = read_text("/data/v/f");

	(void)b;
	CHECK(!strcmp(text, "in the volume"));
	CHECK((flags_of("/data/v") & (ST_NOSUID | ST_NODEV)) == (ST_NOSUID | ST_NODEV));
	CHECK(fs_magic("/data") == TMPFS_MAGIC);
	CHECK(fs_magic("/data/v/below") == TMPFS_MAGIC);
}

static void a_volume_lies_between_the_bundle_s_mounts(void **state)
{
	struct box *b = *state;

	put_outside(b, "f", "in the volume");
	add_mount(b, "/data", "tmpfs", "tmpfs", "");
	add_mount(b, "/data/v/below", "tmpfs", "tmpfs", "");
	b->volume = "/data/v";
	b->inside = look_at_volume;
	assert_runs(b);
}

static void a_volume_on_a_file_is_refused_in_own_words(void **state)
{
	struct box *b = *state;

	put_file(b, "/data", "");
	b->volume = "/data";
	assert_refused(b, "volume on \"/data\": the image has a file or a dangling link");
}

static void a_volume_on_proc_is_refused(void **state)
{
	struct box *b = *state;

	put_link(b, "/proc", "/data");
	add_mount(b, "/proc", "proc", "proc", "");
	b->volume = "/data";
	assert_refused(b, "volume on \"/data\": only a file system of type proc can be mounted on /proc");
}

static void look_at_chroot(struct box *b)
{
	(void)b;
	CHECK(exists("/marker") && !exists("/proc"));
	CHECK(chdir("..") == 0 && exists("marker"));
}

static void without_a_mount_namespace_it_is_a_chroot_and_nothing_is_mounted(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	put_file(b, "/marker", "");
	b->linux_.n_namespaces = 1;
	b->inside = look_at_chroot;
	assert_runs(b);
}

static void look_at_shared_root(struct box *b)
{
	_cleanup_free_ char *text = read_text("/proc/self/mountinfo");
	char *line = strstr(text, "/rootfs / ");

	(void)b;
	CHECK(line && strtok(line, "\n") && strstr(line, " shared:"));
}

static void a_shared_root_propagation_is_set_after_pivot_root(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->linux_.rootfs_propagation = "shared";
	b->inside = look_at_shared_root;
	assert_runs(b);
}

static void an_unknown_root_propagation_is_refused(void **state)
{
	struct box *b = *state;

	b->linux_.rootfs_propagation = "ro";
	assert_refused(b, "linux.rootfsPropagation: unknown value \"ro\"");
}

static const struct CMUnitTest tests[] = {
    BOX_TEST(devices_of_the_spec_win_over_the_defaults),
    BOX_TEST(a_device_type_that_is_none_is_refused),
    BOX_TEST(a_bound_dev_is_left_as_it_is),
    BOX_TEST(the_terminal_is_on_dev_console),
    BOX_TEST(what_is_no_pty_is_not_put_on_dev_console),
    BOX_TEST(a_console_that_is_a_link_is_not_followed),
    BOX_TEST(a_user_namespace_gets_the_host_s_devices),
    BOX_TEST(locked_flags_of_a_source_stay_in_a_user_namespace),
    BOX_TEST(a_locked_flag_that_is_to_be_cleared_is_an_error),
    BOX_TEST(an_unmapped_gid_of_devpts_is_left_out),
    BOX_TEST(sysfs_is_the_host_s_where_the_network_is),
    BOX_TEST(cgroup_is_cgroup2_on_a_v2_host),
    BOX_TEST(cgroup2_is_bound_in_a_user_namespace_without_a_cgroup_namespace),
    BOX_TEST(cgroup_is_a_directory_of_hierarchies_on_a_v1_host),
    BOX_TEST(nothing_of_the_container_is_seen_on_a_shared_host),
    BOX_TEST(a_volume_lies_between_the_bundle_s_mounts),
    BOX_TEST(a_volume_on_a_file_is_refused_in_own_words),
    BOX_TEST(a_volume_on_proc_is_refused),
    BOX_TEST(without_a_mount_namespace_it_is_a_chroot_and_nothing_is_mounted),
    BOX_TEST(a_shared_root_propagation_is_set_after_pivot_root),
    BOX_TEST(an_unknown_root_propagation_is_refused),
};

BOX_MAIN(tests)

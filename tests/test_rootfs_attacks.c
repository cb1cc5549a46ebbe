/* SPDX-License-Identifier: Apache-2.0 */
/* Images and mounts that want out, or want the runtime's own writes. */
#include "tests/rootfs_box.h"

#include "runtime/mount_fs.h"
#include "runtime/sysctl.h"

/* --- attacks ------------------------------------------------------------------ */

static void proc_is_not_mounted_through_a_link(void **state)
{
	struct box *b = *state;

	put_dir(b, "/real");
	put_link(b, "/real", "/proc");
	add_mount(b, "/proc", "proc", "proc", "");
	assert_refused(b, "mount \"proc\" on \"/proc\": filesystem \"proc\" must be mounted on ordinary directory");
}

static void sysfs_is_not_mounted_on_a_file(void **state)
{
	struct box *b = *state;

	put_file(b, "/sys", "");
	add_mount(b, "/sys", "sysfs", "sysfs", "ro");
	assert_refused(b, "only on a directory");
}

static void a_link_to_proc_does_not_let_a_tmpfs_cover_it(void **state)
{
	struct box *b = *state;

	put_link(b, "../proc", "/innocent");
	add_mount(b, "/proc", "proc", "proc", "");
	add_mount(b, "/innocent", "tmpfs", "tmpfs", "");
	assert_refused(b, "on \"/innocent\": only a file system of type proc can be mounted on /proc");
}

static void a_fake_proc_is_refused(void **state)
{
	struct box *b = *state;

	add_mount(b, "/proc", "bind", b->outside, "bind");
	assert_refused(b, "only a file system of type proc can be mounted on /proc");
}

static void nothing_is_mounted_inside_proc(void **state)
{
	struct box *b = *state;

	put_link(b, "/proc/self/attr", "/innocent");
	add_mount(b, "/proc", "proc", "proc", "");
	add_mount(b, "/innocent", "bind", b->outside, "bind");
	assert_refused(b, "the destination is inside /proc");
}

static void look_at_uptime(struct box *b)
{
	_cleanup_free_ char *text = read_text("/proc/uptime");

	(void)b;
	CHECK(!strcmp(text, "42\n"));
}

static void what_lxcfs_emulates_can_be_mounted_in_proc(void **state)
{
	struct box *b = *state;

	put_outside(b, "uptime", "42\n");
	add_mount(b, "/proc", "proc", "proc", "");
	add_mount(b, "/proc/uptime", "bind", arena_printf(&b->arena, "%s/uptime", b->outside), "bind ro");
	b->inside = look_at_uptime;
	assert_runs(b);
}

static void look_for_escape(struct box *b)
{
	(void)b;
	CHECK(fs_magic("/tmp/evil") == TMPFS_MAGIC);
	CHECK(fs_magic("/up") == TMPFS_MAGIC);
	CHECK(fs_magic("/made/dangling/deep") == TMPFS_MAGIC);
	CHECK(fs_magic("/top") == TMPFS_MAGIC);
}

static void destinations_that_lead_out_stay_inside(void **state)
{
	struct box *b = *state;
	char evil[] = "/tmp/evil";

	put_link(b, "/tmp/evil", "/a");
	put_link(b, "../../../../../../up", "/c");
	put_link(b, "/made/dangling", "/d");
	put_dir(b, "/below");
	put_link(b, "/top", "/below/absolute");
	add_mount(b, "/a", "tmpfs", "tmpfs", "");
	add_mount(b, "/c", "tmpfs", "tmpfs", "");
	add_mount(b, "/d/deep", "tmpfs", "tmpfs", "");
	add_mount(b, "/below/absolute", "tmpfs", "tmpfs", "");
	b->inside = look_for_escape;
	assert_runs(b);
	assert_false(exists(evil));
	assert_false(exists("/up"));
	assert_false(exists("/made"));
}

static void a_destination_that_is_the_root_is_refused(void **state)
{
	struct box *b = *state;

	put_link(b, "/", "/link");
	add_mount(b, "/link", "tmpfs", "tmpfs", "");
	assert_refused(b, "on \"/link\": the destination is the container's root itself");
}

static void a_circle_of_links_is_refused(void **state)
{
	struct box *b = *state;

	put_link(b, "/y", "/x");
	put_link(b, "/x", "/y");
	add_mount(b, "/x", "tmpfs", "tmpfs", "");
	assert_refused(b, "Too many levels of symbolic links");
}

static void a_null_device_that_is_a_link_does_not_mask(void **state)
{
	struct box *b = *state;

	put_dir(b, "/dev");
	put_file(b, "/secret", "s");
	put_link(b, "/proc/sys/kernel/core_pattern", "/dev/null");
	set_strings(b, &b->linux_.masked_paths, &b->linux_.n_masked_paths, "/secret");
	assert_refused(b, "mask \"/secret\": the container's /dev/null is not the null device");
}

static void a_null_device_that_is_a_file_does_not_mask(void **state)
{
	struct box *b = *state;

	put_dir(b, "/dev");
	put_file(b, "/dev/null", "");
	put_file(b, "/secret", "s");
	set_strings(b, &b->linux_.masked_paths, &b->linux_.n_masked_paths, "/absent /secret");
	assert_refused(b, "mask \"/secret\": the container's /dev/null is not the null device");
}

static void look_at_masks(struct box *b)
{
	struct stat a, c;

	(void)b;
	CHECK(is_device("/secret", 1, 3));
	CHECK(is_device("/real/key", 1, 3));
	CHECK(stat("/dir1", &a) == 0 && stat("/dir2", &c) == 0 && a.st_dev == c.st_dev);
	CHECK(!exists("/dir1/inner") && !exists("/dir2/inner"));
	CHECK(mkdir("/dir1/x", 0700) < 0 && errno == EROFS);
	CHECK(mkdir("/dir2/x", 0700) < 0 && errno == EROFS);
}

static void masks_cover_files_directories_and_what_links_lead_to(void **state)
{
	struct box *b = *state;

	add_mount(b, "/dev", "tmpfs", "tmpfs", "mode=755");
	put_file(b, "/secret", "s");
	put_dir(b, "/real");
	put_file(b, "/real/key", "s");
	put_link(b, "../../real/key", "/link");
	put_dir(b, "/dir1");
	put_dir(b, "/dir2");
	put_dir(b, "/dir1/inner");
	put_dir(b, "/dir2/inner");
	set_strings(b, &b->linux_.masked_paths, &b->linux_.n_masked_paths,
		    "/secret /link /dir1 /dir2 /absent /secret/below");
	b->inside = look_at_masks;
	assert_runs(b);
}

static void sysctls_need_a_real_proc(void **state)
{
	struct box *b = *state;
	struct json_pair sysctl = {"kernel.domainname", "x"};

	put_dir(b, "/proc");
	put_dir(b, "/proc/sys");
	put_dir(b, "/proc/sys/kernel");
	put_file(b, "/proc/sys/kernel/domainname", "");
	b->linux_.sysctl = &sysctl;
	b->linux_.n_sysctl = 1;
	assert_refused(b, "the container's /proc is not a mounted procfs");
}

static void cover_a_sysctl(struct box *b)
{
	_cleanup_close_ int tree = mount_clone(b->r.root_fd, "other", false, false), at = -1;

	at = openat(b->r.root_fd, "proc/sys/kernel/domainname", O_PATH);
	CHECK(tree >= 0 && at >= 0);
	CHECK(mount_attach(tree, at) == 0);
}

static void a_sysctl_that_something_covers_is_not_written(void **state)
{
	struct box *b = *state;
	struct json_pair sysctl = {"kernel.domainname", "x"};

	add_mount(b, "/proc", "proc", "proc", "");
	put_file(b, "/other", "");
	b->prepared = cover_a_sysctl;
	b->linux_.sysctl = &sysctl;
	b->linux_.n_sysctl = 1;
	assert_refused(b, "sysctl \"kernel.domainname\": open /proc/sys/kernel/domainname");
}

static void look_at_sysctl(struct box *b)
{
	_cleanup_free_ char *name = read_text("/proc/sys/kernel/domainname");
	_cleanup_free_ char *forward = read_text("/proc/sys/net/ipv4/ip_forward");

	(void)b;
	CHECK(!strcmp(name, "volrun.test\n"));
	CHECK(!strcmp(forward, "1\n"));
	CHECK(open("/proc/sys/kernel/domainname", O_WRONLY) < 0 && errno == EROFS);
}

static void sysctls_are_written_before_proc_sys_becomes_readonly(void **state)
{
	struct box *b = *state;
	struct json_pair sysctl[] = {{"kernel.domainname", "volrun.test"}, {"net.ipv4.ip_forward", "1"}};

	add_usual_mounts(b);
	b->linux_.sysctl = sysctl;
	b->linux_.n_sysctl = 2;
	b->inside = look_at_sysctl;
	assert_runs(b);
}

static void names_of_sysctls_become_paths(void **state)
{
	struct box *b = *state;

	assert_string_equal(sysctl_path("net.ipv4.conf.eth0/1.forwarding", &b->arena),
			    "sys/net/ipv4/conf/eth0.1/forwarding");
	assert_string_equal(sysctl_path("net/ipv4/conf/eth0.1/forwarding", &b->arena),
			    "sys/net/ipv4/conf/eth0.1/forwarding");
	assert_null(sysctl_path("net/../kernel", &b->arena));
	assert_null(sysctl_path("a..b", &b->arena));
	assert_null(sysctl_path("", &b->arena));
	assert_null(sysctl_path("kernel.//.x", &b->arena));
}

static const struct CMUnitTest tests[] = {
    BOX_TEST(proc_is_not_mounted_through_a_link),
    BOX_TEST(sysfs_is_not_mounted_on_a_file),
    BOX_TEST(a_link_to_proc_does_not_let_a_tmpfs_cover_it),
    BOX_TEST(a_fake_proc_is_refused),
    BOX_TEST(nothing_is_mounted_inside_proc),
    BOX_TEST(what_lxcfs_emulates_can_be_mounted_in_proc),
    BOX_TEST(destinations_that_lead_out_stay_inside),
    BOX_TEST(a_destination_that_is_the_root_is_refused),
    BOX_TEST(a_circle_of_links_is_refused),
    BOX_TEST(a_null_device_that_is_a_link_does_not_mask),
    BOX_TEST(a_null_device_that_is_a_file_does_not_mask),
    BOX_TEST(masks_cover_files_directories_and_what_links_lead_to),
    BOX_TEST(sysctls_need_a_real_proc),
    BOX_TEST(a_sysctl_that_something_covers_is_not_written),
    BOX_TEST(sysctls_are_written_before_proc_sys_becomes_readonly),
    BOX_TEST(names_of_sysctls_become_paths),
};

BOX_MAIN(tests)

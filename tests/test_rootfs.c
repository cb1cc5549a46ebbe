/* SPDX-License-Identifier: Apache-2.0 */
/* The usual container, and each kind of mount. */
#include "tests/rootfs_box.h"

#include "runtime/mount_fs.h"

/* --- the usual container ------------------------------------------------------ */

static void the_usual_spec_gives_the_usual_container(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->inside = look_at_the_usual;
	assert_runs(b);
}

static void set_narrow_umask(struct box *b)
{
	(void)b;
	umask(077);
}

static void look_at_modes(struct box *b)
{
	struct stat st;

	(void)b;
	CHECK(stat("/dev/null", &st) == 0 && (st.st_mode & 07777) == 0666 && st.st_uid == 0);
	CHECK(stat("/dev/shm", &st) == 0 && (st.st_mode & 07777) == 01777);
	CHECK(stat("/dev", &st) == 0 && (st.st_mode & 07777) == 0755);
	CHECK(stat("/deep/er", &st) == 0 && (st.st_mode & 07777) == 0755);
	CHECK(umask(0) == 077);
}

static void modes_do_not_depend_on_the_umask_which_is_kept(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	add_mount(b, "/deep/er/est", "tmpfs", "tmpfs", "");
	b->outer = set_narrow_umask;
	b->inside = look_at_modes;
	assert_runs(b);
}

static void look_at_the_mount_table(struct box *b)
{
	_cleanup_free_ char *text = read_text("/proc/self/mountinfo");

	CHECK(*text);
	CHECK(!strstr(text, b->dir) || !strstr(text, "outside"));
	CHECK(!strstr(text, " /sys/kernel/debug "));
	CHECK(!exists(b->dir));
}

static void nothing_of_the_host_is_left_after_pivot_root(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->inside = look_at_the_mount_table;
	assert_runs(b);
}

static void look_without_pivot(struct box *b)
{
	_cleanup_free_ char *text = NULL;

	look_at_the_usual(b);
	text = read_text("/proc/self/mountinfo");
	CHECK(*text);
	CHECK(chdir("..") == 0 && !exists("tmp"));
}

static void no_pivot_gives_the_same_container(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->r.no_pivot = true;
	b->inside = look_without_pivot;
	assert_runs(b);
}

static void look_at_readonly_root(struct box *b)
{
	(void)b;
	CHECK(open("/x", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
	CHECK(open("/dev/shm/x", O_CREAT | O_WRONLY, 0600) >= 0);
}

static void a_readonly_root_leaves_its_mounts_writable(void **state)
{
	struct box *b = *state;

	add_usual_mounts(b);
	b->spec_root.readonly = true;
	b->inside = look_at_readonly_root;
	assert_runs(b);
}

static void look_at_late_readonly(struct box *b)
{
	(void)b;
	CHECK(is_device("/dev/null", 1, 3) && fs_magic("/dev/pts") == DEVPTS_SUPER_MAGIC);
	CHECK(open("/dev/x", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
	CHECK(fs_magic("/ro/below") == TMPFS_MAGIC);
	CHECK(mkdir("/ro/x", 0700) < 0 && errno == EROFS);
	CHECK(mkdir("/ro/below/x", 0700) == 0);
}

static void a_readonly_tmpfs_is_filled_first(void **state)
{
	struct box *b = *state;

	add_mount(b, "/dev", "tmpfs", "tmpfs", "nosuid mode=755 ro");
	add_mount(b, "/dev/pts", "devpts", "devpts", "newinstance ptmxmode=0666");
	add_mount(b, "/ro", "tmpfs", "tmpfs", "rro");
	add_mount(b, "/ro/below", "tmpfs", "tmpfs", "");
	b->inside = look_at_late_readonly;
	assert_runs(b);
}

/* --- bind mounts ------------------------------------------------------------- */

static void look_at_binds(struct box *b)
{
	_cleanup_free_ char *text = read_text("/file");

	(void)b;
	CHECK(!strcmp(text, "outside\n"));
	CHECK(open("/ro/x", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
	CHECK(open("/file", O_WRONLY) < 0 && errno == EROFS);
	CHECK(open("/rw/x", O_CREAT | O_WRONLY, 0600) >= 0);
	CHECK((flags_of("/ro") & (ST_NOSUID | ST_RDONLY)) == (ST_NOSUID | ST_RDONLY));
	CHECK(!(flags_of("/rw") & ST_RDONLY));
}

static void binds_of_directories_and_files_are_made_and_ro_is_ro(void **state)
{
	struct box *b = *state;

	put_outside(b, "f", "outside\n");
	add_mount(b, "/ro", "bind", b->outside, "bind ro nosuid");
	add_mount(b, "/rw", "none", b->outside, "rbind rprivate");
	add_mount(b, "/file", "bind", arena_printf(&b->arena, "%s/f", b->outside), "bind ro");
	b->inside = look_at_binds;
	assert_runs(b);
	assert_int_equal(unlink(arena_printf(&b->arena, "%s/x", b->outside)), 0);
}

static void mount_below_outside(struct box *b)
{
	const char *sub = arena_printf(&b->arena, "%s/sub", b->outside);

	CHECK(mkdir(sub, 0755) == 0);
	CHECK(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	CHECK(mount("tmpfs", sub, "tmpfs", MS_NOSUID, NULL) == 0);
}

static void look_at_recursion(struct box *b)
{
	struct stat top, sub;

	(void)b;
	CHECK(mkdir("/one/x", 0700) < 0 && errno == EROFS);
	CHECK(mkdir("/one/sub/x", 0700) == 0);
	CHECK(mkdir("/all/x", 0700) < 0 && errno == EROFS);
	CHECK(mkdir("/all/sub/y", 0700) < 0 && errno == EROFS);
	CHECK(stat("/single", &top) == 0 && stat("/single/sub", &sub) == 0 && top.st_dev == sub.st_dev);
}

static void rro_reaches_submounts_and_ro_does_not(void **state)
{
	struct box *b = *state;

	b->before = mount_below_outside;
	add_mount(b, "/one", "bind", b->outside, "rbind ro");
	add_mount(b, "/all", "bind", b->outside, "rbind rro");
	add_mount(b, "/single", "bind", b->outside, "bind");
	b->inside = look_at_recursion;
	assert_runs(b);
}

static void an_absent_source_is_named(void **state)
{
	struct box *b = *state;

	add_mount(b, "/x", "bind", "/nonexistent/y", "rbind");
	assert_refused(b, "mount \"/nonexistent/y\" on \"/x\": source: No such file or directory");
	assert_false(exists(in_root(b, "/x")));
}

static void a_directory_does_not_go_on_a_file(void **state)
{
	struct box *b = *state;

	put_file(b, "/f", "");
	add_mount(b, "/f", "bind", b->outside, "bind");
	assert_refused(b, "on \"/f\": not a directory: the source is one and the destination is not");
}

static void an_unknown_option_is_named_by_the_kernel(void **state)
{
	struct box *b = *state;

	add_mount(b, "/t", "tmpfs", "tmpfs", "nosuid nonsense=1");
	assert_refused(b, "mount \"tmpfs\" on \"/t\": tmpfs: Unknown parameter 'nonsense'");
}

static void an_unknown_file_system_is_named(void **state)
{
	struct box *b = *state;

	add_mount(b, "/t", "nosuchfs", "none", "");
	assert_refused(b, "mount \"none\" on \"/t\": the kernel has no file system \"nosuchfs\"");
}

static void look_at_tmpfs_modes(struct box *b)
{
	struct stat st;

	(void)b;
	CHECK(stat("/old", &st) == 0 && (st.st_mode & 07777) == 0711 && fs_magic("/old") == TMPFS_MAGIC);
	CHECK(stat("/new", &st) == 0 && (st.st_mode & 07777) == 01777);
	CHECK(stat("/named", &st) == 0 && (st.st_mode & 07777) == 0700);
}

static void a_tmpfs_takes_the_mode_of_the_directory_it_covers(void **state)
{
	struct box *b = *state;

	put_dir(b, "/old");
	put_dir(b, "/named");
	assert_int_equal(chmod(in_root(b, "/old"), 0711), 0);
	add_mount(b, "/old", "tmpfs", "tmpfs", "");
	add_mount(b, "/new", "tmpfs", "tmpfs", "");
	add_mount(b, "/named", "tmpfs", "tmpfs", "mode=700");
	b->inside = look_at_tmpfs_modes;
	assert_runs(b);
}

static void look_at_copy(struct box *b)
{
	_cleanup_free_ char *text = read_text("/etc/sub/file");
	char target[16] = "";
	struct stat st;

	(void)b;
	CHECK(fs_magic("/etc") == TMPFS_MAGIC);
	CHECK(!strcmp(text, "content"));
	CHECK(stat("/etc/sub/file", &st) == 0 && (st.st_mode & 07777) == 04640 && st.st_uid == 7 && st.st_gid == 8);
	CHECK(st.st_mtime == 1000000000);
	CHECK(readlink("/etc/link", target, sizeof(target)) == 9 && !strcmp(target, "/nowhere!"));
	CHECK(stat("/etc/sub", &st) == 0 && (st.st_mode & 07777) == 0750);
	CHECK(stat("/etc", &st) == 0 && (st.st_mode & 07777) == 0755);
}

static void tmpcopyup_brings_the_image_s_files(void **state)
{
	struct box *b = *state;
	const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};

	put_dir(b, "/etc");
	put_dir(b, "/etc/sub");
	put_file(b, "/etc/sub/file", "content");
	put_link(b, "/nowhere!", "/etc/link");
	assert_int_equal(chown(in_root(b, "/etc/sub/file"), 7, 8), 0);
	assert_int_equal(chmod(in_root(b, "/etc/sub/file"), 04640), 0);
	assert_int_equal(chmod(in_root(b, "/etc/sub"), 0750), 0);
	assert_int_equal(utimensat(AT_FDCWD, in_root(b, "/etc/sub/file"), times, 0), 0);
	add_mount(b, "/etc", "tmpfs", "tmpfs", "tmpcopyup");
	b->inside = look_at_copy;
	assert_runs(b);
}

static void look_at_overlay(struct box *b)
{
	_cleanup_free_ char *text = read_text("/merged/f");

	(void)b;
	CHECK(fs_magic("/merged") == OVERLAYFS_SUPER_MAGIC);
	CHECK(!strcmp(text, "lower"));
}

static void make_long_lowerdir(struct box *b)
{
	const char *options = "lowerdir=";

	for (int i = 0; i < 10; i++) {
		const char *d = arena_printf(&b->arena, "%s/a-rather-long-name-of-a-layer-%d", b->outside, i);

		CHECK(mkdir(d, 0755) == 0);
		options = arena_printf(&b->arena, "%s%s%s", options, i ? ":" : "", d);
	}
	CHECK(strlen(options) > 300);
	CHECK(write_file_atomic_at(AT_FDCWD,
				   arena_printf(&b->arena, "%s/a-rather-long-name-of-a-layer-3/f", b->outside), "lower",
				   5, 0644, false) == 0);
	add_mount(b, "/merged", "overlay", "overlay", options);
}

static void an_overlay_with_long_options_is_mounted(void **state)
{
	struct box *b = *state;

	b->before = make_long_lowerdir;
	b->inside = look_at_overlay;
	assert_runs(b);
}

/* --- the rarer options ------------------------------------------------------------ */

static void clone_outside(struct box *b)
{
	static int trees[2] = {-1, -1};

	trees[1] = mount_clone(AT_FDCWD, b->outside, false, false);
	CHECK(trees[1] >= 0);
	b->r.mount_tree_fds = trees;
}

static void look_at_given_tree(struct box *b)
{
	(void)b;
	CHECK(exists("/given/f") && (flags_of("/given") & ST_RDONLY));
}

static void a_given_tree_is_mounted_in_place_of_the_source(void **state)
{
	struct box *b = *state;

	put_outside(b, "f", "");
	add_mount(b, "/t", "tmpfs", "tmpfs", "");
	add_mount(b, "/given", "bind", "/nonexistent", "bind idmap ro");
	b->before = clone_outside;
	b->inside = look_at_given_tree;
	assert_runs(b);
}

static void look_at_links(struct box *b)
{
	_cleanup_free_ char *text = read_text("/run/stub/resolv.conf");
	char target[32] = "";

	(void)b;
	CHECK(!strcmp(text, "nameserver"));
	CHECK(readlink("/copied", target, sizeof(target)) == 1 && !strcmp(target, "f"));
	CHECK(readlink("/as-it-is", target, sizeof(target)) == 1);
	CHECK(!strcmp(target, "f"));
	CHECK(readlink("/over", target, sizeof(target)) < 0 && errno == EINVAL && !exists("/elsewhere"));
}

static void links_are_followed_copied_or_mounted_as_asked(void **state)
{
	struct box *b = *state;
	const char *file, *link;

	put_outside(b, "f", "nameserver");
	file = arena_printf(&b->arena, "%s/f", b->outside);
	link = arena_printf(&b->arena, "%s/l", b->outside);
	assert_int_equal(symlink("f", link), 0);
	put_dir(b, "/etc");
	put_link(b, "../run/stub/resolv.conf", "/etc/resolv.conf");
	put_link(b, "/elsewhere", "/over");
	add_mount(b, "/etc/resolv.conf", "bind", file, "bind ro");
	add_mount(b, "/copied", "bind", link, "bind copy-symlink");
	add_mount(b, "/as-it-is", "bind", link, "bind src-nofollow");
	add_mount(b, "/over", "bind", file, "bind dest-nofollow");
	b->inside = look_at_links;
	assert_runs(b);
}

static void look_at_remount(struct box *b)
{
	struct statvfs s;

	(void)b;
	CHECK(flags_of("/t") & ST_RDONLY);
	CHECK(statvfs("/t", &s) == 0 && s.f_blocks * s.f_frsize == 65536);
}

static void remount_changes_what_is_there(void **state)
{
	struct box *b = *state;

	add_mount(b, "/t", "tmpfs", "tmpfs", "size=4096");
	add_mount(b, "/t", "tmpfs", "tmpfs", "remount ro size=64k");
	b->inside = look_at_remount;
	assert_runs(b);
}

static void look_at_propagation(struct box *b)
{
	_cleanup_free_ char *text = read_text("/proc/self/mountinfo");
	char *shared = strstr(text, " /shared "), *private = strstr(text, " /private ");

	(void)b;
	CHECK(shared && private);
	shared[strcspn(shared, "\n")] = '\0';
	private[strcspn(private, "\n")] = '\0';
	CHECK(strstr(shared, " shared:"));
	CHECK(!strstr(private, " shared:") && !strstr(private, " master:"));
}

static void a_mount_has_the_propagation_it_asks_for(void **state)
{
	struct box *b = *state;

	add_mount(b, "/proc", "proc", "proc", "");
	add_mount(b, "/private", "bind", b->outside, "rbind rprivate");
	add_mount(b, "/shared", "bind", b->outside, "rbind rshared");
	b->inside = look_at_propagation;
	assert_runs(b);
}

static void look_at_old_flags(struct box *b)
{
	(void)b;
	CHECK((flags_of("/kept") & (ST_NOSUID | ST_NOEXEC)) == (ST_NOSUID | ST_NOEXEC));
	CHECK((flags_of("/replaced") & (ST_NOSUID | ST_NOEXEC | ST_RDONLY)) == ST_RDONLY);
}

static void mount_flagged_outside(struct box *b)
{
	CHECK(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	CHECK(mount("tmpfs", b->outside, "tmpfs", MS_NOSUID | MS_NOEXEC, NULL) == 0);
}

static void any_flag_of_a_bind_replaces_those_of_its_source(void **state)
{
	struct box *b = *state;

	b->before = mount_flagged_outside;
	add_mount(b, "/kept", "bind", b->outside, "rbind rprivate");
	add_mount(b, "/replaced", "bind", b->outside, "rbind ro");
	b->inside = look_at_old_flags;
	assert_runs(b);
}

static const struct CMUnitTest tests[] = {
    BOX_TEST(the_usual_spec_gives_the_usual_container),
    BOX_TEST(modes_do_not_depend_on_the_umask_which_is_kept),
    BOX_TEST(nothing_of_the_host_is_left_after_pivot_root),
    BOX_TEST(no_pivot_gives_the_same_container),
    BOX_TEST(a_readonly_root_leaves_its_mounts_writable),
    BOX_TEST(a_readonly_tmpfs_is_filled_first),
    BOX_TEST(binds_of_directories_and_files_are_made_and_ro_is_ro),
    BOX_TEST(rro_reaches_submounts_and_ro_does_not),
    BOX_TEST(an_absent_source_is_named),
    BOX_TEST(a_directory_does_not_go_on_a_file),
    BOX_TEST(an_unknown_option_is_named_by_the_kernel),
    BOX_TEST(an_unknown_file_system_is_named),
    BOX_TEST(a_tmpfs_takes_the_mode_of_the_directory_it_covers),
    BOX_TEST(tmpcopyup_brings_the_image_s_files),
    BOX_TEST(an_overlay_with_long_options_is_mounted),
    BOX_TEST(a_given_tree_is_mounted_in_place_of_the_source),
    BOX_TEST(links_are_followed_copied_or_mounted_as_asked),
    BOX_TEST(remount_changes_what_is_there),
    BOX_TEST(a_mount_has_the_propagation_it_asks_for),
    BOX_TEST(any_flag_of_a_bind_replaces_those_of_its_source),
};

BOX_MAIN(tests)

/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to criu: messages, mounts, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/criu_descriptors.h"
#include "runtime/criu_message.h"
#include "runtime/criu_mounts.h"
#include "runtime/criu_names.h"
#include "runtime/criu_options.h"

static struct error err;
static struct arena arena;
static struct criu_request request;

static int begin(void **state)
{
	(void)state;
	err = (struct error)ERROR_INIT;
	request = (struct criu_request)CRIU_REQUEST_INIT;
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* Does the text hold these bytes? */
static bool holds(const struct strbuf *out, const char *bytes, size_t len)
{
	for (size_t i = 0; i + len <= out->len; i++)
		if (memcmp(out->data + i, bytes, len) == 0)
			return true;
	return false;
}

/* The name that goes with a key of request.mounts, or NULL. The last one counts, as with criu. */
static const char *mount_named(const char *key)
{
	const char *found = NULL;

	for (size_t i = 0; i < request.mounts.n; i++)
		if (strcmp(request.mounts.items[i].key, key) == 0)
			found = request.mounts.items[i].value;
	return found;
}

/* --- messages ------------------------------------------------------------------------- */

static void a_request_is_written_as_criu_reads_it(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	(void)state;
	request.type = CRIU_DUMP;
	request.images_dir_fd = 4;
	request.work_dir_fd = 5;
	request.pid = 300;
	request.shell_job = true;
	request.log_file = "dump.log";
	criu_request_write(&out, &request);
	/* By hand: type 1; opts of 27 bytes: 1, 17, 9 (level 4), 12, 24, 2 (300), 7, 10. */
	assert_int_equal(out.len, 31);
	assert_memory_equal(out.data,
			    "\x08\x01\x12\x1b\x08\x04\x88\x01\x05\x48\x04\x60\x01\xc0\x01\x01\x10\xac\x02\x38\x01"
			    "\x52\x08"
			    "dump.log",
			    31);
}

static void lists_are_messages_of_two_fields(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	(void)state;
	criu_list_add(&request.mounts, &arena, "/a", "/b", -1);
	criu_list_add(&request.inherit, &arena, "pipe:[1]", NULL, 2);
	criu_list_add(&request.external, &arena, "net[5]:x", NULL, -1);
	criu_list_add(&request.join, &arena, "ipc", "/p", -1);
	request.cgroup_root = "/cg";
	request.cgroup_mode = CRIU_CGROUP_IGNORE;
	request.page_server = "h";
	request.page_server_port = 9000;
	criu_request_write(&out, &request);
	assert_true(holds(&out, "\xba\x01\x08\x0a\x02/a\x12\x02/b", 11));
	assert_true(holds(&out, "\xda\x01\x0c\x0a\x08pipe:[1]\x10\x02", 15));
	assert_true(holds(&out, "\xaa\x02\x08net[5]:x", 11));
	assert_true(holds(&out, "\xba\x02\x09\x0a\x03ipc\x12\x02/p", 12));
	/* Without a controller: of all. */
	assert_true(holds(&out, "\xca\x01\x05\x12\x03/cg", 8));
	/* "ignore" is 0, and said. */
	assert_true(holds(&out, "\x90\x02\x00", 3));
	assert_true(holds(&out, "\x5a\x06\x0a\x01h\x10\xa8\x46", 8));
}

static void a_list_grows(void **state)
{
	char key[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "/%d", i);
		assert_int_equal(criu_list_add(&request.mounts, &arena, arena_strdup(&arena, key), "x", -1), 0);
	}
	assert_int_equal(request.mounts.n, 1000);
	assert_string_equal(request.mounts.items[0].key, "/0");
	assert_string_equal(request.mounts.items[999].key, "/999");
	assert_int_equal(criu_list_add(&request.mounts, &arena, NULL, "x", -1), -ENOMEM);
}

static void answers_are_read(void **state)
{
	static const char notify[] = "\x08\x06\x10\x01\x2a\x17\x0a\x10setup-namespaces\x10\xac\x02\x18\x01";
	static const char restored[] = "\x08\x02\x10\x01\x22\x02\x08\x07";
	static const char failure[] = "\x08\x01\x10\x00\x38\x05\x4a\x0e"
				      "Error (x): y\n\n";
	struct criu_response r;

	(void)state;
	assert_int_equal(criu_response_parse(notify, sizeof(notify) - 1, &r), 0);
	assert_int_equal(r.type, CRIU_NOTIFY);
	assert_string_equal(r.script, "setup-namespaces");
	assert_int_equal(r.pid, 300);
	assert_int_equal(criu_response_parse(restored, sizeof(restored) - 1, &r), 0);
	assert_true(r.success);
	assert_int_equal(r.pid, 7);
	assert_int_equal(criu_response_parse(failure, sizeof(failure) - 1, &r), 0);
	assert_false(r.success);
	assert_string_equal(r.message, "Error (x): y");
}

static void an_answer_that_is_torn_or_mad_is_refused(void **state)
{
	static const char notify[] = "\x08\x06\x10\x01\x2a\x17\x0a\x10setup-namespaces\x10\xac\x02\x18\x01";
	static const char endless[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
	static const char huge[] = "\x4a\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
	static const char group[] = "\x0b\x0c";
	char many[2000] = "\x4a\xcc\x0f";
	struct criu_response r = {.type = 42};

	(void)state;
	for (size_t cut = 1; cut < sizeof(notify) - 1; cut++)
		if (cut != 2 && cut != 4)
			assert_int_equal(criu_response_parse(notify, cut, &r), -EPROTO);
	assert_int_equal(criu_response_parse(endless, sizeof(endless) - 1, &r), -EPROTO);
	assert_int_equal(criu_response_parse(huge, sizeof(huge) - 1, &r), -EPROTO);
	assert_int_equal(criu_response_parse(group, 2, &r), -EPROTO);
	/* Texts longer than their place are cut, and hold one line. */
	memset(many + 3, 'x', sizeof(many) - 3);
	many[100] = '\n';
	assert_int_equal(criu_response_parse(many, 3 + 1996, &r), 0);
	assert_int_equal(strlen(r.message), sizeof(r.message) - 1);
	assert_null(strchr(r.message, '\n'));
}

static void names_of_modes_are_known_or_refused(void **state)
{
	int v = -2;

	(void)state;
	assert_int_equal(criu_cgroup_mode_parse("ignore", &v), 0);
	assert_int_equal(v, CRIU_CGROUP_IGNORE);
	assert_int_equal(criu_cgroup_mode_parse("Soft", &v), -EINVAL);
	assert_int_equal(criu_network_lock_parse("skip", &v), 0);
	assert_int_equal(v, 3);
	assert_int_equal(criu_network_lock_parse("", &v), -EINVAL);
}

static void a_page_server_is_an_address_and_a_port(void **state)
{
	static const char *const wrong[] = {"",	      ":",	    "host",   "host:",	":9000",
					    "host:0", "host:65536", "host:x", "host:+1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(criu_parse_page_server(wrong[i], &arena, &request, &err), -EINVAL);
	assert_int_equal(criu_parse_page_server("[::1]:9000", &arena, &request, &err), 0);
	assert_string_equal(request.page_server, "::1");
	assert_int_equal(request.page_server_port, 9000);
}

/* --- mounts ------------------------------------------------------------------------------ */

#define ROOT_LINE "30 20 0:34 /c1/rootfs / rw master:1 - tmpfs tmpfs rw\n"

static void mounts_from_outside_that_nobody_named_get_their_place_as_name(void **state)
{
	static const char mountinfo[] =
	    ROOT_LINE "31 30 0:40 / /proc rw - proc proc rw\n"
		      "32 31 0:40 /sys /proc/sys ro - proc proc rw\n"
		      "33 30 8:1 /vol/a /data rw master:5 propagate_from:2 - ext4 /dev/sda1 rw\n"
		      "34 30 0:41 / /tmp rw - tmpfs tmpfs rw\n"
		      "35 30 0:41 /in /again rw - tmpfs tmpfs rw\n"
		      "36 30 0:34 /c1/rootfs/etc /own rw - tmpfs tmpfs rw\n"
		      "37 30 0:34 /elsewhere /sp\\040ace rw - tmpfs tmpfs rw\n"
		      "38 30 8:2 / /disk rw - xfs /dev/sdb rw\n"
		      "39 30 8:1 /named /named rw - ext4 /dev/sda1 rw\n"
		      "40 39 8:1 /named/sub /named/sub rw - ext4 /dev/sda1 rw\n"
		      "42 30 0:27 /a/b /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
		      "garbage\n\n41 30 0:34\n";

	(void)state;
	criu_list_add(&request.mounts, &arena, "/named", "/n", -1);
	assert_int_equal(criu_mounts_unnamed(mountinfo, &request, &arena, &err), 0);
	assert_string_equal(mount_named("/data"), "/data");
	assert_string_equal(mount_named("/sp ace"), "/sp ace");
	assert_string_equal(mount_named("/disk"), "/disk");
	/* criu makes these itself, or binds them from what is there. */
	assert_null(mount_named("/proc"));
	assert_null(mount_named("/proc/sys"));
	assert_null(mount_named("/tmp"));
	assert_null(mount_named("/again"));
	assert_null(mount_named("/own"));
	assert_null(mount_named("/named/sub"));
	assert_null(mount_named("/"));
	assert_int_equal(request.mounts.n, 4);
}

static void a_container_with_mad_numbers_of_mounts_is_refused(void **state)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 10001; i++)
		strbuf_adds(&text, "1 2 0:1 / / rw - tmpfs tmpfs rw\n");
	assert_int_equal(criu_mounts_unnamed(strbuf_str(&text), &request, &arena, &err), -E2BIG);
}

static const char config[] =
    "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"],"
    "\"user\":{\"uid\":0,\"gid\":0}},\"mounts\":["
    "{\"destination\":\"/tmp\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
    "{\"destination\":\"/link/x\",\"type\":\"bind\",\"source\":\"src\",\"options\":[\"bind\"]},"
    "{\"destination\":\"/link/x/y\",\"source\":\"file\",\"options\":[\"rbind\"]},"
    "{\"destination\":\"/tmp/z\",\"source\":\"src\",\"options\":[\"rbind\"]}],"
    "\"linux\":{\"maskedPaths\":[\"/real/secret\",\"/real\",\"/none\"],\"namespaces\":[{\"type\":\"mount\"}],"
    "\"devices\":[{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,\"minor\":229}]}}";

/* A root file system with link -> real, and a bundle with src/ and file. */
struct box {
	char path[64];
	int root_fd;
	struct spec spec;
	struct cgroup cg;
};

static void box_open(struct box *b)
{
	char path[128];

	*b = (struct box){.path = "/tmp/test-criu-XXXXXX", .cg = CGROUP_INIT};
	assert_non_null(mkdtemp(b->path));
	snprintf(path, sizeof(path), "%s/rootfs/real", b->path);
	assert_int_equal(mkdir_p_at(AT_FDCWD, path, 0755), 0);
	snprintf(path, sizeof(path), "%s/src", b->path);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/file", b->path);
	assert_int_equal(write_file_atomic_at(AT_FDCWD, path, "", 0, 0644, false), 0);
	snprintf(path, sizeof(path), "%s/rootfs", b->path);
	b->root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(symlinkat("real", b->root_fd, "link"), 0);
	assert_int_equal(write_file_atomic_at(b->root_fd, "real/secret", "", 0, 0644, false), 0);
	assert_int_equal(spec_parse(config, sizeof(config) - 1, "config.json", &arena, &b->spec, &err), 0);
}

static void box_close(struct box *b)
{
	close(b->root_fd);
	remove_tree_at(AT_FDCWD, b->path);
}

static void a_bind_mount_is_named_by_its_destination_and_found_where_links_lead(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	assert_int_equal(mkdirat(b.root_fd, "real/x", 0755), 0);
	assert_int_equal(criu_mounts_dump(&b.spec, &b.cg, b.root_fd, &request, &arena, &err), 0);
	assert_string_equal(mount_named("/real/x"), "/link/x");
	assert_null(mount_named("/tmp"));
	/* Files that are masked have /dev/null on them, directories a tmpfs of criu's. */
	assert_string_equal(mount_named("/real/secret"), "/dev/null");
	assert_null(mount_named("/real"));
	assert_null(mount_named("/none"));
	assert_string_equal(mount_named("/dev/fuse"), "/dev/fuse");
	box_close(&b);
}

static void at_the_restore_each_name_has_its_source(void **state)
{
	char source[128];
	struct box b;

	(void)state;
	box_open(&b);
	assert_int_equal(mkdirat(b.root_fd, "real/x", 0755), 0);
	assert_int_equal(criu_mounts_restore(&b.spec, &b.cg, b.root_fd, b.path, &request, &arena, &err), 0);
	snprintf(source, sizeof(source), "%s/src", b.path);
	assert_string_equal(mount_named("/link/x"), source);
	/* As runc and crun name it. */
	assert_string_equal(mount_named("/real/x"), source);
	assert_string_equal(mount_named("/tmp/z"), source);
	assert_string_equal(mount_named("/dev/null"), "/dev/null");
	box_close(&b);
}

static void missing_mount_points_are_made_in_the_root_and_in_sources_not_on_a_tmpfs(void **state)
{
	char path[128];
	struct stat st;
	struct box b;

	(void)state;
	box_open(&b);
	assert_int_equal(criu_mounts_make_points(&b.spec, b.root_fd, b.path, &arena, &err), 0);
	assert_int_equal(fstatat(b.root_fd, "real/x", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(fstatat(b.root_fd, "tmp", &st, 0), 0);
	assert_int_equal(fstatat(b.root_fd, "tmp/z", &st, 0), -1);
	/* On the bind mount at /link/x: in its source, and a file, as what is mounted on it. */
	snprintf(path, sizeof(path), "%s/src/y", b.path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(fstatat(b.root_fd, "real/x/y", &st, 0), -1);
	box_close(&b);
}

static void a_link_in_the_root_file_system_makes_no_mount_point_outside(void **state)
{
	struct stat st;
	struct box b;

	(void)state;
	box_open(&b);
	assert_int_equal(unlinkat(b.root_fd, "link", 0), 0);
	assert_int_equal(symlinkat("../../../../../../tmp/test-criu-escaped", b.root_fd, "link"), 0);
	criu_mounts_make_points(&b.spec, b.root_fd, b.path, &arena, &err);
	assert_int_equal(lstat("/tmp/test-criu-escaped", &st), -1);
	box_close(&b);
}

/* --- descriptors ---------------------------------------------------------------------------- */

static int parse(const char *text)
{
	const char **names;
	size_t n;
	int r = criu_names_parse(text, strlen(text), "descriptors.json", &arena, &names, &n, &err);

	return r < 0 ? r : criu_descriptors_inherit(names, n, &request, &arena);
}

static void pipes_and_outside_files_are_inherited_by_their_place(void **state)
{
	(void)state;
	assert_int_equal(parse("[\"/dev/null\", \"pipe:[12]\", \"file[1a:5f]\", \"pipe:[13]\"]\n"), 0);
	assert_int_equal(request.inherit.n, 2);
	assert_string_equal(request.inherit.items[0].key, "pipe:[12]");
	assert_int_equal(request.inherit.items[0].fd, 1);
	assert_string_equal(request.inherit.items[1].key, "file[1a:5f]");
	assert_int_equal(request.inherit.items[1].fd, 2);
}

static void descriptors_that_make_no_sense_are_refused(void **state)
{
	static const char *const wrong[] = {
	    "", "{}", "[1]", "[\"a\"", "[null]", "\"pipe:[1]\"", "[[\"pipe:[1]\"]]", "[\"\\u0000\"]", "[], \"x\": 1"};
	_cleanup_strbuf_ struct strbuf many = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(parse(wrong[i]), -EINVAL);
	strbuf_adds(&many, "[\"\"");
	for (int i = 0; i < 100; i++)
		strbuf_adds(&many, ",\"pipe:[1]\"");
	strbuf_addc(&many, ']');
	assert_true(parse(strbuf_str(&many)) < 0);
	assert_int_equal(request.inherit.n, 0);
}

static void what_a_process_has_as_stdio_is_written_down_and_read_back(void **state)
{
	_cleanup_close_ int dir = -1;
	struct box b;

	(void)state;
	box_open(&b);
	dir = open(b.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Ourselves: nothing is outside of our own mount namespace. */
	assert_int_equal(criu_descriptors_save(getpid(), dir, &request, &arena, &err), 0);
	assert_int_equal(request.external.n, 0);
	assert_int_equal(criu_descriptors_load(dir, &request, &arena, &err), 0);
	for (size_t i = 0; i < request.inherit.n; i++)
		assert_int_equal(strncmp(request.inherit.items[i].key, "pipe:[", 6), 0);
	assert_int_equal(unlinkat(dir, "descriptors.json", 0), 0);
	assert_int_equal(criu_descriptors_load(dir, &request, &arena, &err), -ENOENT);
	box_close(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(a_request_is_written_as_criu_reads_it),
	    TEST(lists_are_messages_of_two_fields),
	    TEST(a_list_grows),
	    TEST(answers_are_read),
	    TEST(an_answer_that_is_torn_or_mad_is_refused),
	    TEST(names_of_modes_are_known_or_refused),
	    TEST(a_page_server_is_an_address_and_a_port),
	    TEST(mounts_from_outside_that_nobody_named_get_their_place_as_name),
	    TEST(a_container_with_mad_numbers_of_mounts_is_refused),
	    TEST(a_bind_mount_is_named_by_its_destination_and_found_where_links_lead),
	    TEST(at_the_restore_each_name_has_its_source),
	    TEST(missing_mount_points_are_made_in_the_root_and_in_sources_not_on_a_tmpfs),
	    TEST(a_link_in_the_root_file_system_makes_no_mount_point_outside),
	    TEST(pipes_and_outside_files_are_inherited_by_their_place),
	    TEST(descriptors_that_make_no_sense_are_refused),
	    TEST(what_a_process_has_as_stdio_is_written_down_and_read_back),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}

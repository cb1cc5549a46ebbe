/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/volume.h"

static struct arena arena = ARENA_INIT;
static struct error err;
static struct volume_set set;
static struct volume_context ctx;
static struct json_pair pairs[200];
static struct spec_process process;
static struct spec spec;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	memset(&set, 0, sizeof(set));
	memset(&ctx, 0, sizeof(ctx));
	process = (struct spec_process){.cwd = "/app"};
	spec = (struct spec){.process = &process, .annotations = pairs};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void annotate(const char *key, const char *value)
{
	pairs[spec.n_annotations++] = (struct json_pair){key, value};
}

static int parse(void)
{
	return volume_parse(&spec, &ctx, &arena, &set, &err);
}

static int parse_one(const char *value)
{
	spec.n_annotations = 0;
	annotate("dev.volrun.volume", value);
	return parse();
}

struct refusal {
	const char *value, *message;
};

static void check_refusals(const struct refusal *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char expected[ERROR_MSG_MAX];

		memset(&err, 0, sizeof(err));
		if (parse_one(cases[i].value) != -EINVAL)
			fail_msg("accepted: %s", cases[i].value);
		snprintf(expected, sizeof(expected), "annotation dev.volrun.volume: %s", cases[i].message);
		assert_string_equal(err.msg, expected);
	}
}

static void a_declaration_with_nothing_but_name_and_path_has_the_defaults(void **state)
{
	const struct volume_request *v;

	(void)state;
	assert_int_equal(parse_one("agent-state /data"), 0);
	assert_int_equal(set.n_volumes, 1);
	assert_string_equal(set.workspace, "default");
	v = &set.volumes[0];
	assert_string_equal(v->annotation, "dev.volrun.volume");
	assert_string_equal(v->name, "agent-state");
	assert_string_equal(v->mount_path, "/data");
	assert_false(v->ro);
	assert_null(v->store);
	assert_null(v->container);
	assert_int_equal(v->wait_ns, -1);
	assert_int_equal(v->sync_ns, 0);
	assert_false(v->has_owner);
}

static void every_option_is_read(void **state)
{
	const struct volume_request *v;

	(void)state;
	assert_int_equal(
	    parse_one(" \tstate\t /data/x  ro store=cold container=main wait=1m30s sync=1s owner=1000:4294967294 "), 0);
	v = &set.volumes[0];
	assert_string_equal(v->name, "state");
	assert_string_equal(v->mount_path, "/data/x");
	assert_true(v->ro);
	assert_string_equal(v->store, "cold");
	assert_string_equal(v->container, "main");
	assert_true(v->wait_ns == 90 * NSEC_PER_SEC);
	assert_true(v->sync_ns == NSEC_PER_SEC);
	assert_true(v->has_owner);
	assert_int_equal(v->owner_uid, 1000);
	assert_true(v->owner_gid == 4294967294);
	assert_int_equal(parse_one("state /data rw wait=0"), 0);
	assert_false(set.volumes[0].ro);
	assert_int_equal(set.volumes[0].wait_ns, 0);
	assert_int_equal(parse_one("state /data wait=2s"), 0);
	assert_true(set.volumes[0].wait_ns == 2 * NSEC_PER_SEC);
}

static void names_follow_the_grammar(void **state)
{
	static const char *const good[] = {"ab", "a1", "0z", "a.b", "a-b_c.d", "A--b", "a__b"};
	static const char *const bad[] = {"",	 "a",	".a",  "a.",   "-a",	      "a-",  "_a", "a_", "a..b",
					  "a/b", "a b", "a$b", "a\nb", "a\xc3\xa4-b", "a:b", "..", "a,b"};
	char name[257];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!volume_name_valid(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (volume_name_valid(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	memset(name, 'a', sizeof(name));
	name[256] = '\0';
	assert_false(volume_name_valid(name));
	name[255] = '\0';
	assert_true(volume_name_valid(name));
}

#define NAME_RULE " must be 2 to 255 of A-Z a-z 0-9 . _ -, begin and end with a letter or digit, and have no \"..\""

static void bad_syntax_is_refused(void **state)
{
	static const struct refusal cases[] = {
	    {"", "must be \"<name> <mount_path> [ro|rw] [option=value ...]\""},
	    {"  \t ", "must be \"<name> <mount_path> [ro|rw] [option=value ...]\""},
	    {"state", "must be \"<name> <mount_path> [ro|rw] [option=value ...]\""},
	    {"s /data", "name \"s\"" NAME_RULE},
	    {"../x /data", "name \"../x\"" NAME_RULE},
	    {"a..b /data", "name \"a..b\"" NAME_RULE},
	    {"state /data rx", "\"rx\" is no option (option=value)"},
	    {"state /data ro ro", "\"ro\" must stand once, right after the mount path"},
	    {"state /data ro rw", "\"rw\" must stand once, right after the mount path"},
	    {"state /data wait=1s ro", "\"ro\" must stand once, right after the mount path"},
	    {"state /data RO", "\"RO\" is no option (option=value)"},
	    {"state /data size=1", "unknown option \"size\""},
	    {"state /data =1", "unknown option \"\""},
	    {"state /data Wait=1s", "unknown option \"Wait\""},
	    {"state /data wait=1s wait=1s", "option wait stands there twice"},
	    {"state /data store=aa store=bb", "option store stands there twice"},
	    {"state /data wait=", "wait=: no duration (90s, 5m, 0)"},
	    {"state /data wait=5", "wait=5: no duration (90s, 5m, 0)"},
	    {"state /data wait=-5s", "wait=-5s: no duration (90s, 5m, 0)"},
	    {"state /data wait=99999999999h", "wait=99999999999h: no duration (90s, 5m, 0)"},
	    {"state /data sync=x", "sync=x: no duration (30s, 5m)"},
	    {"state /data sync=0", "sync=0: must be 1s or more"},
	    {"state /data sync=999ms", "sync=999ms: must be 1s or more"},
	    {"state /data store=", "store=: no name of a store"},
	    {"state /data store=a/b", "store=a/b: no name of a store"},
	    {"state /data container=$workspace", "container=$workspace: no name of a container"},
	    {"state /data owner=", "owner=: must be <uid>:<gid>"},
	    {"state /data owner=1000", "owner=1000: must be <uid>:<gid>"},
	    {"state /data owner=1000:", "owner=1000:: must be <uid>:<gid>"},
	    {"state /data owner=:1", "owner=:1: must be <uid>:<gid>"},
	    {"state /data owner=a:b", "owner=a:b: must be <uid>:<gid>"},
	    {"state /data owner=1:2:3", "owner=1:2:3: must be <uid>:<gid>"},
	    {"state /data owner=-1:0", "owner=-1:0: must be <uid>:<gid>"},
	    {"state /data owner=4294967295:0", "owner=4294967295:0: must be <uid>:<gid>"},
	    {"state /data owner=0:4294967295", "owner=0:4294967295: must be <uid>:<gid>"},
	    {"state /data a b c d e f g", "more than 8 fields"},
	    {"state /data\nro", "has control characters or is no valid UTF-8"},
	    {"state /data\x01", "has control characters or is no valid UTF-8"},
	    {"state /data\x7f", "has control characters or is no valid UTF-8"},
	    {"state /data\xc2\x85", "has control characters or is no valid UTF-8"},
	    {"state /data/\xff", "has control characters or is no valid UTF-8"},
	};
	char longest[VOLUME_VALUE_MAX + 2];

	(void)state;
	check_refusals(cases, ARRAY_SIZE(cases));
	memset(longest, ' ', sizeof(longest));
	memcpy(longest, "state /data", 11);
	longest[VOLUME_VALUE_MAX + 1] = '\0';
	check_refusals(&(struct refusal){longest, "longer than 4096 bytes"}, 1);
	longest[VOLUME_VALUE_MAX] = '\0';
	assert_int_equal(parse_one(longest), 0);
}

static void paths_lie_under_an_allowed_prefix(void **state)
{
	static const struct {
		const char *path, *result;
	} good[] = {
	    {"/data", "/data"},
	    {"/data/", "/data"},
	    {"/tmp/a//b/./c", "/tmp/a/b/c"},
	    {"/mnt/x", "/mnt/x"},
	    {"/opt/x", "/opt/x"},
	    {"/home/u/.agent", "/home/u/.agent"},
	    {"/workspace", "/workspace"},
	    {"/root/x", "/root/x"},
	    {"/data/\xc3\xa4", "/data/\xc3\xa4"},
	    {"/data/..x", "/data/..x"},
	    {".agent", "/app/.agent"},
	    {"./a//b/", "/app/a/b"},
	    {".", "/app"},
	    {"data", "/app/data"},
	};
	static const struct refusal bad[] = {
	    {"state /etc", "mount path \"/etc\" is not under an allowed prefix (/tmp, /mnt, /opt, /home, /data, "
			   "/workspace, /root)"},
	    {"state /database", "mount path \"/database\" is not under an allowed prefix (/tmp, /mnt, /opt, /home, "
				"/data, /workspace, /root)"},
	    {"state /data/../etc", "mount path \"/data/../etc\" has a \"..\""},
	    {"state /data/..", "mount path \"/data/..\" has a \"..\""},
	    {"state ..", "mount path \"/app/..\" has a \"..\""},
	    {"state a/../b", "mount path \"/app/a/../b\" has a \"..\""},
	    {"state /", "the mount path is the container's root"},
	    {"state //./", "the mount path is the container's root"},
	    {"state /proc", "mount path \"/proc\" is in /proc"},
	    {"state /sys/fs/cgroup", "mount path \"/sys/fs/cgroup\" is in /sys"},
	    {"state /dev/shm", "mount path \"/dev/shm\" is in /dev"},
	};
	char value[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(value, sizeof(value), "state %s", good[i].path);
		if (parse_one(value) < 0)
			fail_msg("%s: %s", value, err.msg);
		assert_string_equal(set.volumes[0].mount_path, good[i].result);
	}
	check_refusals(bad, ARRAY_SIZE(bad));
	memset(value, 'a', sizeof(value));
	memcpy(value, "state /data/", 12);
	value[12 + 256] = '\0';
	assert_int_equal(parse_one(value), -EINVAL);
	assert_non_null(strstr(err.msg, "is too long"));
	value[12 + 255] = '\0';
	assert_int_equal(parse_one(value), 0);
}

static void a_relative_path_needs_a_working_directory(void **state)
{
	(void)state;
	process.cwd = "/";
	assert_int_equal(parse_one("state x"), 0);
	assert_string_equal(set.volumes[0].mount_path, "/x");
	assert_int_equal(parse_one("state ."), -EINVAL);
	assert_int_equal(parse_one("state proc/x"), -EINVAL);
	process.cwd = "/a/../etc";
	assert_int_equal(parse_one("state x"), -EINVAL);
	spec.process = NULL;
	assert_int_equal(parse_one("state /data"), 0);
	assert_int_equal(parse_one("state x"), -EINVAL);
	assert_string_equal(err.msg,
			    "annotation dev.volrun.volume: mount path \"x\" is relative, but there is no process.cwd");
}

static void the_configuration_replaces_the_prefixes(void **state)
{
	static const char *const prefixes[] = {"/srv//vol/", "/etc", NULL}, *const all[] = {"/", NULL},
				 *const none[] = {NULL};

	(void)state;
	ctx.mount_prefixes = prefixes;
	assert_int_equal(parse_one("state /srv/vol/x"), 0);
	assert_int_equal(parse_one("state /etc"), 0);
	assert_int_equal(parse_one("state /data"), -EINVAL);
	assert_string_equal(err.msg,
			    "annotation dev.volrun.volume: mount path \"/data\" is not under an allowed prefix "
			    "(/srv/vol, /etc)");
	ctx.mount_prefixes = all;
	assert_int_equal(parse_one("state /var/x"), 0);
	assert_int_equal(parse_one("state /proc/x"), -EINVAL);
	ctx.mount_prefixes = none;
	assert_int_equal(parse_one("state /data"), -EINVAL);
	assert_int_equal(parse_one("state x"), 0);
}

static void the_workspace_follows_the_grammar_of_names(void **state)
{
	(void)state;
	ctx.workspace = "a/b";
	assert_int_equal(parse_one("state /data"), -EINVAL);
	assert_string_equal(err.msg, "workspace \"a/b\" is no valid name");
	ctx.workspace = "";
	assert_int_equal(parse_one("state /data"), -EINVAL);
	ctx.workspace = "ok-1";
	assert_int_equal(parse_one("state /data"), 0);
	assert_string_equal(set.workspace, "ok-1");
}

static void suffixes_follow_the_grammar(void **state)
{
	static const char *const good[] = {"dev.volrun.volume", "dev.volrun.volume.a", "dev.volrun.volume.A-1_z",
					   "dev.volrun.volume.0123456789012345678901234567890123456789"};
	static const char *const bad[] = {"dev.volrun.volume.", "dev.volrun.volume.a.b", "dev.volrun.volume.a b",
					  "dev.volrun.volume.01234567890123456789012345678901234567890",
					  "dev.volrun.volume.a/b"};
	static const char *const others[] = {"dev.volrun.volumes",  "dev.volrun.volume-a", "dev.volrun", "volume",
					     "x.dev.volrun.volume", "Dev.volrun.volume"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		spec.n_annotations = 0;
		annotate(good[i], "state /data");
		assert_true(volume_declared(&spec));
		assert_int_equal(parse(), 0);
		assert_int_equal(set.n_volumes, 1);
		assert_string_equal(set.volumes[0].annotation, good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		spec.n_annotations = 0;
		annotate(bad[i], "state /data");
		assert_true(volume_declared(&spec));
		assert_int_equal(parse(), -EINVAL);
		assert_non_null(strstr(err.msg, "suffix must be 1 to 40"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		spec.n_annotations = 0;
		annotate(others[i], "!");
		assert_false(volume_declared(&spec));
		assert_int_equal(parse(), 0);
		assert_int_equal(set.n_volumes, 0);
	}
}

static void two(const char *a, const char *b, const char *message)
{
	spec.n_annotations = 0;
	annotate("dev.volrun.volume.a", a);
	annotate("dev.volrun.volume.b", b);
	if (!message) {
		if (parse() < 0)
			fail_msg("%s, %s: %s", a, b, err.msg);
		assert_int_equal(set.n_volumes, 2);
		return;
	}
	if (parse() != -EINVAL)
		fail_msg("accepted: %s, %s", a, b);
	assert_string_equal(err.msg, message);
}

#define B "annotation dev.volrun.volume.b: "

static void volumes_must_not_meet(void **state)
{
	(void)state;
	two("one /data/a", "two /data/b", NULL);
	two("one /data/a", "two /data/a-b", NULL);
	two("one /data", "one /tmp", B "volume \"one\" is declared by dev.volrun.volume.a already");
	two("one /data store=x1", "one /tmp store=x1", B "volume \"one\" is declared by dev.volrun.volume.a already");
	two("one /data", "one /tmp store=x1", B "volume \"one\" is declared by dev.volrun.volume.a already");
	two("one /data store=x1", "one /tmp store=x2", NULL);
	two("one /data", "two /data/", B "mount path \"/data\" is taken by dev.volrun.volume.a already");
	two("one /app/x", "two x",
	    "annotation dev.volrun.volume.a: mount path \"/app/x\" is not under an allowed prefix "
	    "(/tmp, /mnt, /opt, /home, /data, /workspace, /root)");
	two("one x", "two ./x", B "mount path \"/app/x\" is taken by dev.volrun.volume.a already");
	two("one /data", "two /data/x/y",
	    B "mount path \"/data/x/y\" is inside the volume at \"/data\" (dev.volrun.volume.a)");
	two("one /data/x", "two /data",
	    B "the volume at \"/data/x\" (dev.volrun.volume.a) is inside mount path \"/data\"");
}

static void volumes_are_sorted_by_path(void **state)
{
	(void)state;
	annotate("dev.volrun.volume.a", "three /tmp/b");
	annotate("dev.volrun.volume.b", "one /data/z");
	annotate("dev.volrun.volume.c", "two /tmp/a");
	assert_int_equal(parse(), 0);
	assert_string_equal(set.volumes[0].name, "one");
	assert_string_equal(set.volumes[1].name, "two");
	assert_string_equal(set.volumes[2].name, "three");
}

static void the_eleventh_volume_is_refused(void **state)
{
	static char keys[VOLUME_DECLARED_MAX + 1][40], values[VOLUME_DECLARED_MAX + 1][60];

	(void)state;
	for (int i = 0; i <= VOLUME_DECLARED_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "dev.volrun.volume.v%d", i);
		snprintf(values[i], sizeof(values[i]), "vol%d /data/%d", i, i);
	}
	for (int i = 0; i < VOLUME_MAX; i++)
		annotate(keys[i], values[i]);
	assert_int_equal(parse(), 0);
	assert_int_equal(set.n_volumes, VOLUME_MAX);
	annotate(keys[VOLUME_MAX], values[VOLUME_MAX]);
	assert_int_equal(parse(), -EINVAL);
	assert_string_equal(err.msg, "annotation dev.volrun.volume.v10: more than 10 volumes");

	/* Those of other containers don't count, up to a bound. */
	ctx.container_name = "main";
	for (int i = VOLUME_MAX; i <= VOLUME_DECLARED_MAX; i++) {
		strcat(values[i], " container=other");
		annotate(keys[i], values[i]);
	}
	spec.n_annotations = VOLUME_DECLARED_MAX;
	memmove(pairs + VOLUME_MAX, pairs + VOLUME_MAX + 1, (VOLUME_DECLARED_MAX - VOLUME_MAX + 1) * sizeof(*pairs));
	assert_int_equal(parse(), 0);
	assert_int_equal(set.n_volumes, VOLUME_MAX);
	spec.n_annotations++;
	assert_int_equal(parse(), -EINVAL);
	assert_string_equal(err.msg, "annotation dev.volrun.volume.v100: more than 100 volumes are declared");
}

static void in_a_pod_a_volume_may_be_for_one_container_only(void **state)
{
	(void)state;
	annotate("dev.volrun.volume.a", "one /data container=main");
	annotate("dev.volrun.volume.b", "two /data/x container=side");
	annotate("dev.volrun.volume.c", "three /tmp/x");
	ctx.container_name = "main";
	assert_int_equal(parse(), 0);
	assert_int_equal(set.n_volumes, 2);
	assert_string_equal(set.volumes[0].name, "one");
	assert_string_equal(set.volumes[1].name, "three");
	ctx.container_name = "side";
	assert_int_equal(parse(), 0);
	assert_string_equal(set.volumes[0].name, "two");
	ctx.container_name = "third";
	assert_int_equal(parse(), 0);
	assert_int_equal(set.n_volumes, 1);
	/* Outside a pod there is only this container, and these two meet. */
	ctx.container_name = NULL;
	assert_int_equal(parse(), -EINVAL);
	/* A fault in another container's declaration is found all the same. */
	ctx.container_name = "main";
	pairs[1].value = "two /etc container=side";
	assert_int_equal(parse(), -EINVAL);
}

static void messages_stay_one_line_whatever_the_key(void **state)
{
	(void)state;
	annotate("dev.volrun.volume.\n\x1b[31mowned", "state /data");
	assert_int_equal(parse(), -EINVAL);
	for (const char *p = err.msg; *p; p++)
		assert_true((unsigned char)*p >= 0x20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_declaration_with_nothing_but_name_and_path_has_the_defaults, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(every_option_is_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(names_follow_the_grammar, setup, teardown),
	    cmocka_unit_test_setup_teardown(bad_syntax_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(paths_lie_under_an_allowed_prefix, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_relative_path_needs_a_working_directory, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_configuration_replaces_the_prefixes, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_workspace_follows_the_grammar_of_names, setup, teardown),
	    cmocka_unit_test_setup_teardown(suffixes_follow_the_grammar, setup, teardown),
	    cmocka_unit_test_setup_teardown(volumes_must_not_meet, setup, teardown),
	    cmocka_unit_test_setup_teardown(volumes_are_sorted_by_path, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_eleventh_volume_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(in_a_pod_a_volume_may_be_for_one_container_only, setup, teardown),
	    cmocka_unit_test_setup_teardown(messages_stay_one_line_whatever_the_key, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What of cgroup.h needs no cgroups and no rights. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/cgroup.h"

#define assert_ok(call)                                                                                                \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			fail_msg("%s: %s", #call, err.msg);                                                            \
	} while (0)

static void paths_that_leave_the_hierarchy_are_refused(void **state)
{
	static const char *const bad[] = {"/../x", "/a/../../x", "x", "", "/", "/a//b", "/a/./b", "/a/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cgroup cg = CGROUP_INIT;
		struct error err = ERROR_INIT;

		assert_int_equal(cgroup_create(&cg, bad[i], false, &err), -EINVAL);
		assert_int_equal(cgroup_open(&cg, CGROUP_V1, bad[i], false, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "is no cgroup path"));
	}
}

static void the_path_comes_from_the_spec_or_the_id(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	const char *p = NULL;
	size_t len;

	(void)state;
	assert_ok(cgroup_path_for("/docker/abc", "c1", &a, &p, &err));
	assert_string_equal(p, "/docker/abc");
	assert_ok(cgroup_path_for("/docker//./x/../abc/", "c1", &a, &p, &err));
	assert_string_equal(p, "/docker/abc");
	assert_ok(cgroup_path_for("/../../abc", "c1", &a, &p, &err));
	assert_string_equal(p, "/abc");
	assert_ok(cgroup_path_for(NULL, "c1", &a, &p, &err));
	len = strlen(p);
	assert_string_equal(p + len - 3, "/c1");
	assert_ok(cgroup_path_for("../../group/x", "c1", &a, &p, &err));
	len = strlen(p);
	assert_string_equal(p + len - 8, "/group/x");
	assert_int_equal(cgroup_path_for("system.slice:volrun:c1", "c1", &a, &p, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--systemd-cgroup"));
	assert_int_equal(cgroup_path_for("/", "c1", &a, &p, &err), -EINVAL);
	assert_int_equal(cgroup_path_for("..", "c1", &a, &p, &err), -EINVAL);
}

static void without_a_cgroup_only_asked_limits_are_an_error(void **state)
{
	struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	int64_t limit = 100;
	struct spec_pids pids = {.limit = &limit};
	struct spec_resources res = {.pids = &pids};
	bool frozen = true;

	(void)state;
	cg.rootless = true;
	assert_ok(cgroup_apply(&cg, NULL, false, &err));
	assert_int_equal(cgroup_apply(&cg, &res, false, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "pids limit asked but this user may not make a cgroup"));
	limit = -1;
	assert_ok(cgroup_apply(&cg, &res, false, &err));
	assert_ok(cgroup_attach(&cg, getpid(), &err));
	assert_ok(cgroup_kill(&cg, &err));
	assert_ok(cgroup_is_frozen(&cg, &frozen, &err));
	assert_ok(cgroup_destroy(&cg, &err));
	assert_true(cgroup_freeze(&cg, true, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_that_leave_the_hierarchy_are_refused),
	    cmocka_unit_test(the_path_comes_from_the_spec_or_the_id),
	    cmocka_unit_test(without_a_cgroup_only_asked_limits_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

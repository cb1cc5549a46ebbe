/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/caps.h"

/* linux/capability.h's numbers; only caps.c sees libcap. */
#define CHOWN 0
#define KILL 5
#define NET_BIND 10

#define BIT(n) (UINT64_C(1) << (n))

static struct arena arena = ARENA_INIT;
static struct error err;

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

#define NEEDS_ROOT()                                                                                                   \
	do {                                                                                                           \
		if (geteuid() != 0)                                                                                    \
			skip();                                                                                        \
	} while (0)

static struct caps_left_out left;

static struct caps plan(const struct spec_caps *spec, const char **ret_ignored)
{
	struct caps c;

	if (caps_plan(spec, &arena, &c, &left, &err) < 0)
		fail_msg("%s", err.msg);
	*ret_ignored = left.ignored;
	return c;
}

/* --- tests ----------------------------------------------------------------------- */

static void names_become_masks(void **state)
{
	const char *names[] = {"CAP_CHOWN", "CAP_KILL", NULL};
	struct spec_caps spec = {.bounding = names,
				 .permitted = names,
				 .effective = names,
				 .inheritable = names,
				 .ambient = names,
				 .n_bounding = 2,
				 .n_permitted = 2,
				 .n_effective = 1,
				 .n_inheritable = 2,
				 .n_ambient = 1};
	const char *ignored = "x";
	struct caps c;

	(void)state;
	NEEDS_ROOT();
	c = plan(&spec, &ignored);
	assert_null(ignored);
	assert_int_equal(c.bounding, BIT(CHOWN) | BIT(KILL));
	assert_int_equal(c.permitted, BIT(CHOWN) | BIT(KILL));
	assert_int_equal(c.effective, BIT(CHOWN));
	assert_int_equal(c.inheritable, BIT(CHOWN) | BIT(KILL));
	assert_int_equal(c.ambient, BIT(CHOWN));
}

static void no_capabilities_in_the_spec_is_none_at_all(void **state)
{
	const char *ignored = "x";
	struct caps c = plan(NULL, &ignored);

	(void)state;
	assert_null(ignored);
	assert_int_equal(c.bounding | c.permitted | c.effective | c.inheritable | c.ambient, 0);
}

static void unknown_names_are_listed_once_and_left_out(void **state)
{
	const char *names[] = {"CAP_CHOWN", "CAP_NONSENSE", "CHOWN", "5", "CAP_NONSENSE", "CAP_NON", NULL};
	struct spec_caps spec = {.bounding = names, .permitted = names, .n_bounding = 6, .n_permitted = 6};
	const char *ignored = NULL;
	struct caps c;

	(void)state;
	NEEDS_ROOT();
	c = plan(&spec, &ignored);
	assert_null(ignored);
	assert_string_equal(left.unknown, "CAP_NONSENSE CHOWN 5 CAP_NON");
	assert_int_equal(c.bounding, BIT(CHOWN));
}

static void what_is_not_permitted_cannot_be_effective_and_what_is_not_inheritable_not_ambient(void **state)
{
	const char *permitted[] = {"CAP_CHOWN", NULL}, *effective[] = {"CAP_CHOWN", "CAP_KILL", NULL};
	struct spec_caps spec = {.bounding = effective,
				 .permitted = permitted,
				 .effective = effective,
				 .ambient = permitted,
				 .n_bounding = 2,
				 .n_permitted = 1,
				 .n_effective = 2,
				 .n_ambient = 1};
	const char *ignored = NULL;
	struct caps c;

	(void)state;
	NEEDS_ROOT();
	c = plan(&spec, &ignored);
	assert_string_equal(ignored, "CAP_KILL");
	assert_string_equal(left.not_ambient, "CAP_CHOWN");
	assert_int_equal(c.effective, BIT(CHOWN));
	assert_int_equal(c.ambient, 0);
}

static void what_the_process_lacks_is_left_out(void **state)
{
	const char *names[] = {"CAP_CHOWN", "CAP_KILL", NULL};
	struct spec_caps spec = {.bounding = names, .permitted = names, .n_bounding = 2, .n_permitted = 2};
	int status;
	pid_t pid;

	(void)state;
	NEEDS_ROOT();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct caps c;

		if (prctl(PR_CAPBSET_DROP, KILL, 0, 0, 0) < 0)
			_exit(1);
		if (caps_plan(&spec, &arena, &c, &left, &err) < 0 || !left.ignored ||
		    strcmp(left.ignored, "CAP_KILL") != 0)
			_exit(2);
		_exit(c.bounding == BIT(CHOWN) ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* "CapEff" etc. of /proc/self/status. */
static uint64_t status_mask(const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	unsigned long long mask = UINT64_MAX;

	if (read_file_at(AT_FDCWD, "/proc/self/status", 65536, &text, NULL) < 0)
		return UINT64_MAX;
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), ":\t%llx", &mask) != 1)
		return UINT64_MAX;
	return mask;
}

static int apply_and_look(const struct caps *c, uid_t uid)
{
	int listed = 0;

	if (caps_apply_bounding(c, &err) < 0)
		return 1;
	if (uid != 0 && (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
		return 2;
	if (caps_apply(c, &err) < 0)
		return 3;
	listed += status_mask("CapBnd") != c->bounding;
	listed += status_mask("CapPrm") != c->permitted;
	listed += status_mask("CapEff") != c->effective;
	listed += status_mask("CapInh") != c->inheritable;
	listed += status_mask("CapAmb") != c->ambient;
	if (prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) != 0)
		return 4;
	return listed ? 10 + listed : 0;
}

static void the_sets_are_in_force_for_root_and_for_another_user(void **state)
{
	static const struct caps cases[] = {
	    {0},
	    {.bounding = BIT(CHOWN) | BIT(KILL) | BIT(NET_BIND),
	     .permitted = BIT(CHOWN) | BIT(KILL) | BIT(NET_BIND),
	     .effective = BIT(CHOWN),
	     .inheritable = BIT(NET_BIND),
	     .ambient = BIT(NET_BIND)},
	};

	(void)state;
	NEEDS_ROOT();
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(apply_and_look(&cases[i / 2], i % 2 ? 65534 : 0));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void all_known_names_are_listed_in_the_specs_form(void **state)
{
	const char **names = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(caps_names(&arena, &names, &err), 0);
	assert_string_equal(names[0], "CAP_CHOWN");
	assert_string_equal(names[21], "CAP_SYS_ADMIN");
	while (names[n]) {
		assert_int_equal(strncmp(names[n], "CAP_", 4), 0);
		n++;
	}
	assert_true(n >= 38);
}

#define CASE(test) cmocka_unit_test_teardown(test, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(names_become_masks),
	    CASE(no_capabilities_in_the_spec_is_none_at_all),
	    CASE(unknown_names_are_listed_once_and_left_out),
	    CASE(what_is_not_permitted_cannot_be_effective_and_what_is_not_inheritable_not_ambient),
	    CASE(what_the_process_lacks_is_left_out),
	    CASE(the_sets_are_in_force_for_root_and_for_another_user),
	    CASE(all_known_names_are_listed_in_the_specs_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

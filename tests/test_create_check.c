/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "runtime/create_check.h"
#include "runtime/create_defaults.h"

static struct error err;

/* A spec that create can do: the tests break one thing each. */
static struct spec_process process;
static struct spec_root root;
static struct spec_linux linux_;
static struct spec_namespace namespaces[2];
static struct spec spec;
static struct create_request request;

static int set_up(void **state)
{
	(void)state;
	err = (struct error)ERROR_INIT;
	process = (struct spec_process){.cwd = "/"};
	root = (struct spec_root){.path = "rootfs"};
	namespaces[0] = (struct spec_namespace){.type = SPEC_NS_MOUNT};
	namespaces[1] = (struct spec_namespace){.type = SPEC_NS_UTS};
	linux_ = (struct spec_linux){.namespaces = namespaces, .n_namespaces = 2};
	spec = (struct spec){.root = &root, .process = &process, .linux_ = &linux_, .hostname = "h"};
	request = (struct create_request){.id = "c1"};
	return 0;
}

static int check(void)
{
	return create_check(&spec, &request, &err);
}

static void an_ordinary_spec_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(check(), 0);
}

static void a_hostname_needs_a_uts_namespace(void **state)
{
	(void)state;
	linux_.n_namespaces = 1;
	assert_int_equal(check(), -EINVAL);
	spec.hostname = NULL;
	assert_int_equal(check(), 0);
	spec.domainname = "d";
	assert_int_equal(check(), -EINVAL);
}

static void id_mappings_need_a_user_namespace(void **state)
{
	struct spec_id_mapping m = {0, 1000, 1};

	(void)state;
	linux_.uid_mappings = &m;
	linux_.n_uid_mappings = 1;
	assert_int_equal(check(), -EINVAL);
	namespaces[1].type = SPEC_NS_USER;
	spec.hostname = NULL;
	assert_int_equal(check(), 0);
}

static void a_terminal_needs_somebody_who_holds_it(void **state)
{
	(void)state;
	process.terminal = true;
	assert_int_equal(check(), -EINVAL);
	request.foreground = true;
	assert_int_equal(check(), 0);
	request.foreground = false;
	request.console_socket = "/run/s";
	assert_int_equal(check(), 0);
	process.terminal = false;
	assert_int_equal(check(), -EINVAL);
}

static void what_create_needs_must_be_there(void **state)
{
	(void)state;
	spec.root = NULL;
	assert_int_equal(check(), -EINVAL);
}

static void without_a_process_a_container_can_be_created_but_not_run(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;

	(void)state;
	spec.process = NULL;
	assert_int_equal(create_defaults(&spec, true, &arena, &err), -EINVAL);
	assert_int_equal(create_defaults(&spec, false, &arena, &err), 0);
	assert_non_null(spec.process);
	assert_int_equal(spec.process->n_args, 0);
	assert_int_equal(check(), 0);
}

static void a_user_namespace_without_mappings_has_the_ids_of_the_process(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct spec_id_mapping given = {.container_id = 0, .host_id = 5, .size = 10};

	(void)state;
	process.user.uid = 3;
	assert_int_equal(create_defaults(&spec, false, &arena, &err), 0);
	assert_int_equal(linux_.n_uid_mappings + linux_.n_gid_mappings, 0);
	namespaces[1].type = SPEC_NS_USER;
	linux_.gid_mappings = &given;
	linux_.n_gid_mappings = 1;
	assert_int_equal(create_defaults(&spec, false, &arena, &err), 0);
	assert_int_equal(linux_.n_uid_mappings, 1);
	assert_int_equal(linux_.uid_mappings[0].container_id, 3);
	assert_int_equal(linux_.uid_mappings[0].host_id, geteuid());
	assert_int_equal(linux_.uid_mappings[0].size, 1);
	assert_ptr_equal(linux_.gid_mappings, &given);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(an_ordinary_spec_is_accepted, set_up),
	    cmocka_unit_test_setup(a_hostname_needs_a_uts_namespace, set_up),
	    cmocka_unit_test_setup(id_mappings_need_a_user_namespace, set_up),
	    cmocka_unit_test_setup(a_terminal_needs_somebody_who_holds_it, set_up),
	    cmocka_unit_test_setup(what_create_needs_must_be_there, set_up),
	    cmocka_unit_test_setup(without_a_process_a_container_can_be_created_but_not_run, set_up),
	    cmocka_unit_test_setup(a_user_namespace_without_mappings_has_the_ids_of_the_process, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

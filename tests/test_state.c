/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/state.h"

static struct arena arena = ARENA_INIT;
static struct error err;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int parse(const char *text, struct oci_state *s)
{
	return oci_state_parse(text, strlen(text), &arena, s, &err);
}

static void hooks_read_the_members_of_the_spec_only(void **state)
{
	struct json_pair pairs[] = {{"k", "v"}};
	struct oci_state s = {.oci_version = "1.3.0",
			      .id = "c1",
			      .status = OCI_CREATING,
			      .pid = 42,
			      .bundle = "/b",
			      .rootfs = "/b/rootfs",
			      .created = "2026-08-20T12:00:00Z",
			      .owner = "root",
			      .annotations = pairs,
			      .n_annotations = 1};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(oci_state_write(&out, &s, 0), 0);
	assert_string_equal(strbuf_str(&out),
			    "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"pid\":42,\"status\":\"creating\","
			    "\"bundle\":\"/b\",\"annotations\":{\"k\":\"v\"}}");
}

static void state_prints_runcs_members_too(void **state)
{
	struct oci_state s = {.oci_version = "1.3.0",
			      .id = "c1",
			      .status = OCI_STOPPED,
			      .bundle = "/b",
			      .rootfs = "/b/rootfs",
			      .created = "2026-08-20T12:00:00Z"};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	(void)state;
	json_write(&out, &oci_state_table, &s, 2);
	assert_string_equal(strbuf_str(&out), "{\n"
					      "  \"ociVersion\": \"1.3.0\",\n"
					      "  \"id\": \"c1\",\n"
					      "  \"pid\": 0,\n"
					      "  \"status\": \"stopped\",\n"
					      "  \"bundle\": \"/b\",\n"
					      "  \"rootfs\": \"/b/rootfs\",\n"
					      "  \"created\": \"2026-08-20T12:00:00Z\",\n"
					      "  \"owner\": \"\"\n"
					      "}");
}

static void every_status_goes_round(void **state)
{
	(void)state;
	for (int status = OCI_CREATING; status <= OCI_PAUSED; status++) {
		struct oci_state s = {.oci_version = "1.0.0", .id = "c", .status = status, .bundle = "/b"}, back;
		_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

		assert_int_equal(oci_state_write(&out, &s, 0), 0);
		assert_non_null(strstr(strbuf_str(&out), oci_status_names[status]));
		assert_int_equal(parse(strbuf_str(&out), &back), 0);
		assert_int_equal(back.status, status);
	}
	assert_null(oci_status_names[OCI_PAUSED + 1]);
}

static void what_other_runtimes_write_is_read(void **state)
{
	struct oci_state s;

	(void)state;
	assert_int_equal(parse("{\"ociVersion\":\"1.0.2-dev\",\"id\":\"abc\",\"status\":\"created\",\"pid\":7,"
			       "\"bundle\":\"/run/b\",\"annotations\":{\"x\":\"y\"},\"root\":\"/r\"}",
			       &s),
			 0);
	assert_int_equal(s.pid, 7);
	assert_string_equal(json_pair_get(s.annotations, s.n_annotations, "x"), "y");
	assert_int_equal(
	    parse("{\"ociVersion\":\"1.0.0\",\"id\":\"abc\",\"status\":\"stopped\",\"bundle\":\"/b\"}", &s), 0);
	assert_int_equal(s.pid, 0);
}

static void bad_states_are_refused(void **state)
{
	static const struct {
		const char *text, *msg;
	} cases[] = {
	    {"{\"id\":\"a\",\"status\":\"created\",\"bundle\":\"/b\"}", "state: $.ociVersion: missing"},
	    {"{\"ociVersion\":\"1.0.0\",\"status\":\"created\",\"bundle\":\"/b\"}", "state: $.id: missing"},
	    {"{\"ociVersion\":\"1.0.0\",\"id\":\"a\",\"bundle\":\"/b\"}", "state: $.status: missing"},
	    {"{\"ociVersion\":\"1.0.0\",\"id\":\"a\",\"status\":\"syncing\",\"bundle\":\"/b\"}",
	     "state: $.status: \"syncing\" is none of creating, created, running, stopped, paused"},
	    {"{\"ociVersion\":\"1.0.0\",\"id\":\"a\",\"status\":\"created\"}", "state: $.bundle: missing"},
	    {"{\"ociVersion\":\"1.0.0\",\"id\":\"a\",\"status\":\"created\",\"bundle\":\"b\"}",
	     "state: $.bundle: must be an absolute path"},
	    {"{\"ociVersion\":\"1.0.0\",\"id\":\"a/b\",\"status\":\"created\",\"bundle\":\"/b\"}",
	     "state: $.id: invalid character in the container ID \"a/b\": only letters, digits and _ + . - are allowed"},
	    {"{\"ociVersion\":\"1.0.0\",\"id\":\"a\",\"status\":\"created\",\"bundle\":\"/b\",\"pid\":-1}",
	     "state: $.pid: -1 is no process id"},
	};
	struct oci_state s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].text, &s), -EINVAL);
		assert_string_equal(err.msg, cases[i].msg);
	}
}

static void ids_that_could_be_paths_are_refused(void **state)
{
	static const char *const good[] = {"a", "c1", "A_b+c.d-e", "-x", "_", "0", "a..b"};
	static const char *const bad[] = {"",	 ".",	"..",	     ".hidden", "a/b", "/a", "a b",
					  "a\n", "a:b", "a\xc3\xa4", "a,b",	"a@b", "~"};
	char id[257];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (oci_id_check(good[i], &err) < 0)
			fail_msg("%s: %s", good[i], err.msg);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (oci_id_check(bad[i], &err) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	memset(id, 'a', sizeof(id));
	id[256] = '\0';
	assert_int_equal(oci_id_check(id, &err), -EINVAL);
	id[255] = '\0';
	assert_int_equal(oci_id_check(id, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(hooks_read_the_members_of_the_spec_only, teardown),
	    cmocka_unit_test_teardown(state_prints_runcs_members_too, teardown),
	    cmocka_unit_test_teardown(every_status_goes_round, teardown),
	    cmocka_unit_test_teardown(what_other_runtimes_write_is_read, teardown),
	    cmocka_unit_test_teardown(bad_states_are_refused, teardown),
	    cmocka_unit_test_teardown(ids_that_could_be_paths_are_refused, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

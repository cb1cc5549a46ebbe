/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "hooks/doctor_toml.h"

static void note(void *ctx, const char *table, const char *key, const char *value)
{
	strbuf_addf(ctx, "%s|%s|%s\n", table, key, value);
}

static void reads(const char *text, const char *expected)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	assert_int_equal(toml_each(text, &arena, note, &out), 0);
	assert_string_equal(strbuf_str(&out), expected);
}

static void a_runtime_of_containerd_is_found_in_both_versions(void **state)
{
	(void)state;
	reads("version = 2 # comment\n"
	      "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.volrun]\n"
	      "  pod_annotations = [\"dev.volrun.*\"]\n"
	      "  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.volrun.options]\n"
	      "    BinaryName = \"/usr/sbin/volrun\"\n",
	      "|version|2\n"
	      "plugins/io.containerd.grpc.v1.cri/containerd/runtimes/volrun|pod_annotations|dev.volrun.*\n"
	      "plugins/io.containerd.grpc.v1.cri/containerd/runtimes/volrun/options|BinaryName|/usr/sbin/volrun\n");
	reads("[ plugins . 'io.containerd.cri.v1.runtime' ]\nx='a\\b'\n",
	      "plugins/io.containerd.cri.v1.runtime|x|a\\b\n");
}

static void a_list_may_take_many_lines_and_have_comments(void **state)
{
	(void)state;
	reads("[engine.runtimes]\nvolrun = [\n  \"/a\", # one\n  # \"/no\"\n  \"/b\",\n]\nc = true\n",
	      "engine/runtimes|volrun|/a\nengine/runtimes|volrun|/b\nengine/runtimes|c|true\n");
}

static void what_is_something_else_is_passed_over(void **state)
{
	(void)state;
	reads("a = {b = \"c\"}\nnonsense\n= 1\n[[list.of]]\nk = \"q\\\"uote\"\nopen = \"never ends\nlast = 1",
	      "list/of|k|q\"uote\nlist/of|last|1\n");
	reads("", "");
	reads("[", "");
	reads("a = [\"x\", ", "|a|x\n");
	reads("a = [[1], 2]", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_runtime_of_containerd_is_found_in_both_versions),
	    cmocka_unit_test(a_list_may_take_many_lines_and_have_comments),
	    cmocka_unit_test(what_is_something_else_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

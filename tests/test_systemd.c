/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd is asked for: unit names, limits as properties, annotations as properties. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/systemd_property.h"

static struct error err;

static void a_place_is_a_slice_and_a_scope(void **state)
{
	static const struct {
		const char *text, *slice, *unit;
	} cases[] = {
	    {"system.slice:docker:abc", "system.slice", "docker-abc.scope"},
	    {"kube-pod.slice:cri:abc", "kube-pod.slice", "cri-abc.scope"},
	    {":p:n", "system.slice", "p-n.scope"},
	    {"a.slice::n", "a.slice", "n.scope"},
	    {"-.slice:p:n", "-.slice", "p-n.scope"},
	    {"a.slice:p:n.slice", "a.slice", "n.slice"},
	    {"a.slice:n", "a.slice", "n.scope"},
	    {":n", "system.slice", "n.scope"},
	    {"", "system.slice", "volrun-id.scope"},
	    {NULL, "system.slice", "volrun-id.scope"},
	};
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct systemd_place place;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(systemd_place_parse(cases[i].text, "id", false, &arena, &place, &err), 0);
		assert_string_equal(place.slice, cases[i].slice);
		assert_string_equal(place.unit, cases[i].unit);
	}
	assert_int_equal(systemd_place_parse(NULL, "id", true, &arena, &place, &err), 0);
	assert_string_equal(place.slice, "user.slice");
}

static void a_place_of_another_form_is_refused(void **state)
{
	static const char *const bad[] = {"/docker/abc",
					  ":",
					  "a.slice",
					  "a.slice:",
					  "a:b",
					  "a.slice:b:",
					  "a:b:c",
					  ".slice:b:c",
					  "a.slice:b:c:d",
					  "x/y.slice:b:c",
					  "a.slice:../../b:c",
					  "a.slice:b:c d",
					  "a b.slice:b:c"};
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct systemd_place place;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(systemd_place_parse(bad[i], "id", false, &arena, &place, &err), -EINVAL);
}

/* "Name type value" of each property that `resources` makes, blank-separated. */
static const char *limits(const char *resources, enum cgroup_mode mode, struct arena *arena)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct spec_resources r;
	struct systemd_unit u;

	err = (struct error)ERROR_INIT;
	assert_int_equal(json_parse(resources, strlen(resources), "test", &spec_resources_table, arena, &r, &err), 0);
	if (systemd_plan_update("u.scope", &r, mode, arena, &u, &err) < 0)
		return err.msg;
	for (size_t i = 0; i < u.n_properties; i++)
		strbuf_addf(&out, "%s%s %s %s", i ? " " : "", u.properties[i].name, u.properties[i].type,
			    u.properties[i].values[0]);
	return arena_strdup(arena, strbuf_str(&out));
}

static void limits_become_properties_of_v2(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	(void)state;
	assert_string_equal(limits("{}", CGROUP_V2, &a), "");
	assert_string_equal(
	    limits("{\"memory\":{\"limit\":1048576,\"reservation\":4096,\"swap\":3145728}}", CGROUP_V2, &a),
	    "MemoryMax t 1048576 MemoryLow t 4096 MemorySwapMax t 2097152");
	assert_string_equal(limits("{\"memory\":{\"limit\":-1,\"swap\":-1}}", CGROUP_V2, &a),
			    "MemoryMax t 18446744073709551615 MemorySwapMax t 18446744073709551615");
	assert_string_equal(limits("{\"pids\":{\"limit\":7}}", CGROUP_V2, &a), "TasksMax t 7");
	assert_string_equal(limits("{\"pids\":{\"limit\":0}}", CGROUP_V2, &a), "TasksMax t 1");
	assert_string_equal(limits("{\"pids\":{\"limit\":-1}}", CGROUP_V2, &a), "TasksMax t 18446744073709551615");
	assert_string_equal(limits("{\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":100000}}", CGROUP_V2, &a),
			    "CPUWeight t 100 CPUQuotaPerSecUSec t 500000 CPUQuotaPeriodUSec t 100000");
	assert_string_equal(limits("{\"cpu\":{\"cpus\":\"0-3,8\",\"mems\":\"0\"}}", CGROUP_V2, &a),
			    "AllowedCPUs ay 0f01 AllowedMemoryNodes ay 01");
	assert_string_equal(limits("{\"memory\":{\"swap\":0}}", CGROUP_V2, &a), "MemorySwapMax t 0");
	assert_string_equal(limits("{\"cpu\":{\"quota\":9223372036854775807,\"period\":1000}}", CGROUP_V2, &a),
			    "CPUQuotaPerSecUSec t 18446744073709551615 CPUQuotaPeriodUSec t 1000");
	assert_string_equal(limits("{\"cpu\":{\"quota\":1,\"period\":1000000}}", CGROUP_V2, &a),
			    "CPUQuotaPerSecUSec t 10000 CPUQuotaPeriodUSec t 1000000");
	assert_string_equal(limits("{\"unified\":{\"memory.high\":\"4096\",\"pids.max\":\"max\",\"cpuset.cpus\":\"1\","
				   "\"memory.oom.group\":\"1\"}}",
				   CGROUP_V2, &a),
			    "MemoryHigh t 4096 TasksMax t 18446744073709551615 AllowedCPUs ay 02");
	assert_non_null(strstr(limits("{\"cpu\":{\"cpus\":\"3-1\"}}", CGROUP_V2, &a), "no list of numbers"));
	assert_non_null(strstr(limits("{\"cpu\":{\"cpus\":\"0,99999\"}}", CGROUP_V2, &a), "no list of numbers"));
}

static void limits_become_properties_of_v1(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	(void)state;
	assert_string_equal(
	    limits("{\"memory\":{\"limit\":1048576,\"swap\":3145728},\"cpu\":{\"shares\":512,\"cpus\":\"0\"},"
		   "\"blockIO\":{\"weight\":100}}",
		   CGROUP_V1, &a),
	    "MemoryLimit t 1048576 BlockIOWeight t 100 CPUShares t 512");
}

/* "Name type value,value" */
static const char *property(const char *name, const char *text, struct arena *arena)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct systemd_property p;

	err = (struct error)ERROR_INIT;
	if (systemd_property_parse(name, text, arena, &p, &err) < 0)
		return "refused";
	strbuf_addf(&out, "%s %s ", p.name, p.type);
	for (size_t i = 0; i < p.n_values; i++)
		strbuf_addf(&out, "%s%s", i ? "," : "", p.values[i]);
	return arena_strdup(arena, strbuf_str(&out));
}

static void annotations_are_read_as_gvariant_text(void **state)
{
	static const struct {
		const char *name, *text, *result;
	} cases[] = {
	    {"Description", "'a \\'text\\''", "Description s a 'text'"},
	    {"CollectMode", "\"inactive-or-failed\"", "CollectMode s inactive-or-failed"},
	    {"SendSIGHUP", "true", "SendSIGHUP b true"},
	    {"CPUWeight", "uint64 50", "CPUWeight t 50"},
	    {"Nice", "-5", "Nice i -5"},
	    {"X1", "uint32 7", "X1 u 7"},
	    {"After", "['a.service', 'b.service']", "After as a.service,b.service"},
	    {"After", "[]", "After as "},
	    {"TimeoutStopSec", "5", "TimeoutStopUSec t 5000000"},
	    {"TimeoutStopSec", "0.5", "TimeoutStopUSec t 500000"},
	    {"TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec t 123456789"},
	};
	_cleanup_arena_ struct arena arena = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(property(cases[i].name, cases[i].text, &arena), cases[i].result);
}

static void annotations_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *name, *text;
	} cases[] = {
	    {"Description", "text"},
	    {"Description", "'text"},
	    {"Description", "'a' 'b'"},
	    {"After", "['a'"},
	    {"After", "['a' 'b']"},
	    {"After", "['a'] x"},
	    {"After", "[1]"},
	    {"CPUWeight", ""},
	    {"CPUWeight", "uint64 -1"},
	    {"X1", "uint32 4294967296"},
	    {"X1", "byte 256"},
	    {"bad-Name", "1"},
	    {"lower", "1"},
	    {"", "1"},
	    {"TimeoutStopSec", "-1"},
	    {"TimeoutStopSec", "'x'"},
	    {"TimeoutStopSec", "1e300"},
	    {"D", "nan"},
	};
	_cleanup_arena_ struct arena arena = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(property(cases[i].name, cases[i].text, &arena), "refused");
}

static void the_start_asks_for_a_delegated_scope_with_the_process(void **state)
{
	static const char config[] =
	    "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
	    "\"annotations\":{\"org.systemd.property.TimeoutStopUSec\":\"uint64 9\"}}";
	const struct systemd_place place = {.slice = "a.slice", .unit = "p-n.scope"};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct systemd_unit u;
	struct spec spec;

	(void)state;
	assert_int_equal(spec_parse(config, strlen(config), "config.json", &arena, &spec, &err), 0);
	assert_int_equal(systemd_plan_start(&spec, &place, "c1", 42, CGROUP_V2, &arena, &u, &err), 0);
	json_write(&out, &systemd_unit_table, &u, 0);
	assert_non_null(strstr(out.data, "{\"unit\":\"p-n.scope\",\"properties\":["));
	assert_non_null(strstr(out.data, "{\"name\":\"Slice\",\"type\":\"s\",\"values\":[\"a.slice\"]}"));
	assert_non_null(strstr(out.data, "{\"name\":\"PIDs\",\"type\":\"au\",\"values\":[\"42\"]}"));
	assert_non_null(strstr(out.data, "{\"name\":\"Delegate\",\"type\":\"b\",\"values\":[\"true\"]}"));
	assert_non_null(strstr(out.data, "{\"name\":\"TimeoutStopUSec\",\"type\":\"t\",\"values\":[\"9\"]}"));
}

static void annotations_that_act_on_others_or_the_machine_are_refused(void **state)
{
	static const char *const names[] = {"ExecStart", "FailureAction", "SuccessAction", "OnFailure",
					    "Conflicts", "Wants",	  "Slice",	   "PIDs"};
	const struct systemd_place place = {.slice = "a.slice", .unit = "p-n.scope"};
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct systemd_unit u;
	struct spec spec;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *config = arena_printf(
		    &arena,
		    "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
		    "\"annotations\":{\"org.systemd.property.%s\":\"'poweroff.target'\"}}",
		    names[i]);

		assert_int_equal(spec_parse(config, strlen(config), "config.json", &arena, &spec, &err), 0);
		assert_int_equal(systemd_plan_start(&spec, &place, "c1", 42, CGROUP_V2, &arena, &u, &err), -EINVAL);
		assert_non_null(strstr(err.msg, names[i]));
		err = (struct error)ERROR_INIT;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_place_is_a_slice_and_a_scope),
	    cmocka_unit_test(a_place_of_another_form_is_refused),
	    cmocka_unit_test(limits_become_properties_of_v2),
	    cmocka_unit_test(limits_become_properties_of_v1),
	    cmocka_unit_test(annotations_are_read_as_gvariant_text),
	    cmocka_unit_test(annotations_that_are_none_are_refused),
	    cmocka_unit_test(annotations_that_act_on_others_or_the_machine_are_refused),
	    cmocka_unit_test(the_start_asks_for_a_delegated_scope_with_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

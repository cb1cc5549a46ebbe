/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/spec.h"

static struct arena arena = ARENA_INIT;
static struct error err;
static struct spec spec;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static int parse(const char *text)
{
	memset(&err, 0, sizeof(err));
	return spec_parse(text, strlen(text), "config.json", &arena, &spec, &err);
}

/* Members added to the smallest config.json; message NULL: accepted. */
struct rule {
	const char *members;
	const char *message;
};

static void check_rules(const struct rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
		char expected[ERROR_MSG_MAX];
		int r;

		strbuf_addf(&text, "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"}%s%s}",
			    *rules[i].members ? "," : "", rules[i].members);
		r = parse(strbuf_str(&text));
		if (!rules[i].message) {
			if (r != 0)
				fail_msg("%s: refused: %s", rules[i].members, err.msg);
			continue;
		}
		if (r != -EINVAL)
			fail_msg("%s: accepted", rules[i].members);
		snprintf(expected, sizeof(expected), "config.json: %s", rules[i].message);
		assert_string_equal(err.msg, expected);
	}
}

static void the_version_must_be_of_major_1(void **state)
{
	static const char *const good[] = {"1.0.0", "1.0.0-rc5", "1.0.2-dev", "1.1.0+dev", "1.3.0", "1.99.0-a.1+b"};
	static const char *const bad[] = {"0.9.0",  "2.0.0",  "1",	"1.0",	   "1.0.x",   "1..0",
					  "10.0.0", "v1.0.0", "1.0.0-", "1.0.0.0", "1.0.0 x", "1.0.0-\\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good) + ARRAY_SIZE(bad); i++) {
		bool is_good = i < ARRAY_SIZE(good);
		const char *version = is_good ? good[i] : bad[i - ARRAY_SIZE(good)];
		char text[100];

		snprintf(text, sizeof(text), "{\"ociVersion\":\"%s\",\"root\":{\"path\":\"r\"}}", version);
		if (parse(text) != (is_good ? 0 : -EINVAL))
			fail_msg("%s: %s", version, err.msg);
		if (!is_good)
			assert_non_null(strstr(err.msg, "$.ociVersion: "));
	}
	assert_int_equal(parse("{\"root\":{\"path\":\"r\"}}"), -EINVAL);
	assert_string_equal(err.msg, "config.json: $.ociVersion: missing");
	assert_int_equal(parse("{\"ociVersion\":\"1.0.0\"}"), -EINVAL);
	assert_string_equal(err.msg, "config.json: $.root: missing");
}

#define P "\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\""

static void rules_of_the_process(void **state)
{
	static const struct rule rules[] = {
	    {P "}", NULL},
	    {"\"process\":{\"args\":[\"sh\"]}", "$.process.cwd: missing"},
	    {"\"process\":{\"args\":[\"sh\"],\"cwd\":\"x\"}", "$.process.cwd: \"x\" must be an absolute path"},
	    {"\"process\":{\"cwd\":\"/\"}", "$.process.args: must not be empty"},
	    {"\"process\":{\"cwd\":\"/\",\"args\":[]}", "$.process.args: must not be empty"},
	    {P ",\"commandLine\":\"a b\"}", "$.process.commandLine: is for Windows; use args"},
	    {P ",\"env\":[\"A=\",\"SECRET\"]}", "$.process.env[1]: must have the form NAME=VALUE"},
	    {P ",\"env\":[\"=x\"]}", "$.process.env[0]: must have the form NAME=VALUE"},
	    {P ",\"user\":{\"uid\":4294967295}}", "$.process.user.uid: 4294967295 is no user id"},
	    {P ",\"user\":{\"gid\":4294967295}}", "$.process.user.gid: 4294967295 is no group id"},
	    {P ",\"user\":{\"additionalGids\":[1,4294967295]}}",
	     "$.process.user.additionalGids[1]: 4294967295 is no group id"},
	    {P ",\"user\":{\"uid\":-1}}", "$.process.user.uid: -1 is out of range (0 to 4294967295)"},
	    {P ",\"rlimits\":[{\"type\":\"RLIMIT_FOO\",\"soft\":1,\"hard\":1}]}",
	     "$.process.rlimits[0].type: unknown limit \"RLIMIT_FOO\""},
	    {P ",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},"
	       "{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]}",
	     "$.process.rlimits[1].type: RLIMIT_CPU stands there twice"},
	    {P ",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]}",
	     "$.process.rlimits[0]: soft is greater than hard"},
	    {P ",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"hard\":1}]}", "$.process.rlimits[0].soft: missing"},
	    {P ",\"capabilities\":{\"bounding\":[\"CAP_NONSENSE\"]}}", NULL},
	    {P ",\"oomScoreAdj\":1001}", "$.process.oomScoreAdj: 1001 is not within -1000 to 1000"},
	    {P ",\"oomScoreAdj\":-1000}", NULL},
	    {P ",\"scheduler\":{}}", "$.process.scheduler.policy: missing"},
	    {P ",\"scheduler\":{\"policy\":\"SCHED_X\"}}", "$.process.scheduler.policy: unknown policy \"SCHED_X\""},
	    {P ",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}}",
	     "$.process.scheduler.nice: 20 is not within -20 to 19"},
	    {P ",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"priority\":1}}",
	     "$.process.scheduler.priority: only for SCHED_FIFO and SCHED_RR"},
	    {P ",\"scheduler\":{\"policy\":\"SCHED_RR\",\"priority\":1}}", NULL},
	    {P ",\"scheduler\":{\"policy\":\"SCHED_RR\",\"runtime\":1}}",
	     "$.process.scheduler: runtime, deadline and period are only for SCHED_DEADLINE"},
	    {P ",\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"runtime\":1024,\"deadline\":2048,\"period\":3072,"
	       "\"flags\":[\"SCHED_FLAG_RECLAIM\"]}}",
	     NULL},
	    {P ",\"scheduler\":{\"policy\":\"SCHED_RR\",\"flags\":[\"X\"]}}",
	     "$.process.scheduler.flags[0]: unknown flag \"X\""},
	    {P ",\"ioPriority\":{\"class\":\"X\"}}", "$.process.ioPriority.class: unknown class \"X\""},
	    {P ",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_RT\",\"priority\":8}}",
	     "$.process.ioPriority.priority: 8 is not within 0 to 7"},
	    {P ",\"execCPUAffinity\":{\"initial\":\"0-\"}}",
	     "$.process.execCPUAffinity.initial: \"0-\" is no list of CPUs (0-3,7)"},
	    {P ",\"execCPUAffinity\":{\"final\":\"1,,2\"}}",
	     "$.process.execCPUAffinity.final: \"1,,2\" is no list of CPUs (0-3,7)"},
	    {P ",\"terminal\":true,\"consoleSize\":{\"height\":65536,\"width\":1}}",
	     "$.process.consoleSize: 1x65536 is more than 65535x65535"},
	    {P ",\"consoleSize\":{\"height\":65536,\"width\":1}}", NULL},
	};

	(void)state;
	check_rules(rules, ARRAY_SIZE(rules));
}

#define BIND "\"destination\":\"/d\",\"source\":\"/s\",\"options\":[\"rbind\"]"
#define MAP "[{\"containerID\":0,\"hostID\":1000,\"size\":1}]"

static void rules_of_mounts_hooks_and_names(void **state)
{
	static const struct rule rules[] = {
	    {"", NULL},
	    {"\"mounts\":[{\"source\":\"/s\"}]", "$.mounts[0].destination: missing"},
	    {"\"mounts\":[{" BIND "},{\"type\":\"proc\"}]", "$.mounts[1].destination: missing"},
	    {"\"mounts\":[{\"destination\":\"relative\",\"type\":\"tmpfs\"}]", NULL},
	    {"\"mounts\":[{\"destination\":\"/d\",\"options\":[\"bind\"]}]",
	     "$.mounts[0].source: missing (a bind mount needs one)"},
	    {"\"mounts\":[{\"destination\":\"/d\",\"type\":\"bind\"}]",
	     "$.mounts[0].source: missing (a bind mount needs one)"},
	    {"\"mounts\":[{" BIND ",\"uidMappings\":" MAP ",\"gidMappings\":" MAP "}]", NULL},
	    {"\"mounts\":[{" BIND ",\"uidMappings\":" MAP "}]",
	     "$.mounts[0]: needs uidMappings and gidMappings, or none"},
	    {"\"mounts\":[{\"destination\":\"/d\",\"type\":\"tmpfs\",\"uidMappings\":" MAP "}]",
	     "$.mounts[0]: only a bind mount can have id mappings"},
	    {"\"hooks\":{\"poststop\":[{\"path\":\"/h\"},{\"path\":\"h\"}]}",
	     "$.hooks.poststop[1].path: \"h\" must be an absolute path"},
	    {"\"hooks\":{\"createRuntime\":[{\"args\":[\"h\"]}]}", "$.hooks.createRuntime[0].path: missing"},
	    {"\"hooks\":{\"prestart\":[{\"path\":\"/h\",\"timeout\":0}]}",
	     "$.hooks.prestart[0].timeout: must be greater than 0"},
	    {"\"hooks\":{\"startContainer\":[{\"path\":\"/h\",\"timeout\":-1}]}",
	     "$.hooks.startContainer[0].timeout: must be greater than 0"},
	    {"\"annotations\":{\"\":\"x\"}", "$.annotations: a key is empty"},
	    {"\"annotations\":{\"a\":1}", "$.annotations.a: must be a string, not a number"},
	    {"\"hostname\":\"h\"", "$.hostname: can't be set without a uts namespace"},
	    {"\"domainname\":\"h\"", "$.domainname: can't be set without a uts namespace"},
	    {"\"hostname\":\"h\",\"linux\":{\"namespaces\":[{\"type\":\"uts\"}]}", NULL},
	    {"\"hostname\":\"0123456789012345678901234567890123456789012345678901234567890123x\","
	     "\"linux\":{\"namespaces\":[{\"type\":\"uts\"}]}",
	     "$.hostname: longer than 64 bytes"},
	};

	(void)state;
	check_rules(rules, ARRAY_SIZE(rules));
}

#define L(x) "\"linux\":{" x "}"
#define NS(x) "\"namespaces\":[{\"type\":\"" x "\"}]"

static void rules_of_namespaces_and_mappings(void **state)
{
	static const struct rule rules[] = {
	    {L("\"namespaces\":[{\"type\":\"foo\"}]"),
	     "$.linux.namespaces[0].type: \"foo\" is none of pid, network, mount, ipc, uts, user, cgroup, time"},
	    {L("\"namespaces\":[{\"path\":\"/x\"}]"), "$.linux.namespaces[0].type: missing"},
	    {L("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"pid\",\"path\":\"/x\"}]"),
	     "$.linux.namespaces[2].type: pid stands there twice"},
	    {L("\"namespaces\":[{\"type\":\"pid\",\"path\":\"x\"}]"),
	     "$.linux.namespaces[0].path: \"x\" must be an absolute path"},
	    {L("\"uidMappings\":" MAP), "$.linux.uidMappings: needs a user namespace"},
	    {L("\"gidMappings\":" MAP), "$.linux.gidMappings: needs a user namespace"},
	    {L(NS("user")), NULL},
	    {L(NS("user") ",\"uidMappings\":" MAP), NULL},
	    {L(NS("user") ",\"uidMappings\":" MAP ",\"gidMappings\":" MAP), NULL},
	    {L("\"namespaces\":[{\"type\":\"user\",\"path\":\"/proc/1/ns/user\"}]"), NULL},
	    {L(NS("user") ",\"gidMappings\":" MAP ",\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":0}]"),
	     "$.linux.uidMappings[0].size: must be greater than 0"},
	    {L(NS("user") ",\"gidMappings\":" MAP
			  ",\"uidMappings\":[{\"containerID\":0,\"hostID\":4294967295,\"size\":1}]"),
	     "$.linux.uidMappings[0]: ends beyond the last id"},
	    {L(NS("user") ",\"gidMappings\":" MAP ",\"uidMappings\":[{\"containerID\":0,\"hostID\":100,\"size\":10},"
			  "{\"containerID\":9,\"hostID\":200,\"size\":1}]"),
	     "$.linux.uidMappings[1]: overlaps with [0]"},
	    {L(NS("user") ",\"gidMappings\":" MAP ",\"uidMappings\":[{\"containerID\":0,\"hostID\":100,\"size\":10},"
			  "{\"containerID\":10,\"hostID\":109,\"size\":1}]"),
	     "$.linux.uidMappings[1]: overlaps with [0]"},
	    {L("\"timeOffsets\":{\"monotonic\":{}}"), "$.linux.timeOffsets: needs a time namespace"},
	    {L("\"namespaces\":[{\"type\":\"time\",\"path\":\"/x\"}],\"timeOffsets\":{\"monotonic\":{}}"),
	     "$.linux.timeOffsets: only for a new time namespace, this one is joined"},
	    {L(NS("time") ",\"timeOffsets\":{\"realtime\":{}}"), "$.linux.timeOffsets: unknown clock \"realtime\""},
	    {L(NS("time") ",\"timeOffsets\":{\"boottime\":{\"nanosecs\":1000000000}}"),
	     "$.linux.timeOffsets.boottime.nanosecs: more than 999999999"},
	};

	(void)state;
	check_rules(rules, ARRAY_SIZE(rules));
}

static void rules_of_devices_and_paths(void **state)
{
	static const struct rule rules[] = {
	    {L("\"devices\":[{\"path\":\"dev/x\",\"type\":\"c\"}]"),
	     "$.linux.devices[0].path: \"dev/x\" must be an absolute path"},
	    {L("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"z\"}]"),
	     "$.linux.devices[0].type: \"z\" is none of c, b, u, p"},
	    {L("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"b\",\"major\":4096,\"minor\":0}]"),
	     "$.linux.devices[0]: no device has the number 4096:0"},
	    {L("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"p\"}]"), NULL},
	    {L("\"netDevices\":{\"eth0\":{}}"), "$.linux.netDevices: needs a network namespace"},
	    {L(NS("network") ",\"netDevices\":{\"a/b\":{}}"), "$.linux.netDevices: \"a/b\" is no name of a device"},
	    {L(NS("network") ",\"netDevices\":{\"eth0\":{\"name\":\"0123456789abcdef\"}}"),
	     "$.linux.netDevices.eth0.name: \"0123456789abcdef\" is no name of a device"},
	    {L("\"maskedPaths\":[\"/proc/kcore\"]"), "$.linux.maskedPaths: needs a mount namespace"},
	    {L("\"readonlyPaths\":[\"/proc/sys\"]"), "$.linux.readonlyPaths: needs a mount namespace"},
	    {L("\"maskedPaths\":[],\"readonlyPaths\":null"), NULL},
	    {L(NS("mount") ",\"maskedPaths\":[\"/a\",\"b\"]"), NULL},
	    {L("\"rootfsPropagation\":\"other\""), "$.linux.rootfsPropagation: unknown propagation \"other\""},
	    {L("\"rootfsPropagation\":\"runbindable\""), NULL},
	    {L("\"memoryPolicy\":{\"mode\":\"MPOL_X\"}"),
	     "$.linux.memoryPolicy.mode: invalid memory policy mode \"MPOL_X\""},
	    {L("\"memoryPolicy\":{\"mode\":\"MPOL_LOCAL\",\"nodes\":\"0,4-6\"}"),
	     "$.linux.memoryPolicy.nodes: invalid memory policy: this mode requires 0 nodes but got 4 (MPOL_LOCAL takes none)"},
	    {L("\"memoryPolicy\":{\"mode\":\"MPOL_DEFAULT\",\"nodes\":\"\"}"), NULL},
	    {L("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"\"}"),
	     "$.linux.memoryPolicy.nodes: missing (MPOL_BIND needs one)"},
	    {L("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\"}"),
	     "$.linux.memoryPolicy.nodes: missing (MPOL_BIND needs one)"},
	    {L("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"a\"}"),
	     "$.linux.memoryPolicy.nodes: invalid memory policy nodes \"a\": no list of numbers (0-3,7)"},
	    {L("\"memoryPolicy\":{\"mode\":\"MPOL_PREFERRED\",\"flags\":[\"X\"]}"),
	     "$.linux.memoryPolicy.flags[0]: invalid memory policy flag \"X\""},
	    {L("\"personality\":{\"domain\":\"BSD\"}"), "$.linux.personality.domain: unknown domain \"BSD\""},
	    {L("\"intelRdt\":{\"closID\":\"..\"}"), "$.linux.intelRdt.closID: \"..\" is no name of a group"},
	    {L("\"intelRdt\":{\"closID\":\"a/b\"}"), "$.linux.intelRdt.closID: \"a/b\" is no name of a group"},
	    {L("\"intelRdt\":{\"closID\":\"/\"}"), NULL},
	};

	(void)state;
	check_rules(rules, ARRAY_SIZE(rules));
}

#define R(x) L("\"resources\":{" x "}")

static void rules_of_resources(void **state)
{
	static const struct rule rules[] = {
	    {R(""), NULL},
	    {R("\"devices\":[{\"allow\":true,\"type\":\"x\"}]"),
	     "$.linux.resources.devices[0].type: \"x\" is none of a, c, b"},
	    {R("\"devices\":[{\"allow\":true,\"access\":\"rx\"}]"),
	     "$.linux.resources.devices[0].access: \"rx\" is not of r, w, m"},
	    {R("\"devices\":[{\"allow\":false,\"access\":\"a\"}]"),
	     "$.linux.resources.devices[0].access: \"a\" is not of r, w, m"},
	    {R("\"devices\":[{\"allow\":false,\"access\":\"rwa\"}]"), NULL},
	    {R("\"devices\":[{\"allow\":true,\"major\":-2}]"),
	     "$.linux.resources.devices[0]: no device has such a number"},
	    {R("\"hugepageLimits\":[{\"pageSize\":\"../x\",\"limit\":1}]"),
	     "$.linux.resources.hugepageLimits[0].pageSize: \"../x\" is not of the form 2MB"},
	    {R("\"hugepageLimits\":[{\"pageSize\":\"1GB\"},{\"pageSize\":\"02MB\"}]"),
	     "$.linux.resources.hugepageLimits[1].pageSize: \"02MB\" is not of the form 2MB"},
	    {R("\"network\":{\"priorities\":[{\"name\":\"a b\",\"priority\":1}]}"),
	     "$.linux.resources.network.priorities[0].name: \"a b\" is no name of a device"},
	    {R("\"rdma\":{\"a=b\":{}}"), "$.linux.resources.rdma: \"a=b\" is no name of a device"},
	    {R("\"unified\":{\"../memory.max\":\"1\"}"),
	     "$.linux.resources.unified: the specified key has not the form CONTROLLER.VALUE `../memory.max`"},
	    {R("\"unified\":{\"tasks\":\"1\"}"),
	     "$.linux.resources.unified: the specified key has not the form CONTROLLER.VALUE `tasks`"},
	};

	(void)state;
	check_rules(rules, ARRAY_SIZE(rules));
}

#define SYSCTL(ns, key) L(NS(ns) ",\"sysctl\":{\"" key "\":\"1\"}")
#define REFUSED(key, why) "$.linux.sysctl: \"" key "\" " why

static void rules_of_sysctl(void **state)
{
	static const struct rule rules[] = {
	    {SYSCTL("ipc", "kernel.shmmax"), NULL},
	    {SYSCTL("ipc", "kernel/shmmax"), NULL},
	    {SYSCTL("ipc", "fs.mqueue.msg_max"), NULL},
	    {SYSCTL("network", "net.core.somaxconn"), NULL},
	    {SYSCTL("network", "net.ipv4.conf.eno2/100.rp_filter"), NULL},
	    {SYSCTL("network", "net/ipv4/conf/eno2.100/rp_filter"), NULL},
	    {SYSCTL("uts", "kernel.domainname"), NULL},
	    {SYSCTL("uts", "kernel.hostname"), REFUSED("kernel.hostname", "is set by $.hostname")},
	    {"\"domainname\":\"a\"," SYSCTL("uts", "kernel.domainname"),
	     REFUSED("kernel.domainname", "is not what $.domainname says")},
	    {"\"domainname\":\"1\"," SYSCTL("uts", "kernel.domainname"), NULL},
	    {SYSCTL("uts", "kernel.shmmax"), REFUSED("kernel.shmmax", "needs a namespace of type ipc")},
	    {SYSCTL("uts", "net.core.somaxconn"), REFUSED("net.core.somaxconn", "needs a namespace of type network")},
	    {SYSCTL("ipc", "kernel.domainname"), REFUSED("kernel.domainname", "needs a namespace of type uts")},
	    {SYSCTL("ipc", "user.max_user_namespaces"),
	     REFUSED("user.max_user_namespaces", "needs a namespace of type user")},
	    {SYSCTL("ipc", "vm.swappiness"), REFUSED("vm.swappiness", "is not separate for each container")},
	    {SYSCTL("ipc", "kernel.shmmaxx"), REFUSED("kernel.shmmaxx", "is not separate for each container")},
	    {SYSCTL("network", "net/../kernel/core_pattern"),
	     REFUSED("net/../kernel/core_pattern", "is no name of a setting")},
	    {SYSCTL("network", "net.//.kernel"), REFUSED("net.//.kernel", "is no name of a setting")},
	    {SYSCTL("network", "net..x"), REFUSED("net..x", "is no name of a setting")},
	    {SYSCTL("network", ""), REFUSED("", "is no name of a setting")},
	};

	(void)state;
	check_rules(rules, ARRAY_SIZE(rules));
}

static void long_paths_are_refused(void **state)
{
	static const char *const formats[] = {
	    "\"process\":{\"args\":[\"sh\"],\"cwd\":\"%s\"}",
	    "\"mounts\":[{\"destination\":\"%s\"}]",
	    "\"mounts\":[{\"destination\":\"/d\",\"source\":\"%s\"}]",
	    "\"hooks\":{\"prestart\":[{\"path\":\"%s\"}]}",
	    "\"linux\":{\"cgroupsPath\":\"%s\"}",
	};
	char path[4097];

	(void)state;
	memset(path, '/', sizeof(path));
	path[4096] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

		strbuf_adds(&text, "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		strbuf_addf(&text, formats[i], path);
#pragma GCC diagnostic pop
		strbuf_addc(&text, '}');
		assert_int_equal(parse(strbuf_str(&text)), -EINVAL);
		assert_non_null(strstr(err.msg, "longer than 4095 bytes"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_version_must_be_of_major_1, setup, teardown),
	    cmocka_unit_test_setup_teardown(rules_of_the_process, setup, teardown),
	    cmocka_unit_test_setup_teardown(rules_of_mounts_hooks_and_names, setup, teardown),
	    cmocka_unit_test_setup_teardown(rules_of_namespaces_and_mappings, setup, teardown),
	    cmocka_unit_test_setup_teardown(rules_of_devices_and_paths, setup, teardown),
	    cmocka_unit_test_setup_teardown(rules_of_resources, setup, teardown),
	    cmocka_unit_test_setup_teardown(rules_of_sysctl, setup, teardown),
	    cmocka_unit_test_setup_teardown(long_paths_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

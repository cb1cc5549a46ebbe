/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/spec.h"

static struct arena arena = ARENA_INIT;
static struct error err;
static struct spec spec;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	memset(&spec, 0, sizeof(spec));
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

/* As Docker's daemon and containerd write it: nulls, empty sections, other platforms, big numbers, maps. */
static const char docker_config[] =
    "{\"ociVersion\":\"1.2.0+dev\",\"process\":{\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80},"
    "\"user\":{\"uid\":1000,\"gid\":1000,\"umask\":18,\"additionalGids\":[10,20]},\"args\":[\"/bin/sh\",\"-c\",\"\"],"
    "\"env\":[\"PATH=/bin\",\"EMPTY=\",\"EQ=a=b\"],\"cwd\":\"/app\",\"capabilities\":{\"bounding\":[\"CAP_CHOWN\"],"
    "\"effective\":[\"CAP_CHOWN\",\"CAP_UNHEARD_OF\"],\"permitted\":null},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\","
    "\"hard\":18446744073709551615,\"soft\":1024}],\"noNewPrivileges\":true,\"apparmorProfile\":\"docker-default\","
    "\"oomScoreAdj\":0,\"selinuxLabel\":\"\",\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":5},"
    "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":4},\"execCPUAffinity\":{\"initial\":\"0-1,3\"}},"
    "\"root\":{\"path\":\"/var/lib/x/merged\",\"readonly\":true},\"hostname\":\"c1\",\"domainname\":\"example.org\","
    "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\"]},"
    "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv\",\"options\":[\"rbind\",\"rprivate\"],"
    "\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1}],"
    "\"gidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1}]}],"
    "\"hooks\":{\"prestart\":[{\"path\":\"/proc/1/exe\",\"args\":[\"libnetwork-setkey\",\"x\"],\"timeout\":10}],"
    "\"poststop\":[]},"
    "\"annotations\":{\"a\":\"1\",\"b\":\"\"},"
    "\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
    "\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
    "\"sysctl\":{\"net.ipv4.ip_unprivileged_port_start\":\"0\"},\"cgroupsPath\":\"system.slice:docker:abc\","
    "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/proc/7/ns/net\"},{\"type\":\"uts\"},"
    "{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"cgroup\",\"path\":\"\"},{\"type\":\"user\"},{\"type\":\"time\"}],"
    "\"timeOffsets\":{\"monotonic\":{\"secs\":-1,\"nanosecs\":5},\"boottime\":{}},"
    "\"devices\":[{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,\"minor\":229,\"fileMode\":69206454,\"uid\":0,"
    "\"gid\":0}],\"netDevices\":{\"eth1\":{\"name\":\"data0\"},\"eth2\":{}},"
    "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"c\",\"major\":1,"
    "\"minor\":-1,\"access\":\"rw\"}],\"memory\":{\"limit\":67108864,\"swap\":-1,\"swappiness\":60,"
    "\"disableOOMKiller\":false,\"checkBeforeUpdate\":true},\"cpu\":{\"shares\":1024,\"quota\":-1,\"burst\":0,"
    "\"period\":100000,\"cpus\":\"0-3\",\"idle\":1},\"pids\":{\"limit\":100},\"blockIO\":{\"weight\":500,"
    "\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":10}],"
    "\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":1}],"
    "\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":2}]},"
    "\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":0}],\"network\":{\"classID\":1048577,"
    "\"priorities\":[{\"name\":\"eth0\",\"priority\":5}]},\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}},"
    "\"unified\":{\"memory.high\":\"max\"}},\"rootfsPropagation\":\"rslave\","
    "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"architectures\":[\"SCMP_ARCH_X86_64\"],"
    "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"listenerPath\":\"/run/l.sock\",\"syscalls\":[{\"names\":[\"read\","
    "\"write\"],\"action\":\"SCMP_ACT_ALLOW\"},{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"errnoRet\":1,"
    "\"args\":[{\"index\":0,\"value\":18446744073709551615,\"valueTwo\":7,\"op\":\"SCMP_CMP_EQ\"}]}]},"
    "\"maskedPaths\":[\"/proc/kcore\"],\"readonlyPaths\":[\"/proc/sys\"],\"mountLabel\":\"l\","
    "\"intelRdt\":{\"closID\":\"guaranteed\",\"schemata\":[\"L3:0=f\"],\"enableMonitoring\":true},"
    "\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0-1\",\"flags\":[\"MPOL_F_STATIC_NODES\"]},"
    "\"personality\":{\"domain\":\"LINUX\"}},"
    "\"solaris\":{\"anet\":[{}]},\"windows\":{\"layerFolders\":null},\"vm\":{\"kernel\":{\"path\":\"/k\"}},\"zos\":{}}";

static void reads_every_section(void **state)
{
	const struct spec_linux *l;

	(void)state;
	if (parse(docker_config) < 0)
		fail_msg("%s", err.msg);
	l = spec.linux_;
	assert_string_equal(spec.oci_version, "1.2.0+dev");
	assert_int_equal(spec.process->console_size->width, 80);
	assert_int_equal(*spec.process->user.umask, 022);
	assert_int_equal(spec.process->user.additional_gids[1], 20);
	assert_string_equal(spec.process->args[2], "");
	assert_null(spec.process->args[3]);
	assert_int_equal(spec.process->capabilities->n_effective, 2);
	assert_int_equal(spec.process->capabilities->n_permitted, 0);
	assert_true(spec.process->rlimits[0].hard == UINT64_MAX);
	assert_int_equal(*spec.process->oom_score_adj, 0);
	assert_string_equal(spec.process->scheduler->policy, "SCHED_BATCH");
	assert_int_equal(spec.process->io_priority->priority, 4);
	assert_string_equal(spec.process->exec_cpu_affinity->initial, "0-1,3");
	assert_true(spec.root->readonly);
	assert_int_equal(spec.mounts[1].uid_mappings[0].host_id, 1000);
	assert_int_equal(*spec.hooks->prestart[0].timeout, 10);
	assert_string_equal(spec_annotation(&spec, "a"), "1");
	assert_string_equal(spec_annotation(&spec, "b"), "");
	assert_null(spec_annotation(&spec, "c"));
	assert_string_equal(spec_find_namespace(&spec, SPEC_NS_NETWORK)->path, "/proc/7/ns/net");
	assert_int_equal(l->n_time_offsets, 2);
	assert_string_equal(l->time_offsets[0].clock, "monotonic");
	assert_int_equal(l->time_offsets[0].secs, -1);
	assert_string_equal(l->net_devices[0].host_name, "eth1");
	assert_string_equal(l->net_devices[0].name, "data0");
	assert_int_equal(*l->devices[0].file_mode, 69206454);
	assert_int_equal(*l->resources->devices[1].minor, -1);
	assert_null(l->resources->devices[0].type);
	assert_int_equal(*l->resources->memory->swap, -1);
	assert_false(*l->resources->memory->disable_oom_killer);
	assert_int_equal(*l->resources->cpu->quota, -1);
	assert_int_equal(l->resources->block_io->throttle_write_iops[0].rate, 2);
	assert_int_equal(l->resources->hugepage_limits[0].limit, 0);
	assert_string_equal(l->resources->network->priorities[0].name, "eth0");
	assert_string_equal(l->resources->rdma[0].device, "mlx5_1");
	assert_null(l->resources->rdma[0].hca_objects);
	assert_string_equal(json_pair_get(l->resources->unified, l->resources->n_unified, "memory.high"), "max");
	assert_true(l->seccomp->syscalls[1].args[0].value == UINT64_MAX);
	assert_string_equal(l->seccomp->listener_path, "/run/l.sock");
	assert_string_equal(l->intel_rdt->schemata[0], "L3:0=f");
	assert_string_equal(l->memory_policy->nodes, "0-1");
	assert_string_equal(l->personality->domain, "LINUX");
}

static void an_empty_string_is_an_absent_one(void **state)
{
	(void)state;
	assert_int_equal(parse(docker_config), 0);
	assert_null(spec.process->selinux_label);
	assert_null(spec_find_namespace(&spec, SPEC_NS_CGROUP)->path);
	assert_int_equal(parse("{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"\"}}"), -EINVAL);
	assert_string_equal(err.msg, "config.json: $.root.path: missing");
}

static void what_is_written_reads_back_the_same(void **state)
{
	_cleanup_strbuf_ struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;

	(void)state;
	assert_int_equal(parse(docker_config), 0);
	json_write(&first, &spec_table, &spec, 0);
	assert_false(first.failed);
	assert_int_equal(parse(strbuf_str(&first)), 0);
	json_write(&second, &spec_table, &spec, 0);
	assert_string_equal(strbuf_str(&first), strbuf_str(&second));
	assert_non_null(strstr(strbuf_str(&first), "\"timeOffsets\":{\"monotonic\":{\"secs\":-1,\"nanosecs\":5}"));
	assert_non_null(strstr(strbuf_str(&first), "{\"allow\":false,\"access\":\"rwm\"}"));
}

static void linux_and_hooks_are_never_null(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":null}"), 0);
	assert_non_null(spec.linux_);
	assert_non_null(spec.hooks);
	assert_null(spec_find_namespace(&spec, SPEC_NS_PID));
}

static void a_config_cut_short_anywhere_is_refused_with_one_line(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(docker_config) - 1; len++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(spec_parse(docker_config, len, "config.json", &arena, &spec, &err), -EINVAL);
		assert_int_equal(strncmp(err.msg, "config.json: ", 13), 0);
		assert_null(strchr(err.msg, '\n'));
	}
}

/* A directory of its own for the tests that read files. */
static char *bundle_with(const char *name, const char *text)
{
	char *dir = strdup("/tmp/test_spec.XXXXXX");
	char path[100];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text)
		assert_int_equal(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0644, false), 0);
	return dir;
}

static void remove_bundle(char **dir)
{
	remove_tree_at(AT_FDCWD, *dir);
	free(*dir);
}

static void a_bundle_is_loaded_and_checked(void **state)
{
	_cleanup_(remove_bundle) char *good = bundle_with("config.json", docker_config);
	_cleanup_(remove_bundle) char *bad =
	    bundle_with("config.json", "{\"ociVersion\":\"3.0.0\",\"root\":{\"path\":\"r\"}}");
	_cleanup_(remove_bundle) char *empty = bundle_with("config.json", NULL);

	(void)state;
	assert_int_equal(spec_load(good, &arena, &spec, &err), 0);
	assert_string_equal(spec.hostname, "c1");
	assert_int_equal(spec_load(bad, &arena, &spec, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "config.json: $.ociVersion: \"3.0.0\" is not supported"));
	assert_int_equal(spec_load(empty, &arena, &spec, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "config.json: not found"));
	assert_int_equal(spec_load("/nonexistent", &arena, &spec, &err), -ENOENT);
	assert_string_equal(err.msg, "bundle /nonexistent: not found");
	assert_int_equal(spec_load("/dev/null", &arena, &spec, &err), -ENOTDIR);
	assert_string_equal(err.msg, "bundle /dev/null: can't be opened as a folder");
}

static void a_process_file_is_loaded_and_checked(void **state)
{
	_cleanup_(remove_bundle) char *good =
	    bundle_with("p.json", "{\"args\":[\"ls\"],\"cwd\":\"/\",\"user\":{\"uid\":7}}");
	_cleanup_(remove_bundle) char *bad = bundle_with("p.json", "{\"args\":[],\"cwd\":\"/\"}");
	struct spec_process p;
	char path[100];

	(void)state;
	snprintf(path, sizeof(path), "%s/p.json", good);
	assert_int_equal(spec_load_process(path, &arena, &p, &err), 0);
	assert_int_equal(p.user.uid, 7);
	assert_string_equal(p.args[0], "ls");
	snprintf(path, sizeof(path), "%s/p.json", bad);
	assert_int_equal(spec_load_process(path, &arena, &p, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "p.json: $.args: must not be empty"));
	snprintf(path, sizeof(path), "%s/none.json", bad);
	assert_int_equal(spec_load_process(path, &arena, &p, &err), -ENOENT);
}

static void the_example_is_accepted_and_isolates(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(spec_example(&out, false, 0, 0), 0);
	assert_int_equal(parse(strbuf_str(&out)), 0);
	assert_string_equal(spec.oci_version, OCI_VERSION);
	assert_string_equal(spec.process->args[0], "sh");
	assert_true(spec.process->no_new_privileges && spec.process->terminal && spec.root->readonly);
	assert_int_equal(spec.n_mounts, 7);
	assert_non_null(spec_find_namespace(&spec, SPEC_NS_NETWORK));
	assert_null(spec_find_namespace(&spec, SPEC_NS_USER));
	assert_int_equal(spec.linux_->n_masked_paths, 10);
	assert_non_null(strstr(strbuf_str(&out), "\"allow\": false"));
	assert_non_null(strstr(strbuf_str(&out), "\"uid\": 0"));
}

static void the_rootless_example_maps_the_user_to_root(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(spec_example(&out, true, 1000, 1001), 0);
	assert_int_equal(parse(strbuf_str(&out)), 0);
	assert_null(spec_find_namespace(&spec, SPEC_NS_NETWORK));
	assert_non_null(spec_find_namespace(&spec, SPEC_NS_USER));
	assert_int_equal(spec.linux_->uid_mappings[0].host_id, 1000);
	assert_int_equal(spec.linux_->uid_mappings[0].container_id, 0);
	assert_int_equal(spec.linux_->gid_mappings[0].host_id, 1001);
	assert_null(spec.linux_->resources);
	assert_null(strstr(strbuf_str(&out), "gid=5"));
	assert_string_equal(spec.mounts[5].source, "/sys");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(reads_every_section, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_empty_string_is_an_absent_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_written_reads_back_the_same, setup, teardown),
	    cmocka_unit_test_setup_teardown(linux_and_hooks_are_never_null, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_config_cut_short_anywhere_is_refused_with_one_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_bundle_is_loaded_and_checked, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_process_file_is_loaded_and_checked, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_example_is_accepted_and_isolates, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_rootless_example_maps_the_user_to_root, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's configuration, and whom it believes (volumes.md §1, §2). */
#include "hooks/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "hooks/identity.h"

struct fixture {
	char dir[64], files[3][96], conf_d[96];
	struct arena a;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	strcpy(x->dir, "/tmp/volrun-test-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	snprintf(x->files[0], sizeof(x->files[0]), "%s/0.json", x->dir);
	snprintf(x->files[1], sizeof(x->files[1]), "%s/1.json", x->dir);
	snprintf(x->conf_d, sizeof(x->conf_d), "%s/conf.d", x->dir);
	mkdir(x->conf_d, 0700);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	remove_tree_at(AT_FDCWD, x->dir);
	arena_free(&x->a);
	free(x);
	return 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), mode, false), 0);
}

static int load(struct fixture *x, struct config *c, struct error *err)
{
	const char *files[] = {x->files[0], x->files[1]};

	return config_load_list(files, 2, x->conf_d, &x->a, c, err);
}

static void with_no_file_there_is_one_filesystem_store(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct config c;

	assert_int_equal(load(x, &c, &err), 0);
	assert_int_equal(c.n_stores, 1);
	assert_string_equal(c.stores[0].type, "filesystem");
	assert_ptr_equal(config_store(&c, NULL), &c.stores[0]);
	assert_int_equal(c.identity.engine, IDENTITY_UNSET);
	assert_string_equal(c.identity.workspace, "default");
	assert_int_equal(c.cache.max_bytes, UINT64_C(10) << 30);
	if (geteuid() == 0) {
		assert_string_equal(c.stores[0].path, "/var/lib/volrun/store");
		assert_string_equal(c.cache.path, "/var/cache/volrun");
		assert_string_equal(c.run_dir, "/run/volrun-volumes");
	}
}

static void later_files_win_section_by_section_and_store_by_store(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	char path[128];
	struct config c;

	put(x->files[0],
	    "{\"stores\":{\"a\":{\"type\":\"filesystem\",\"path\":\"/a\"},\"b\":{\"type\":\"filesystem\",\"path\":\"/b\"}},"
	    "\"default_store\":\"a\",\"cache\":{\"path\":\"/c0\",\"max_bytes\":5},\"lease\":{\"ttl\":\"30s\"}}",
	    0644);
	put(x->files[1], "{\"stores\":{\"b\":{\"type\":\"filesystem\",\"path\":\"/b1\"}},\"cache\":{\"path\":\"/c1\"}}",
	    0644);
	snprintf(path, sizeof(path), "%s/20.json", x->conf_d);
	put(path, "{\"default_store\":\"b\",\"node_name\":\"twenty\"}", 0644);
	snprintf(path, sizeof(path), "%s/10.json", x->conf_d);
	put(path, "{\"default_store\":\"a\",\"identity\":{\"engine\":\"cri-o\"}}", 0644);
	snprintf(path, sizeof(path), "%s/README", x->conf_d);
	put(path, "not for us", 0644);
	assert_int_equal(load(x, &c, &err), 0);
	assert_int_equal(c.n_stores, 2);
	assert_string_equal(config_store(&c, "a")->path, "/a");
	assert_string_equal(config_store(&c, "b")->path, "/b1");
	assert_ptr_equal(config_store(&c, NULL), config_store(&c, "b"));
	assert_null(config_store(&c, "c"));
	assert_string_equal(c.cache.path, "/c1");
	assert_int_equal(c.cache.max_bytes, UINT64_C(10) << 30);
	assert_string_equal(c.lease.ttl, "30s");
	assert_string_equal(c.node_name, "twenty");
	assert_int_equal(c.identity.engine, IDENTITY_CRIO);
}

static void what_can_not_be_meant_is_refused_with_its_place(void **state)
{
	static const char *const bad[][2] = {
	    {"", "0.json"},
	    {"{", "0.json"},
	    {"{\"storse\":{}}", "storse"},
	    {"{\"stores\":{\"a\":{\"type\":\"filesystem\",\"path\":\"/a\",\"x\":1}}}", "$.stores"},
	    {"{\"stores\":{\"a\":{\"path\":\"/a\"}}}", "type: missing"},
	    {"{\"stores\":{\"a\":{\"type\":\"ftp\"}}}", "stores.a.type: \"ftp\""},
	    {"{\"stores\":{\"a\":{\"type\":\"filesystem\",\"path\":\"a\"}}}", "stores.a.path"},
	    {"{\"stores\":{\"a\":{\"type\":\"s3\"}}}", "stores.a.bucket"},
	    {"{\"stores\":{\"../a\":{\"type\":\"filesystem\",\"path\":\"/a\"}}}", "is no name for a store"},
	    {"{\"default_store\":\"zz\"}", "there is no store \"zz\""},
	    {"{\"identity\":{\"engine\":\"docker\"}}", "engine"},
	    {"{\"lease\":{\"ttl\":\"soon\"}}", "lease.ttl"},
	    {"{\"lease\":{\"ttl\":\"10ms\"}}", "lease.ttl"},
	    {"{\"lease\":{\"ttl\":\"10s\",\"renew\":\"9s\"}}", "lease.renew"},
	    {"{\"lease\":{\"poll\":\"0\"}}", "lease.poll"},
	    {"{\"cache\":{\"path\":\"relative\"}}", "cache.path"},
	    {"{\"mount_prefixes\":[\"data\"]}", "mount_prefixes"},
	    {"{\"access\":{\"admins\":[\"root\"]}}", "access.admins"},
	};
	struct fixture *x = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;
		struct config c;

		put(x->files[0], bad[i][0], 0644);
		assert_int_equal(load(x, &c, &err), -EINVAL);
		if (!strstr(err.msg, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], err.msg);
	}
}

static void a_secret_in_clear_must_be_the_owners_alone(void **state)
{
	static const char text[] =
	    "{\"stores\":{\"a\":{\"type\":\"s3\",\"bucket\":\"b\",\"secret_access_key\":\"tops3cret\"}},"
	    "\"default_store\":\"a\"}";
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct config c;

	put(x->files[0], text, 0644);
	assert_int_equal(load(x, &c, &err), -EINVAL);
	assert_null(strstr(err.msg, "tops3cret"));
	assert_non_null(strstr(err.msg, "secret_access_key_file"));
	put(x->files[0], text, 0640);
	assert_int_equal(load(x, &c, &err), -EINVAL);
	put(x->files[0], text, 0600);
	assert_int_equal(load(x, &c, &err), 0);
	assert_string_equal(c.stores[0].secret_access_key, "tops3cret");
}

static void a_named_file_replaces_the_list_and_must_be_there(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct config c;

	assert_int_equal(config_load(x->files[0], &x->a, &c, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "the file is missing"));
	put(x->files[0], "{\"node_name\":\"one\"}", 0644);
	assert_int_equal(config_load(x->files[0], &x->a, &c, &err), 0);
	assert_string_equal(c.node_name, "one");
	put(x->files[1], "{\"node_name\":\"env\"}", 0644);
	setenv("VOLRUN_CONFIG", x->files[1], 1);
	assert_int_equal(config_load(NULL, &x->a, &c, &err), 0);
	assert_string_equal(c.node_name, "env");
	unsetenv("VOLRUN_CONFIG");
}

/* --- identity ------------------------------------------------------------------------ */

static struct json_pair pairs[8];

static struct spec spec_with(const char *k1, const char *v1, const char *k2, const char *v2, const char *k3,
			     const char *v3)
{
	struct spec s = {.annotations = pairs};

	pairs[0] = (struct json_pair){k1, v1};
	pairs[1] = (struct json_pair){k2, v2};
	pairs[2] = (struct json_pair){k3, v3};
	s.n_annotations = (k1 != NULL) + (k2 != NULL) + (k3 != NULL);
	return s;
}

static int resolve(struct fixture *x, int engine, bool kubelet, const struct spec *s, struct identity *id,
		   struct error *err)
{
	struct config c = {.identity = {.engine = engine, .workspace = "configured"}};

	return identity_resolve(&c, s, kubelet, &x->a, id, err);
}

static void local_callers_name_their_identity(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct identity id;
	struct spec s =
	    spec_with("dev.volrun.workspace", "team", "dev.volrun.user", "alice", "dev.volrun.groups", "dev,ops");

	assert_int_equal(resolve(x, IDENTITY_LOCAL, true, &s, &id, &err), 0);
	assert_string_equal(id.workspace, "team");
	assert_string_equal(id.user, "alice");
	assert_int_equal(id.n_groups, 2);
	assert_string_equal(id.groups[1], "ops");
	assert_int_equal(id.wait_ns, INT64_MAX);
	s = spec_with(NULL, NULL, NULL, NULL, NULL, NULL);
	assert_int_equal(resolve(x, IDENTITY_UNSET, false, &s, &id, &err), 0);
	assert_string_equal(id.workspace, "configured");
	assert_null(id.user);
}

static void under_kubernetes_only_the_engines_own_keys_count(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct identity id;
	struct spec s = spec_with("dev.volrun.workspace", "victim", "dev.volrun.user", "root",
				  "io.kubernetes.cri.sandbox-namespace", "tenant");

	assert_int_equal(resolve(x, IDENTITY_CONTAINERD_CRI, true, &s, &id, &err), 0);
	assert_string_equal(id.workspace, "tenant");
	assert_null(id.user);
	/* The other engine's key, set by a tenant. */
	s = spec_with("io.kubernetes.pod.namespace", "victim", NULL, NULL, NULL, NULL);
	assert_int_equal(resolve(x, IDENTITY_CONTAINERD_CRI, true, &s, &id, &err), -EINVAL);
	assert_int_equal(resolve(x, IDENTITY_CRIO, true, &s, &id, &err), 0);
	s = spec_with("io.kubernetes.cri.sandbox-namespace", "victim", NULL, NULL, NULL, NULL);
	assert_int_equal(resolve(x, IDENTITY_CRIO, true, &s, &id, &err), -EINVAL);
}

static void a_kubelet_host_without_an_engine_is_refused(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct identity id;
	struct spec s = spec_with(NULL, NULL, NULL, NULL, NULL, NULL);

	assert_int_equal(resolve(x, IDENTITY_UNSET, true, &s, &id, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "identity.engine"));
}

static void a_pods_sandbox_is_known_by_its_engines_key(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct identity id;
	struct spec s = spec_with("io.kubernetes.cri.container-type", "sandbox", "io.kubernetes.cri.sandbox-namespace",
				  "ns1", NULL, NULL);

	assert_int_equal(resolve(x, IDENTITY_CONTAINERD_CRI, true, &s, &id, &err), 0);
	assert_true(id.sandbox);
	s = spec_with("io.kubernetes.cri-o.ContainerType", "sandbox", "io.kubernetes.cri.sandbox-namespace", "ns1",
		      NULL, NULL);
	assert_int_equal(resolve(x, IDENTITY_CONTAINERD_CRI, true, &s, &id, &err), 0);
	assert_false(id.sandbox);
	assert_int_equal(resolve(x, IDENTITY_LOCAL, true, &s, &id, &err), 0);
	assert_true(id.sandbox);
}

static void each_engine_has_its_time_to_wait(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct identity id;
	struct spec s = spec_with("io.container.manager", "libpod", NULL, NULL, NULL, NULL);

	assert_int_equal(resolve(x, IDENTITY_LOCAL, false, &s, &id, &err), 0);
	assert_int_equal(id.wait_ns, INT64_C(200000000000));
	s = spec_with("io.podman.annotations.autoremove", "TRUE", NULL, NULL, NULL, NULL);
	assert_int_equal(resolve(x, IDENTITY_LOCAL, false, &s, &id, &err), 0);
	assert_int_equal(id.wait_ns, INT64_C(200000000000));
	s = spec_with("io.kubernetes.cri.sandbox-namespace", "ns1", NULL, NULL, NULL, NULL);
	assert_int_equal(resolve(x, IDENTITY_CONTAINERD_CRI, false, &s, &id, &err), 0);
	assert_int_equal(id.wait_ns, INT64_C(100000000000));
}

static void bad_names_are_refused(void **state)
{
	static const char *const bad[][2] = {
	    {"dev.volrun.workspace", "../x"}, {"dev.volrun.workspace", "a"},	 {"dev.volrun.workspace", ""},
	    {"dev.volrun.workspace", "a/b"},  {"dev.volrun.user", ""},		 {"dev.volrun.user", "a b"},
	    {"dev.volrun.user", "a\nb"},      {"dev.volrun.groups", "dev,,ops"}, {"dev.volrun.groups", "dev,"},
	    {"dev.volrun.groups", "d/v"},
	};
	struct fixture *x = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;
		struct identity id;
		struct spec s = spec_with(bad[i][0], bad[i][1], NULL, NULL, NULL, NULL);

		if (resolve(x, IDENTITY_LOCAL, false, &s, &id, &err) != -EINVAL)
			fail_msg("%s=%s was accepted", bad[i][0], bad[i][1]);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(with_no_file_there_is_one_filesystem_store),
	    TEST(later_files_win_section_by_section_and_store_by_store),
	    TEST(what_can_not_be_meant_is_refused_with_its_place),
	    TEST(a_secret_in_clear_must_be_the_owners_alone),
	    TEST(a_named_file_replaces_the_list_and_must_be_there),
	    TEST(local_callers_name_their_identity),
	    TEST(under_kubernetes_only_the_engines_own_keys_count),
	    TEST(a_kubelet_host_without_an_engine_is_refused),
	    TEST(a_pods_sandbox_is_known_by_its_engines_key),
	    TEST(each_engine_has_its_time_to_wait),
	    TEST(bad_names_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

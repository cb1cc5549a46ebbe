/* SPDX-License-Identifier: Apache-2.0 */
/* Who may use a volume (volumes.md §7). */
#include "hooks/engine/access.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fake_store.h"

#define META_KEY "volumes/ws/.volrun/vol/meta"
#define HEAD_KEY "volumes/ws/.volrun/vol/head"
#define REGISTER                                                                                                       \
	"{\"format\":1,\"epoch\":1,\"state\":\"free\",\"ttl_ms\":60000,"                                               \
	"\"holder\":{\"node\":\"n\",\"boot_id\":\"b\"},"                                                               \
	"\"nonce\":\"0123456789abcdef0123456789abcdef\",\"commit\":{\"seq\":0},"                                       \
	"\"applied_seq\":0,\"stats\":{}}"

static const char *const groups[] = {"dev", "ops"};
static const char *const admins[] = {"u/root", "g/admins"};
static const char *const admin_group[] = {"admins"};
static const struct access_identity alice = {.user = "alice", .admins = admins, .n_admins = 2};
static const struct access_identity bob = {
    .user = "bob", .groups = groups, .n_groups = 2, .admins = admins, .n_admins = 2};
static const struct access_identity boss = {
    .user = "boss", .groups = admin_group, .n_groups = 1, .admins = admins, .n_admins = 2};
static const struct access_identity nobody;

struct fixture {
	struct fake_store *f;
	struct volume v;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	x->f = fake_store_new();
	x->v = (struct volume){.workspace = "ws", .name = "vol"};
	x->v.store = fake_store_open(x->f);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	store_close(x->v.store);
	fake_store_free(x->f);
	free(x);
	return 0;
}

static int check(struct fixture *x, const struct access_identity *id, bool ro, struct error *err)
{
	x->v.ro = ro;
	return access_check(&x->v, id, err);
}

static void first_rw_use_makes_the_user_owner(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct access_meta m;

	assert_int_equal(check(x, &alice, false, &err), 0);
	assert_int_equal(access_read(&x->v, &a, &m, &err), 0);
	assert_string_equal(m.owner, "u/alice");
	assert_int_equal(m.n_permissions, 0);
	assert_int_equal(strlen(m.created) >= 20, 1);
	/* No permissions set: everyone in the workspace; and the owner stays. */
	assert_int_equal(check(x, &bob, false, &err), 0);
	assert_int_equal(access_read(&x->v, &a, &m, &err), 0);
	assert_string_equal(m.owner, "u/alice");
	arena_free(&a);
}

static void ro_of_a_volume_that_is_not_there_is_refused_and_makes_nothing(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(check(x, &alice, true, &err), -ENOENT);
	assert_string_equal(err.msg, "not there yet: ro needs an existing volume");
	assert_int_equal(fake_store_count(x->f, STORE_PUT), 0);
}

static void a_register_without_meta_is_refused_not_everyones(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	fake_store_put(x->f, HEAD_KEY, REGISTER);
	assert_int_equal(check(x, &alice, false, &err), -EPERM);
	assert_ptr_equal(strstr(err.msg, "volume access refused: "), err.msg);
	assert_int_equal(check(x, &alice, true, &err), -EPERM);
	assert_int_equal(fake_store_count(x->f, STORE_PUT), 0);
}

static void permissions_admit_users_and_groups_as_listed(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	fake_store_put(x->f, META_KEY, "{\"owner\":\"u/alice\",\"permissions\":{\"g/dev\":\"ro\",\"u/carol\":\"rw\"}}");
	assert_int_equal(check(x, &alice, false, &err), 0);
	assert_int_equal(check(x, &boss, false, &err), 0);
	assert_int_equal(check(x, &bob, true, &err), 0);
	assert_int_equal(check(x, &bob, false, &err), -EPERM);
	assert_string_equal(err.msg, "volume access refused: read-only permission; declare the volume as ro");
	assert_int_equal(check(x, &nobody, true, &err), -EPERM);
	fake_store_put(x->f, META_KEY, "{\"owner\":\"u/alice\",\"permissions\":{\"g/dev\":\"ro\",\"g/ops\":\"rw\"}}");
	assert_int_equal(check(x, &bob, false, &err), 0);
}

static void a_group_called_like_a_user_is_not_that_user(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	fake_store_put(x->f, META_KEY, "{\"owner\":\"g/alice\",\"permissions\":{\"u/dev\":\"rw\"}}");
	assert_int_equal(check(x, &alice, true, &err), -EPERM);
	assert_int_equal(check(x, &bob, true, &err), -EPERM);
}

static void meta_that_is_not_understood_admits_nobody(void **state)
{
	static const char *const bad[] = {"", "{", "{\"owner\":1}", "{\"deny\":[\"u/alice\"]}", "null"};
	struct fixture *x = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;

		fake_store_put(x->f, META_KEY, bad[i]);
		assert_int_equal(check(x, &alice, false, &err), -EINVAL);
	}
}

static void an_unreachable_store_is_no_permission(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	fake_store_fault(x->f, (struct fake_fault){STORE_GET, NULL, STORE_UNREACHABLE, FAKE_NOTHING, 0, -1});
	assert_int_equal(check(x, &alice, false, &err), -EIO);
	assert_int_equal(fake_store_count(x->f, STORE_PUT), 0);
}

static void a_first_use_elsewhere_between_two_answers_is_no_refusal(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(check(x, &alice, false, &err), 0);
	fake_store_put(x->f, HEAD_KEY, REGISTER);
	/* As if meta and register had come after the first answer. */
	fake_store_fault(x->f, (struct fake_fault){STORE_GET, "/meta", STORE_ABSENT, FAKE_NOTHING, 0, 1});
	if (check(x, &alice, false, &err) < 0)
		fail_msg("%s", err.msg);
	fake_store_fault(x->f, (struct fake_fault){STORE_GET, "/meta", STORE_ABSENT, FAKE_NOTHING, 0, -1});
	assert_int_equal(check(x, &alice, false, &err), -EPERM);
}

static void a_lost_reply_of_the_first_use_is_found_by_reading(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	fake_store_fault(x->f, (struct fake_fault){STORE_PUT, NULL, STORE_UNKNOWN, FAKE_DONE, 0, 1});
	assert_int_equal(check(x, &alice, false, &err), 0);
}

static void a_lost_request_of_the_first_use_is_sent_again(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;

	fake_store_fault(x->f, (struct fake_fault){STORE_PUT, NULL, STORE_UNKNOWN, FAKE_NOTHING, 0, 2});
	assert_int_equal(check(x, &alice, false, &err), 0);
	assert_int_equal(fake_store_count(x->f, STORE_PUT), 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(first_rw_use_makes_the_user_owner),
	    TEST(ro_of_a_volume_that_is_not_there_is_refused_and_makes_nothing),
	    TEST(a_register_without_meta_is_refused_not_everyones),
	    TEST(permissions_admit_users_and_groups_as_listed),
	    TEST(a_group_called_like_a_user_is_not_that_user),
	    TEST(meta_that_is_not_understood_admits_nobody),
	    TEST(an_unreachable_store_is_no_permission),
	    TEST(a_first_use_elsewhere_between_two_answers_is_no_refusal),
	    TEST(a_lost_reply_of_the_first_use_is_found_by_reading),
	    TEST(a_lost_request_of_the_first_use_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

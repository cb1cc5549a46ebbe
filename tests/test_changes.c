/* SPDX-License-Identifier: Apache-2.0 */
/* changes.json of a conflict: from the store, hence hostile. */
#include "hooks/engine/changes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define NOTE "{\"id\":\"3\",\"epoch\":3,\"seq\":2,\"uploaded\":true,\"files\":1,\"bytes\":1}\n"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct seen {
	size_t n;
	char name[64], link[64];
};

static int see(void *ctx, const struct conflict_change *c, struct error *err)
{
	struct seen *s = ctx;

	(void)err;
	s->n++;
	snprintf(s->name, sizeof(s->name), "%s", c->name);
	snprintf(s->link, sizeof(s->link), "%s", c->link ? c->link : "");
	return 0;
}

static int read_text(const char *text, struct seen *s)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct conflict_note note;
	struct stream_in in;
	int r;

	*s = (struct seen){0};
	stream_in_memory(&in, text, strlen(text));
	r = changes_read(&in, &a, &note, see, s, &err);
	assert_int_equal(err.code, -r);
	return r;
}

static void names_and_targets_are_the_bytes_that_they_were(void **state)
{
	struct seen s;

	(void)state;
	assert_int_equal(read_text(NOTE "{\"path\":\"a/b\",\"change\":\"added\",\"type\":\"file\",\"key\":\"tree/a/b\","
					"\"sha256\":\"" SHA "\"}\n",
				   &s),
			 0);
	assert_string_equal(s.name, "a/b");
	assert_int_equal(
	    read_text(NOTE
		      "{\"rawpath\":\"612fff\",\"change\":\"changed\",\"type\":\"symlink\",\"rawtarget\":\"2e2eff\"}\n",
		      &s),
	    0);
	assert_string_equal(s.name, "a/\xff");
	assert_string_equal(s.link, "..\xff");
	assert_int_equal(read_text(NOTE "{\"path\":\"l\",\"change\":\"deleted\",\"type\":\"file\"}\n", &s), 0);
	assert_int_equal(s.n, 1);
}

static void what_can_t_be_is_refused_before_anybody_sees_it(void **state)
{
	static const char *const bad[] = {
	    "{\"path\":\"a\",\"change\":\"\\u001b[2J\",\"type\":\"dir\"}\n",
	    "{\"path\":\"a\",\"change\":\"added\",\"type\":\"\\u001b]0;x\\u0007\"}\n",
	    "{\"rawpath\":\"\\u001b[2J\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"rawpath\":\"6100\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"rawpath\":\"616\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"path\":\"a\",\"rawpath\":\"61\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"path\":\"\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"path\":\"/a\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"path\":\"a/../../b\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"path\":\"a/./b\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"rawpath\":\"2e2e\",\"change\":\"added\",\"type\":\"dir\"}\n",
	    "{\"path\":\"l\",\"change\":\"added\",\"type\":\"symlink\"}\n",
	    "{\"path\":\"f\",\"change\":\"added\",\"type\":\"file\",\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n",
	    "{\"path\":\"f\",\"change\":\"added\",\"type\":\"file\",\"key\":\"../../head\",\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n",
	    "{\"path\":\"f\",\"change\":\"added\",\"type\":\"file\",\"key\":\"tree/f\",\"sha256\":\"x\"}\n",
	    "{\"path\":\"f\",\"change\":\"added\",\"type\":\"dir\"}",
	};
	struct seen s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[1024];

		snprintf(text, sizeof(text), NOTE "%s", bad[i]);
		assert_int_equal(read_text(text, &s), -EINVAL);
		assert_int_equal(s.n, 0);
	}
	assert_int_equal(read_text("", &s), -EINVAL);
	assert_int_equal(read_text("{}\n", &s), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_and_targets_are_the_bytes_that_they_were),
	    cmocka_unit_test(what_can_t_be_is_refused_before_anybody_sees_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

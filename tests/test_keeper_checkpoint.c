/* SPDX-License-Identifier: Apache-2.0 */
/* What a checkpoint notes of volumes, and what a restore makes of that. Needs root (detached mounts). */
#include "hooks/checkpoint_note.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "tests/keeper_box.h"

#define RW "\"dev.volrun.volume\":\"state /data\""
#define RO "\"dev.volrun.volume\":\"state /data ro\""
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct error err;

/* --- the note ------------------------------------------------------------------------ */

static int parse(const char *text, struct arena *a, struct checkpoint_note *ret)
{
	err = (struct error)ERROR_INIT;
	return checkpoint_note_parse(text, strlen(text), a, ret, &err);
}

static void a_note_is_read(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct checkpoint_note n;

	(void)state;
	assert_int_equal(parse("{\"format\":1,\"volumes\":[{\"destination\":\"/data\",\"epoch\":3,\"seq\":7,"
			       "\"record\":\"" HEX "\"},{\"destination\":\"/new\",\"epoch\":0,\"seq\":0}]}",
			       &a, &n),
			 0);
	assert_int_equal(n.n_volumes, 2);
	assert_string_equal(n.volumes[0].destination, "/data");
	assert_int_equal(n.volumes[0].epoch, 3);
	assert_int_equal(n.volumes[0].seq, 7);
	assert_string_equal(n.volumes[0].record, HEX);
	assert_null(n.volumes[1].record);
	assert_int_equal(parse("{\"format\":1,\"volumes\":[]}", &a, &n), 0);
}

#define VOLUME(more) "{\"format\":1,\"volumes\":[{\"destination\":\"/data\"," more "}]}"

static void a_note_that_no_checkpoint_wrote_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    "[]",
	    "{\"format\":1}",
	    "{\"volumes\":[]}",
	    "{\"format\":2,\"volumes\":[]}",
	    "{\"format\":1,\"volumes\":[],\"more\":1}",
	    VOLUME("\"epoch\":1"),
	    VOLUME("\"epoch\":1,\"seq\":1"),
	    VOLUME("\"epoch\":0,\"seq\":1,\"record\":\"" HEX "\""),
	    VOLUME("\"epoch\":1,\"seq\":0"),
	    VOLUME("\"epoch\":0,\"seq\":0,\"record\":\"" HEX "\""),
	    VOLUME("\"epoch\":1,\"seq\":1,\"record\":\"" HEX "0\""),
	    VOLUME("\"epoch\":1,\"seq\":-1,\"record\":\"" HEX "\""),
	    VOLUME(
		"\"epoch\":1,\"seq\":1,\"record\":\"../../../../../../../../../../../../../../../../../../../etc/passwd\""),
	    VOLUME("\"epoch\":0,\"seq\":0},{\"destination\":\"/data\",\"epoch\":0,\"seq\":0"),
	};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct checkpoint_note n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (parse(bad[i], &a, &n) == 0)
			fail_msg("%s", bad[i]);
		assert_null(strchr(err.msg, '\n'));
	}
	parse("{\"format\":2,\"volumes\":[]}", &a, &n);
	assert_non_null(strstr(err.msg, "upgrade"));
}

static void what_lies_in_its_place_is_not_followed_nor_waited_for(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct keeper_request q = {0};
	char root[64], path[96];

	(void)state;
	box_make_root(root);
	snprintf(path, sizeof(path), "%s/note", root);
	assert_int_equal(checkpoint_note_apply(path, &a, &q, &err), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(checkpoint_note_apply(path, &a, &q, &err), -EINVAL);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(checkpoint_note_apply(path, &a, &q, &err), -ELOOP);
	unlink(path);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(truncate(path, 1 << 30), 0);
	assert_int_equal(checkpoint_note_apply(path, &a, &q, &err), -EFBIG);
	box_remove_root(root);
}

static int check(const struct checkpoint_volume *then, const struct checkpoint_volume *now)
{
	struct keeper_request_volume v = {.checkpoint = (struct checkpoint_volume *)then};
	struct keeper_request q = {.checkpoint = "/ck/volrun-volumes.json"};

	err = (struct error)ERROR_INIT;
	return checkpoint_check(&q, &v, now, &err);
}

static void only_the_same_commit_is_as_the_checkpoint_left_it(void **state)
{
	static const struct checkpoint_volume then = {"/data", 3, 7, HEX}, none = {"/data", 0, 0, NULL};

	(void)state;
	assert_int_equal(check(NULL, &then), 0);
	assert_int_equal(check(&then, &then), 0);
	assert_int_equal(check(&none, &none), 0);
	assert_int_equal(check(&then, &none), -ESTALE);
	assert_int_equal(check(&none, &then), -ESTALE);
	assert_int_equal(check(&then, &(struct checkpoint_volume){NULL, 3, 8, HEX}), -ESTALE);
	assert_int_equal(check(&then, &(struct checkpoint_volume){NULL, 4, 7, HEX}), -ESTALE);
	/* Another store's, with the same numbers. */
	assert_int_equal(check(&then, &(struct checkpoint_volume){NULL, 3, 7, "0" HEX}), -ESTALE);
	assert_non_null(strstr(err.msg, "remove /ck/volrun-volumes.json"));
}

/* --- keeper and hook --------------------------------------------------------------------- */

static void restored_with(struct nodes *x, const char *note)
{
	x->a.restored = x->b.restored = note;
}

static void note_path(const struct nodes *x, char path[96])
{
	snprintf(path, 96, "%s/note", x->root);
}

/* The register's numbers, and no holder. */
static void head_is_free(const struct nodes *x, int commit)
{
	_cleanup_free_ char *text = NULL;
	char path[160], word[32];

	snprintf(path, sizeof(path), "%s/store/volumes/default/.volrun/state/head", x->root);
	assert_int_equal(read_file_at(AT_FDCWD, path, 65536, &text, NULL), 0);
	assert_non_null(strstr(text, "\"state\":\"free\""));
	snprintf(word, sizeof(word), "\"commit\":{\"seq\":%d,", commit);
	assert_non_null(strstr(text, word));
}

static void refused(struct nodes *x, const struct box *b, const char *annotations)
{
	struct run r;

	assert_false(run_create(&r, b, "restored", annotations));
	assert_non_null(strstr(r.output, "volume state: it is not as the checkpoint left it"));
	assert_non_null(strstr(r.output, "remove "));
	assert_int_equal(r.n_mounts, 0);
	run_close(&r);
	assert_int_equal(count_entries(b->run_dir), 0);
	assert_int_equal(box_keeper(b, "state"), 0);
	(void)x;
}

static void accepted(const struct box *b, const char *annotations, const char *file, const char *text)
{
	struct run r;
	char buf[64];

	must_create(&r, b, "restored", annotations);
	assert_string_equal(mount_read(&r, 0, file, buf, sizeof(buf)), text);
	run_end(&r);
}

static void write_once(const struct box *b, const char *file, const char *text)
{
	struct run r;

	must_create(&r, b, "other", RW);
	assert_int_equal(mount_write(&r, 0, file, text), 0);
	run_end(&r);
}

/* c1 wrote "f", and is checkpointed, and ends. */
static void checkpointed(struct nodes *x, const char *note)
{
	struct run r;

	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(mount_write(&r, 0, "f", "one"), 0);
	assert_int_equal(run_checkpoint(&r, note), 0);
	assert_string_equal(r.output, "");
	run_end(&r);
}

static void a_checkpoint_commits_and_its_end_adds_nothing(void **state)
{
	struct nodes *x = *state;
	char note[96];

	note_path(x, note);
	checkpointed(x, note);
	head_is_free(x, 1);
	restored_with(x, note);
	accepted(&x->a, RW, "f", "one");
	accepted(&x->b, RW, "f", "one");
	accepted(&x->b, RO, "f", "one");
}

static void what_has_moved_on_is_refused_and_free_until_the_note_is_removed(void **state)
{
	struct nodes *x = *state;
	char note[96];

	note_path(x, note);
	checkpointed(x, note);
	write_once(&x->b, "g", "two");
	restored_with(x, note);
	refused(x, &x->a, RW);
	refused(x, &x->b, RW);
	refused(x, &x->b, RO);
	head_is_free(x, 2);
	assert_int_equal(unlink(note), 0);
	accepted(&x->a, RW, "g", "two");
}

static void a_run_that_changed_nothing_is_no_reason_to_refuse(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char note[96];

	note_path(x, note);
	checkpointed(x, note);
	must_create(&r, &x->b, "other", RW);
	run_end(&r);
	restored_with(x, note);
	accepted(&x->a, RW, "f", "one");
}

static void what_a_container_wrote_that_ran_on_is_refused(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char note[96];

	note_path(x, note);
	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(mount_write(&r, 0, "f", "one"), 0);
	assert_int_equal(run_checkpoint(&r, note), 0);
	assert_int_equal(mount_write(&r, 0, "f", "two"), 0);
	run_end(&r);
	head_is_free(x, 2);
	restored_with(x, note);
	refused(x, &x->a, RW);
}

static void of_a_node_that_died_what_the_checkpoint_committed_is_there(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char note[96];
	pid_t keeper;

	note_path(x, note);
	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(mount_write(&r, 0, "f", "one"), 0);
	assert_int_equal(run_checkpoint(&r, note), 0);
	assert_int_equal(mount_write(&r, 0, "f", "two"), 0);
	keeper = box_keeper(&x->a, "state");
	kill(keeper, SIGKILL);
	assert_true(wait_gone(keeper, 20000));
	run_close(&r);
	restored_with(x, note);
	accepted(&x->b, RW, "f", "one");
}

static void a_volume_that_is_not_there_is_not_made(void **state)
{
	struct nodes *x = *state;
	char note[96], path[128];
	struct run r;

	note_path(x, note);
	checkpointed(x, note);
	restored_with(x, note);
	assert_false(run_create(&r, &x->b, "restored", "\"dev.volrun.volume\":\"another /data\""));
	assert_non_null(strstr(r.output, "volume another: it is not as the checkpoint left it: it has commit 0"));
	run_close(&r);
	snprintf(path, sizeof(path), "%s/store/volumes/default/.volrun/another", x->root);
	assert_int_equal(count_entries(path), -1);
}

static void a_volume_that_the_note_does_not_name_is_not_looked_at(void **state)
{
	struct nodes *x = *state;
	char note[96];

	note_path(x, note);
	checkpointed(x, note);
	write_once(&x->b, "f", "two");
	restored_with(x, note);
	accepted(&x->a, "\"dev.volrun.volume\":\"state /mnt\"", "f", "two");
}

static void a_reader_is_refused_another_commit(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char note[96];

	note_path(x, note);
	write_once(&x->a, "f", "one");
	must_create(&r, &x->b, "c1", RO);
	assert_int_equal(run_checkpoint(&r, note), 0);
	run_end(&r);
	restored_with(x, note);
	accepted(&x->b, RO, "f", "one");
	restored_with(x, NULL);
	write_once(&x->a, "f", "two");
	restored_with(x, note);
	refused(x, &x->b, RO);
}

static void without_a_keeper_there_is_no_checkpoint(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char note[96];

	note_path(x, note);
	must_create(&r, &x->a, "c1", RW);
	run_kill(&r);
	assert_int_equal(run_poststop(&r), 0);
	assert_int_equal(run_checkpoint(&r, note), 1);
	assert_non_null(strstr(r.output, "the keeper of its volumes can't be reached"));
	assert_int_equal(access(note, F_OK), -1);
	run_close(&r);
}

int main(void)
{
#define FLOW(f) cmocka_unit_test_setup_teardown(f, nodes_setup, nodes_teardown)
	const struct CMUnitTest note[] = {
	    cmocka_unit_test(a_note_is_read),
	    cmocka_unit_test(a_note_that_no_checkpoint_wrote_is_refused),
	    cmocka_unit_test(what_lies_in_its_place_is_not_followed_nor_waited_for),
	    cmocka_unit_test(only_the_same_commit_is_as_the_checkpoint_left_it),
	};
	const struct CMUnitTest flow[] = {
	    FLOW(a_checkpoint_commits_and_its_end_adds_nothing),
	    FLOW(what_has_moved_on_is_refused_and_free_until_the_note_is_removed),
	    FLOW(a_run_that_changed_nothing_is_no_reason_to_refuse),
	    FLOW(what_a_container_wrote_that_ran_on_is_refused),
	    FLOW(of_a_node_that_died_what_the_checkpoint_committed_is_there),
	    FLOW(a_volume_that_is_not_there_is_not_made),
	    FLOW(a_volume_that_the_note_does_not_name_is_not_looked_at),
	    FLOW(a_reader_is_refused_another_commit),
	    FLOW(without_a_keeper_there_is_no_checkpoint),
	};
	int skipped, r = cmocka_run_group_tests_name("checkpoint_note", note, NULL, NULL);

	skipped = nodes_main("test_keeper_checkpoint");
	if (r || skipped)
		return r ? r : skipped;
	return cmocka_run_group_tests_name("keeper_checkpoint", flow, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs_box.h - what the tests of the container's file system share. Each test
 * builds a root file system in a temporary directory and a spec by hand ("a box"),
 * has the container's file system made in a forked child with namespaces of
 * its own, and looks around in there. All of it needs root.
 */
#ifndef VOLRUN_TESTS_ROOTFS_BOX_H
#define VOLRUN_TESTS_ROOTFS_BOX_H

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "oci/spec.h"
#include "runtime/rootfs.h"

#define BOX_MOUNTS_MAX 24

struct box {
	char dir[64], root[80], outside[80];
	struct arena arena;
	struct spec spec;
	struct spec_root spec_root;
	struct spec_linux linux_;
	struct spec_namespace ns[SPEC_NS_COUNT];
	struct spec_mount mounts[BOX_MOUNTS_MAX];
	struct rootfs r;
	bool userns;
	unsigned ids;		      /* mapped one to one from 0 */
	int no_unshare;		      /* CLONE_NEW* that the container does not get */
	bool watch_host;	      /* the outer mount table must be the same afterwards */
	const char *volume;	      /* destination; its tree is made in the child from "outside" */
	void (*outer)(struct box *);  /* in the child, before its user namespace */
	void (*before)(struct box *); /* in the child, in its mount namespace */
	void (*prepared)(struct box *);
	void (*inside)(struct box *);
	int report[2];
};

/* --- in the child: `before`, `prepared`, `inside` ------------------------------ */

/* Reports the text as the test's result and ends the child. */
_Noreturn void give_up(const char *text);

#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		char _t[512];                                                                                          \
		int _e = errno;                                                                                        \
		if (!(cond)) {                                                                                         \
			snprintf(_t, sizeof(_t), "%s:%d: %s (%s)", __FILE__, __LINE__, #cond, strerror(_e));           \
			give_up(_t);                                                                                   \
		}                                                                                                      \
	} while (0)

long fs_magic(const char *path);
unsigned long flags_of(const char *path);
bool is_device(const char *path, unsigned maj, unsigned min);
bool exists(const char *path);
char *read_text(const char *path); /* "" when it can't be read; to be freed */
/* What a container of add_usual_mounts must look like. */
void look_at_the_usual(struct box *b);

/* --- in the test ---------------------------------------------------------------- */

int make_box(void **state);
int drop_box(void **state);
const char *in_root(struct box *b, const char *path);
void put_dir(struct box *b, const char *path);
void put_file(struct box *b, const char *path, const char *text);
void put_link(struct box *b, const char *target, const char *path);
void put_outside(struct box *b, const char *name, const char *text);
/* options: words. */
struct spec_mount *add_mount(struct box *b, const char *dest, const char *type, const char *source,
			     const char *options);
void set_strings(struct box *b, const char ***ret, size_t *ret_n, const char *words);
/* Mounts, masked and read-only paths as `runc spec` writes them. */
void add_usual_mounts(struct box *b);

/* Runs it; "" when all went well, else what was reported. */
const char *box_run(struct box *b);

#define assert_runs(b) assert_string_equal(box_run(b), "")
#define assert_refused(b, words)                                                                                       \
	do {                                                                                                           \
		const char *_m = box_run(b);                                                                           \
		if (!strstr(_m, words))                                                                                \
			fail_msg("expected \"%s\", got \"%s\"", words, _m);                                            \
	} while (0)

#define BOX_TEST(name) cmocka_unit_test_setup_teardown(name, make_box, drop_box)

/* main() of such a program; 77 tells automake that it was skipped. */
#define BOX_MAIN(tests)                                                                                                \
	int main(void)                                                                                                 \
	{                                                                                                              \
		if (geteuid() != 0) {                                                                                  \
			print_message("skipped: mounts need root\n");                                                  \
			return 77;                                                                                     \
		}                                                                                                      \
		return cmocka_run_group_tests(tests, NULL, NULL);                                                      \
	}

#endif

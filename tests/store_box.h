/* SPDX-License-Identifier: Apache-2.0 */
/* store_box.h - the store under test and short words for what is done to it (tests/store_conformance.c). */
#ifndef VOLRUN_TESTS_STORE_BOX_H
#define VOLRUN_TESTS_STORE_BOX_H

#include "hooks/store/store.h"

#define MIB (1024u * 1024)

extern struct store_config config;
extern struct store *store;
extern char prefix[64]; /* of all keys of this run */
extern unsigned quirks; /* as the probe found them, for further stores */
extern struct error probe_error;

struct store *open_store(void);
/* A key below this run's prefix; good until the 8th call after. */
const char *key(const char *name);
void expect(enum store_result expected, const struct store_op *op);
struct store_op put_op(const char *k, const char *text);
void put_text(const char *k, const char *text);
void expect_text(const char *k, const char *text);
enum store_result simple(enum store_op_kind kind, const char *k);

/* A file without a name, and bytes for it that differ from place to place, so that swapped or shifted parts show. */
int temp_file(void);
void fill_file(int fd, uint64_t size);

/* cmocka's: opens the store; removes every key of this run. */
int set_up(void **state);
int tear_down(void **state);

/* tests/store_bulk.c: much at once */
void a_big_body_goes_up_in_parts_and_comes_back_the_same(void **state);
void two_hundred_mebibytes_move_in_a_few_of_memory(void **state);
void a_listing_of_more_than_a_thousand_keys_is_whole_and_in_order(void **state);
void of_thirty_two_processes_exactly_one_wins_each_race(void **state);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* fault_store.h - a store whose server is fault_server.h, and what the tests of each store's faults ask of it. */
#ifndef VOLRUN_TESTS_FAULT_STORE_H
#define VOLRUN_TESTS_FAULT_STORE_H

#include "hooks/store/store.h"
#include "tests/fault_server.h"

extern struct store *store;

/* Starts the server, and opens the store that the configuration describes, but for its endpoint, there. */
void fault_store_open(struct store_config *config);
/* A test's teardown. */
int fault_store_close(void **state);

/* Of four bytes, to "key". */
struct store_op put_op(enum store_condition condition, const char *if_tag);
/* Of "key", of at most 100 bytes. */
struct store_op get_op(void);
/* Does it: the server has had so many requests by then. No error has a word of `secret` (may be NULL). */
void expect_op(struct store_op *op, enum store_result result, int requests, const char *secret);

#endif

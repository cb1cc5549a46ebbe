/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault_store.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct store *store;

void fault_store_open(struct store_config *config)
{
	struct error err = ERROR_INIT;

	config->endpoint = fault_server_start();
	if (store_open(config, &store, &err) < 0)
		fail_msg("%s", err.msg);
}

int fault_store_close(void **state)
{
	(void)state;
	store_close(store); /* and its connections: the server waits for that */
	fault_server_stop();
	return 0;
}

struct store_op put_op(enum store_condition condition, const char *if_tag)
{
	struct store_op op;

	store_op_init(&op, STORE_PUT, "key");
	op.data = "text";
	op.size = 4;
	op.condition = condition;
	op.if_tag = if_tag;
	return op;
}

struct store_op get_op(void)
{
	struct store_op op;

	store_op_init(&op, STORE_GET, "key");
	op.max_body = 100;
	return op;
}

void expect_op(struct store_op *op, enum store_result result, int requests, const char *secret)
{
	store_do(store, op);
	if (op->result != result)
		fail_msg("expected \"%s\", got \"%s\": %s", store_result_name(result), store_result_name(op->result),
			 op->err.msg);
	assert_int_equal(served, requests);
	if (secret)
		assert_null(strstr(op->err.msg, secret));
	strbuf_free(&op->body);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to and from a keeper: what is read can be written and read again as the same. */
#include <string.h>

#include "base/cleanup.h"
#include "hooks/keeper_proto.h"
#include "tests/fuzz.h"

static void try(const struct json_table *table, const uint8_t *data, size_t size)
{
	union {
		struct keeper_request request;
		struct keeper_answer answer;
		struct keeper_command command;
		struct keeper_outcome outcome;
	} first, second;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT, again = STRBUF_INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	int r;

	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	r = json_parse((const char *)data, size, "message", table, &a, &first, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	if (r < 0)
		return;
	json_write(&text, table, &first, 0);
	FUZZ_CHECK(json_parse(text.data, text.len, "message", table, &a, &second, &err) == 0);
	json_write(&again, table, &second, 0);
	FUZZ_CHECK(strcmp(strbuf_str(&text), strbuf_str(&again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try(&keeper_request_table, data, size);
	try(&keeper_answer_table, data, size);
	try(&keeper_command_table, data, size);
	try(&keeper_outcome_table, data, size);
	return 0;
}

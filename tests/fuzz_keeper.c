/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to and from a keeper: what is read can be written and read again as the same. And a checkpoint's note. */
#include <string.h>

#include "base/cleanup.h"
#include "hooks/checkpoint_note.h"
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

static void try_note(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct checkpoint_note note;
	int r = checkpoint_note_parse((const char *)data, size, &a, &note, &err);

	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	for (size_t i = 0; r == 0 && i < note.n_volumes; i++)
		FUZZ_CHECK(note.volumes[i].destination && !note.volumes[i].seq == !note.volumes[i].record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_note(data, size);
	try(&keeper_request_table, data, size);
	try(&keeper_answer_table, data, size);
	try(&keeper_command_table, data, size);
	try(&keeper_outcome_table, data, size);
	return 0;
}

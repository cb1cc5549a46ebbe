/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume check-store NAME`: what holds of a store of the configuration, in words. */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "hooks/store/store_check.h"
#include "hooks/volume_cmd.h"

struct line {
	const char *check, *result, *detail;
};
static const struct json_field line_fields[] = {
    JSON_FIELD(struct line, check, "check", JSON_STR),
    JSON_FIELD(struct line, result, "result", JSON_STR),
    JSON_FIELD(struct line, detail, "detail", JSON_STR),
    {NULL},
};
static const struct json_table line_table = {"check", sizeof(struct line), line_fields, 0};

#define LINES_MAX 32
struct report {
	const char *store, *type;
	bool usable;
	struct line *lines;
	size_t n_lines;
	/* --- not of the document */
	bool json;
	struct arena *arena;
	struct line room[LINES_MAX];
};
static const struct json_field report_fields[] = {
    JSON_FIELD(struct report, store, "store", JSON_STR),
    JSON_FIELD(struct report, type, "type", JSON_STR),
    JSON_FIELD(struct report, usable, "usable", JSON_BOOL, .write_empty = true),
    JSON_LIST(struct report, lines, "checks", JSON_ARR_OBJ, .table = &line_table, .write_empty = true),
    {NULL},
};
static const struct json_table report_table = {"report", sizeof(struct report), report_fields, 0};

static void note(void *ctx, enum store_check_result result, const char *what, const char *detail)
{
	static const char *const words[] = {
	    [STORE_CHECK_HOLDS] = "yes", [STORE_CHECK_LACKS] = "no (not needed)", [STORE_CHECK_FAILS] = "NO"};
	static const char *const names[] = {
	    [STORE_CHECK_HOLDS] = "holds", [STORE_CHECK_LACKS] = "lacks", [STORE_CHECK_FAILS] = "fails"};
	struct report *r = ctx;

	if (!r->json) {
		printf("%s: %s%s%s\n", what, words[result], detail[0] ? ": " : "",
		       detail[0] ? volume_text(r->arena, detail) : "");
		fflush(stdout);
	} else if (r->n_lines < LINES_MAX) {
		r->lines[r->n_lines++] = (struct line){what, names[result], arena_strdup(r->arena, detail)};
	}
}

int volume_cmd_check_store(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	const struct store_config *config = config_store(c->config, c->n_args > 0 ? c->args[0] : c->store->name);
	struct report r = {.json = c->json, .arena = a};
	struct error why = ERROR_INIT;
	struct store *s = NULL;
	int result;

	if (!config)
		return error_set(err, EINVAL, "the configuration has no store \"%s\"", c->args[0]);
	r.store = config->name;
	r.type = config->type;
	r.lines = r.room;
	result = store_open(config, &s, err);
	if (result < 0)
		return result;
	result = store_check(s, note, &r, &why);
	r.usable = result == 0;
	if (c->json)
		volume_print_json(&report_table, &r, err);
	else if (r.usable)
		printf("store \"%s\" (%s, %s) can hold volumes\n", s->name, config->type, s->place);
	store_close(s);
	if (!r.usable)
		*err = why;
	return result;
}

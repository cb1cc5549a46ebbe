/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is being read: argv and the place in it. */
struct cursor {
	int argc;
	char **argv;
	int next;
};

static int list_add(struct arg_list *list, const char *item, struct arena *arena, struct error *err)
{
	/* Lists are short; a new array each time keeps the list a plain NULL-terminated one. */
	const char **items = arena_calloc(arena, list->n + 2, sizeof(*items));

	if (!items)
		return error_set(err, ENOMEM, "out of memory");
	if (list->n)
		memcpy(items, list->items, list->n * sizeof(*items));
	items[list->n] = item;
	list->items = items;
	list->n++;
	return 0;
}

static const struct arg_option *find_long(const struct arg_option *table, const char *name, size_t len)
{
	for (; table->name; table++)
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static const struct arg_option *find_letter(const struct arg_option *table, char letter)
{
	for (; table->name; table++)
		if (table->letter && table->letter == letter)
			return table;
	return NULL;
}

static bool takes_value(const struct arg_option *o)
{
	return o->kind == ARG_STR || o->kind == ARG_LIST || o->kind == ARG_IGNORE_VALUE;
}

/* The words that Go's strconv.ParseBool takes: callers are written in Go. */
static int parse_bool(const char *value, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(value, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcmp(value, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

/* value NULL: none was given (a bool's means true). */
static int store(const struct arg_option *o, const char *value, void *out, struct arena *arena, struct error *err)
{
	char *member = (char *)out + o->offset;
	bool on = true;

	switch (o->kind) {
	case ARG_BOOL:
		if (value && parse_bool(value, &on) < 0)
			return error_set(err, EINVAL, "--%s: \"%s\" is neither true nor false", o->name, value);
		*(bool *)member = on;
		return 0;
	case ARG_STR:
		*(const char **)member = value;
		return 0;
	case ARG_LIST:
		return list_add((struct arg_list *)member, value, arena, err);
	case ARG_IGNORE:
	case ARG_IGNORE_VALUE:
		return 0;
	}
	return 0;
}

/* The value of an option that needs one: what follows in the same word, else the next word. */
static int need_value(const struct arg_option *o, const char *inline_value, const char *shown, struct cursor *c,
		      const char **ret, struct error *err)
{
	if (inline_value) {
		*ret = inline_value;
		return 0;
	}
	if (c->next >= c->argc)
		return error_set(err, EINVAL, "flag needs an argument: %s (%s)", shown, o->value ? o->value : "VALUE");
	*ret = c->argv[c->next++];
	return 0;
}

/* "-b DIR", "-bDIR", "-it": one word of short options. */
static int parse_letters(const struct arg_option *table, const char *word, struct cursor *c, void *out,
			 struct arena *arena, bool *ret_help, struct error *err)
{
	for (const char *p = word + 1; *p; p++) {
		const struct arg_option *o = find_letter(table, *p);
		const char *value = NULL;
		int r;

		if (!o && *p == 'h') {
			*ret_help = true;
			return 0;
		}
		if (!o)
			return error_set(err, EINVAL, "unknown option: %s", word);
		if (takes_value(o)) {
			r = need_value(o, p[1] == '=' ? p + 2 : (p[1] ? p + 1 : NULL), word, c, &value, err);
			return r < 0 ? r : store(o, value, out, arena, err);
		}
		if (p[1] == '=')
			return store(o, p + 2, out, arena, err);
		r = store(o, NULL, out, arena, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_option(const struct arg_option *table, const char *word, struct cursor *c, void *out,
			struct arena *arena, bool *ret_help, struct error *err)
{
	const char *name = word + (word[1] == '-' ? 2 : 1);
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct arg_option *o = find_long(table, name, len);

	if (!o && len == 4 && memcmp(name, "help", 4) == 0) {
		*ret_help = true;
		return 0;
	}
	if (!o && word[1] != '-')
		return parse_letters(table, word, c, out, arena, ret_help, err);
	if (!o)
		return error_set(err, EINVAL, "unknown option: %s", word);
	if (takes_value(o)) {
		int r = need_value(o, value, word, c, &value, err);

		if (r < 0)
			return r;
	}
	return store(o, value, out, arena, err);
}

int args_parse(const struct arg_option *table, unsigned flags, int argc, char **argv, void *out, struct arena *arena,
	       struct arg_list *ret_positionals, bool *ret_help, struct error *err)
{
	struct cursor c = {argc, argv, 0};
	struct arg_list positionals = {NULL, 0};
	bool options = true, help = false;
	int r = 0;

	while (c.next < c.argc && !help) {
		const char *word = c.argv[c.next++];

		if (options && strcmp(word, "--") == 0) {
			options = false;
			continue;
		}
		if (options && word[0] == '-' && word[1])
			r = parse_option(table, word, &c, out, arena, &help, err);
		else
			r = list_add(&positionals, word, arena, err);
		if (r < 0)
			return r;
		if (positionals.n && (flags & ARGS_STOP_AT_POSITIONAL))
			options = false;
	}
	*ret_positionals = positionals;
	*ret_help = help;
	return 0;
}

void args_print_help(const struct arg_option *table)
{
	for (; table->name; table++) {
		char left[80];

		if (!table->help)
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", table->letter ? "-" : " ",
			 table->letter ? table->letter : ' ', table->letter ? ", " : "  ", table->name,
			 table->value ? " " : "", table->value ? table->value : "");
		printf("  %-34s %s\n", left, table->help);
	}
	printf("  %-34s %s\n", "-h, --help", "show this help");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun doctor`: each store of the configuration, by the check of `volrun volume check-store`. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/doctor.h"
#include "hooks/store/store_check.h"

struct looking {
	struct doctor *d;
	const struct store_config *config;
	unsigned held, failed;
	char speed[200];
};

/* By the beginning of what was tried (store_check.c). */
static const struct {
	const char *what, *advice;
} advices[] = {
    {"there are credentials", "give the store credentials that need no environment (docs/stores.md): an engine calls "
			      "volrun with its own environment, not yours"},
    {"objects can be written", "check endpoint, bucket, network, proxy and the permissions to read, write, list and "
			       "delete; `volrun volume check-store` tries again"},
    {"conditions on writes", "use another store or a newer version of this one: without conditional writes two "
			     "nodes could hold one volume"},
    {"of 16 creations", "use another store: two nodes could hold one volume"},
    {"names with odd", "check the permission to list; with a proxy in between, that it leaves names as they are"},
    {"deleted objects", "check the permission to delete"},
};

static const char *advice_for(const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		if (strncmp(what, advices[i].what, strlen(advices[i].what)) == 0)
			return advices[i].advice;
	return "use another store, or tell its operator: volumes can't do without it";
}

static const char *title(const struct looking *l)
{
	return arena_printf(l->d->arena, "store %s", l->config->name);
}

static void note(void *ctx, enum store_check_result result, const char *what, const char *detail)
{
	struct looking *l = ctx;

	if (result == STORE_CHECK_FAILS) {
		l->failed++;
		doctor_say(l->d, DOCTOR_PROBLEM, title(l), advice_for(what), "not so: %s: %s", what, detail);
		return;
	}
	l->held += result == STORE_CHECK_HOLDS;
	if (strncmp(what, "its clock", strlen("its clock")) == 0 && result == STORE_CHECK_LACKS && detail[0])
		doctor_say(l->d, DOCTOR_WARNING, "clock",
			   "set this machine's clock (timedatectl set-ntp true), or the store's", "store %s: %s",
			   l->config->name, detail);
	if (strncmp(what, "it answers", strlen("it answers")) == 0)
		snprintf(l->speed, sizeof(l->speed), ", answers %s", detail);
	if (strncmp(detail, "from the environment", strlen("from the environment")) == 0)
		doctor_say(
		    l->d, DOCTOR_WARNING, title(l),
		    "name a file in the configuration (docs/stores.md), or put the variables into the engine's unit",
		    "its credentials are %s of this shell; engines call volrun with another one", detail);
}

static void look_at(struct doctor *d, const struct store_config *config)
{
	struct looking l = {.d = d, .config = config};
	struct error err = ERROR_INIT;
	struct store *s = NULL;

	if (store_open(config, &s, &err) < 0) {
		doctor_say(d, DOCTOR_PROBLEM, title(&l), "correct the configuration, or make the place", "%s", err.msg);
		return;
	}
	if (store_check(s, note, &l, &err) == 0)
		doctor_say(d, DOCTOR_OK, title(&l), NULL, "%s, %s: can hold volumes (%u checks%s)", config->type,
			   s->place, l.held, l.speed);
	else if (l.failed == 0)
		doctor_say(d, DOCTOR_PROBLEM, title(&l), "see `volrun volume check-store`", "%s", err.msg);
	store_close(s);
}

void doctor_stores(struct doctor *d, const struct config *c)
{
	for (size_t i = 0; i < c->n_stores; i++)
		look_at(d, &c->stores[i]);
}

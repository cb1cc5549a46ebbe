/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volrun-systemd start|set|stop [--user] <unit.json: what volrun asks of systemd, by
 * D-Bus (org.freedesktop.systemd1.Manager). The unit and its properties come on stdin (runtime/systemd.h).
 * One line on stderr and exit status 1 when it could not be done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "runtime/systemd.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER SYSTEMD ".Manager"
#define OBJECT "/org/freedesktop/systemd1"
#define WAIT_USEC (30 * UINT64_C(1000000))
#define INPUT_MAX (1u << 20)

struct bus {
	sd_bus *bus;
	const char *job; /* the job that is waited for */
	bool done;
	char result[32];
};

static int bus_error(const char *what, int r, const sd_bus_error *e, struct error *err)
{
	return error_set(err, -r, "%s: %s", what, e && e->message ? e->message : strerror(-r));
}

static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *e)
{
	const char *path, *unit, *result;
	struct bus *b = data;
	uint32_t id;

	(void)e;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0 || !b->job || strcmp(path, b->job) != 0)
		return 0;
	snprintf(b->result, sizeof(b->result), "%s", result);
	b->done = true;
	return 0;
}

static int bus_connect(struct bus *b, bool user, struct error *err)
{
	int r = user ? sd_bus_open_user(&b->bus) : sd_bus_open_system(&b->bus);

	if (r < 0)
		return error_set(err, -r,
				 user
				     ? "the user's systemd can't be reached (error %d); is DBUS_SESSION_BUS_ADDRESS or "
				       "XDG_RUNTIME_DIR set, and lingering on?"
				     : "the system's bus can't be reached (error %d); does systemd run here?",
				 -r);
	/* Before the job is made, so that its end is not missed. */
	r = sd_bus_match_signal(b->bus, NULL, SYSTEMD, OBJECT, MANAGER, "JobRemoved", on_job_removed, b);
	if (r >= 0)
		r = sd_bus_call_method(b->bus, SYSTEMD, OBJECT, MANAGER, "Subscribe", NULL, NULL, NULL);
	return r < 0 ? bus_error("subscribe", r, NULL, err) : 0;
}

/* --- properties as variants -------------------------------------------------------- */

static int append_basic(sd_bus_message *m, char type, const char *text)
{
	int64_t i = strtoll(text, NULL, 10);
	uint64_t u = strtoull(text, NULL, 10);

	switch (type) {
	case 's':
		return sd_bus_message_append(m, "s", text);
	case 'b':
		return sd_bus_message_append(m, "b", strcmp(text, "true") == 0);
	case 'y':
		return sd_bus_message_append(m, "y", (uint8_t)u);
	case 'q':
		return sd_bus_message_append(m, "q", (uint16_t)u);
	case 'i':
		return sd_bus_message_append(m, "i", (int32_t)i);
	case 'u':
		return sd_bus_message_append(m, "u", (uint32_t)u);
	case 'x':
		return sd_bus_message_append(m, "x", i);
	case 't':
		return sd_bus_message_append(m, "t", u);
	case 'd':
		return sd_bus_message_append(m, "d", strtod(text, NULL));
	default:
		return -EINVAL;
	}
}

static int append_bytes(sd_bus_message *m, const char *hex)
{
	unsigned char bytes[256];
	size_t n = strlen(hex) / 2;

	if (n > sizeof(bytes) || hex_decode(hex, bytes, n) < 0)
		return -EINVAL;
	return sd_bus_message_append_array(m, 'y', bytes, n);
}

static int append_list(sd_bus_message *m, const struct systemd_property *p)
{
	int r = sd_bus_message_open_container(m, 'a', p->type + 1);

	for (size_t i = 0; r >= 0 && i < p->n_values; i++)
		r = append_basic(m, p->type[1], p->values[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_property(sd_bus_message *m, const struct systemd_property *p)
{
	int r = sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", p->name);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', p->type);
	if (r >= 0 && strcmp(p->type, "ay") == 0)
		r = p->n_values == 1 ? append_bytes(m, p->values[0]) : -EINVAL;
	else if (r >= 0 && p->type[0] == 'a')
		r = append_list(m, p);
	else if (r >= 0)
		r = p->n_values == 1 && !p->type[1] ? append_basic(m, p->type[0], p->values[0]) : -EINVAL;
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static bool is_idle(const struct systemd_property *p)
{
	return strcmp(p->name, "CPUWeight") == 0 && p->n_values == 1 && strcmp(p->values[0], "0") == 0;
}

/* "idle" as a weight came with systemd 252; before, cpu.idle is only volrun's matter. */
static bool knows_idle(sd_bus *bus)
{
	_cleanup_free_ char *version = NULL;

	if (sd_bus_get_property_string(bus, SYSTEMD, OBJECT, MANAGER, "Version", NULL, &version) < 0)
		return false;
	return strtoul(version + strcspn(version, "0123456789"), NULL, 10) >= 252;
}

static int append_properties(sd_bus_message *m, const struct systemd_unit *u)
{
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	for (size_t i = 0; r >= 0 && i < u->n_properties; i++)
		if (!is_idle(&u->properties[i]) || knows_idle(sd_bus_message_get_bus(m)))
			r = append_property(m, &u->properties[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* --- the calls ----------------------------------------------------------------------- */

static int wait_job(struct bus *b, const char *job, const char *what, struct error *err)
{
	int64_t deadline = clock_boottime_ns() + (int64_t)WAIT_USEC * 1000;
	int r = 1;

	b->job = job;
	while (r >= 0 && !b->done) {
		r = sd_bus_process(b->bus, NULL);
		if (r == 0)
			r = sd_bus_wait(b->bus, WAIT_USEC);
		if (r >= 0 && !b->done && clock_boottime_ns() > deadline)
			return error_set(err, ETIMEDOUT, "%s: the job took longer than 30 s", what);
	}
	b->job = NULL;
	if (r < 0)
		return bus_error(what, r, NULL, err);
	return strcmp(b->result, "done") == 0 || strcmp(b->result, "skipped") == 0
		   ? 0
		   : error_set(err, EIO, "%s: the job ended as \"%s\"", what, b->result);
}

static int call_for_job(struct bus *b, sd_bus_message *m, const char *what, sd_bus_error *e, struct error *err)
{
	__attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
	const char *job;
	int r = sd_bus_call(b->bus, m, WAIT_USEC, e, &reply);

	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &job);
	return r < 0 ? bus_error(what, r, e, err) : wait_job(b, job, what, err);
}

static void reset_failed(struct bus *b, const char *unit)
{
	sd_bus_call_method(b->bus, SYSTEMD, OBJECT, MANAGER, "ResetFailedUnit", NULL, NULL, "s", unit);
}

static int start_once(struct bus *b, const struct systemd_unit *u, bool *ret_exists, struct error *err)
{
	__attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;
	__attribute__((cleanup(sd_bus_error_free))) sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = sd_bus_message_new_method_call(b->bus, &m, SYSTEMD, OBJECT, MANAGER, "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", u->unit, "replace");
	if (r >= 0)
		r = append_properties(m, u);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r < 0)
		return bus_error("the unit's properties", r, NULL, err);
	r = call_for_job(b, m, "start the unit", &e, err);
	*ret_exists = r < 0 && sd_bus_error_has_name(&e, SYSTEMD ".UnitExists");
	return r < 0 ? error_wrap(err, "%s", u->unit) : 0;
}

/* One that failed earlier is still in systemd's memory. */
static int start(struct bus *b, const struct systemd_unit *u, struct error *err)
{
	bool exists;
	int r = start_once(b, u, &exists, err);

	if (r < 0 && exists) {
		reset_failed(b, u->unit);
		r = start_once(b, u, &exists, err);
	}
	return r;
}

static int set(struct bus *b, const struct systemd_unit *u, struct error *err)
{
	__attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;
	__attribute__((cleanup(sd_bus_error_free))) sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = sd_bus_message_new_method_call(b->bus, &m, SYSTEMD, OBJECT, MANAGER, "SetUnitProperties");

	if (r >= 0)
		r = sd_bus_message_append(m, "sb", u->unit, 1); /* runtime: until the unit ends */
	if (r >= 0)
		r = append_properties(m, u);
	if (r >= 0)
		r = sd_bus_call(b->bus, m, WAIT_USEC, &e, NULL);
	return r < 0 ? bus_error(u->unit, r, &e, err) : 0;
}

static int stop(struct bus *b, const struct systemd_unit *u, struct error *err)
{
	__attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;
	__attribute__((cleanup(sd_bus_error_free))) sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = sd_bus_message_new_method_call(b->bus, &m, SYSTEMD, OBJECT, MANAGER, "StopUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", u->unit, "replace");
	if (r < 0)
		return bus_error(u->unit, r, NULL, err);
	r = call_for_job(b, m, "stop the unit", &e, err);
	if (sd_bus_error_has_name(&e, SYSTEMD ".NoSuchUnit"))
		return 0;
	reset_failed(b, u->unit);
	return r < 0 ? error_wrap(err, "%s", u->unit) : 0;
}

static int work(int argc, char **argv, struct arena *arena, struct error *err)
{
	static const struct {
		const char *name;
		int (*run)(struct bus *, const struct systemd_unit *, struct error *);
	} verbs[] = {{"start", start}, {"set", set}, {"stop", stop}};
	bool user = argc == 3 && strcmp(argv[2], "--user") == 0;
	_cleanup_free_ char *text = NULL;
	struct bus b = {.bus = NULL};
	struct systemd_unit u;
	size_t len, i = 0;
	int r;

	while (argc >= 2 && i < ARRAY_SIZE(verbs) && strcmp(argv[1], verbs[i].name) != 0)
		i++;
	if (argc < 2 || argc > 3 || i == ARRAY_SIZE(verbs) || (argc == 3 && !user))
		return error_set(err, EINVAL, "usage: volrun-systemd start|set|stop [--user] <unit.json");
	r = read_fd(STDIN_FILENO, INPUT_MAX, &text, &len);
	if (r < 0)
		return error_errno(err, r, "read the unit from stdin");
	r = json_parse(text, len, "unit", &systemd_unit_table, arena, &u, err);
	if (r == 0)
		r = bus_connect(&b, user, err);
	if (r == 0)
		r = verbs[i].run(&b, &u, err);
	sd_bus_flush_close_unref(b.bus);
	return r;
}

int main(int argc, char **argv)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;

	if (work(argc, argv, &arena, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.msg);
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun doctor`: the command, and its report. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/confine.h"
#include "hooks/doctor.h"
#include "hooks/volume_cmd.h"

#define FINDINGS_MAX 4096
#define TEXT_MAX 2000

struct doctor_finding {
	const char *result, *what, *why, *advice;
};
static const struct json_field finding_fields[] = {
    JSON_FIELD(struct doctor_finding, result, "result", JSON_STR),
    JSON_FIELD(struct doctor_finding, what, "what", JSON_STR),
    JSON_FIELD(struct doctor_finding, why, "why", JSON_STR),
    JSON_FIELD(struct doctor_finding, advice, "do", JSON_STR),
    {NULL},
};
static const struct json_table finding_table = {"finding", sizeof(struct doctor_finding), finding_fields, 0};

struct report {
	struct doctor_finding *findings;
	size_t n_findings;
	uint32_t problems, warnings;
};
static const struct json_field report_fields[] = {
    JSON_FIELD(struct report, problems, "problems", JSON_U32, .write_empty = true),
    JSON_FIELD(struct report, warnings, "warnings", JSON_U32, .write_empty = true),
    JSON_LIST(struct report, findings, "checks", JSON_ARR_OBJ, .table = &finding_table, .write_empty = true),
    {NULL},
};
static const struct json_table report_table = {"report", sizeof(struct report), report_fields, 0};

void doctor_say(struct doctor *d, enum doctor_result r, const char *what, const char *advice, const char *why, ...)
{
	static const char *const names[] = {
	    [DOCTOR_OK] = "ok", [DOCTOR_WARNING] = "warning", [DOCTOR_PROBLEM] = "problem"};
	struct doctor_finding f = {names[r], volume_text(d->arena, what), NULL,
				   advice ? volume_text(d->arena, advice) : NULL};
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, why);
	vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	f.why = volume_text(d->arena, text);
	d->n[r]++;
	if (d->json && d->n_findings < FINDINGS_MAX)
		d->findings[d->n_findings++] = f;
	if (d->json)
		return;
	printf("%s: %s – %s%s%s\n", f.result, f.what, f.why, advice ? " – " : "", advice ? f.advice : "");
	fflush(stdout);
}

static void print_help(FILE *f)
{
	fputs(
	    "usage: volrun doctor [OPTIONS]\n\n"
	    "Looks at the kernel, the configuration, each store, the cache, the programs, the engines and what earlier\n"
	    "runs left, and says what to do. The exit status is 1 when there is a problem.\n\n"
	    "  --config=FILE  this configuration instead of /etc/volrun/config.json and its relatives\n"
	    "  --json         as JSON\n"
	    "  --help\n",
	    f);
}

static void close_userns(struct doctor *d)
{
	if (d->userns_fd >= 0)
		close(d->userns_fd);
}

/* What needs no configuration first; the stores last, as they may take their time. */
static int examine(struct doctor *d, struct error *err)
{
	struct config config;
	bool usable;
	int r;

	doctor_kernel(d);
	r = confine_rights(err);
	if (r < 0)
		return r;
	usable = doctor_config(d, &config);
	if (!usable || !config_runs_programs(&config))
		r = confine_filter(err);
	if (r < 0)
		return r;
	doctor_programs(d);
	doctor_engines(d);
	if (!usable)
		return 0;
	doctor_secrets(d, &config);
	doctor_cache(d, &config);
	doctor_leftovers(d, &config);
	doctor_stores(d, &config);
	return 0;
}

static int finish(const struct doctor *d, struct error *err)
{
	struct report report = {d->findings, d->n_findings, d->n[DOCTOR_PROBLEM], d->n[DOCTOR_WARNING]};

	if (d->json)
		return volume_print_json(&report_table, &report, err);
	printf("%u problem%s, %u warning%s\n", d->n[DOCTOR_PROBLEM], d->n[DOCTOR_PROBLEM] == 1 ? "" : "s",
	       d->n[DOCTOR_WARNING], d->n[DOCTOR_WARNING] == 1 ? "" : "s");
	return 0;
}

static int run(struct doctor *d)
{
	struct error err = ERROR_INIT;
	int r;

	d->findings = arena_calloc(d->arena, FINDINGS_MAX, sizeof(*d->findings));
	r = d->findings ? examine(d, &err) : error_set(&err, ENOMEM, "out of memory");
	close_userns(d);
	if (r == 0)
		r = finish(d, &err);
	if (fflush(stdout) != 0 && r == 0)
		r = error_set(&err, EIO, "the output can't be written");
	if (r < 0)
		fprintf(stderr, "volrun doctor: %s\n", err.msg);
	if (confine_refused() >= 0)
		fprintf(stderr, "warning: the program was refused system call %d, which is not on its list\n",
			confine_refused());
	return r < 0 || d->n[DOCTOR_PROBLEM] > 0 ? 1 : 0;
}

int doctor_main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"json", no_argument, NULL, 'j'},
						{"runtime", required_argument, NULL, 'r'}, /* by volrun itself */
						{"help", no_argument, NULL, 'h'},
						{NULL}};
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct doctor d = {.arena = &arena, .userns_fd = -1};
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			print_help(stdout);
			return 0;
		}
		if (o == 'c')
			d.config_path = optarg;
		else if (o == 'r')
			d.runtime = optarg;
		else if (o == 'j')
			d.json = true;
		else
			return 2; /* getopt has said which */
	}
	if (optind != argc) {
		print_help(stderr);
		return 2;
	}
	return run(&d);
}

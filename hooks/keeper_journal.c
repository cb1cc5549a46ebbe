/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal gets of a run. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "hooks/keeper_hold.h"

static void tell(const struct hold *h)
{
	const struct {
		const struct strbuf *lines;
		enum log_level level;
	} all[] = {{&h->warnings, LOG_WARNING}, {&h->journal, LOG_INFO}};
	struct error ignored = ERROR_INIT;

	if (!h->warnings.len && !h->journal.len)
		return;
	if (log_open("volrun-keeper", "journald:volrun-keeper", false, LOG_INFO, &ignored) < 0 &&
	    log_open("volrun-keeper", "syslog:volrun-keeper", false, LOG_INFO, &ignored) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		_cleanup_free_ char *text = strdup(strbuf_str(all[i].lines));
		char *line, *rest;

		for (line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
			log_msg(all[i].level, "%s", line);
	}
}

void hold_tell_journal(struct hold *h)
{
	tell(h);
	strbuf_reset(&h->warnings);
	strbuf_reset(&h->journal);
}

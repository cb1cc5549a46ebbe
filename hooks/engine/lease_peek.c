/* SPDX-License-Identifier: Apache-2.0 */
/* The register of a volume, looked at and changed by somebody who does not hold its lease. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/lease.h"
#include "hooks/engine/register.h"

/* How often a holder that renews just then is met again. */
#define ATTEMPTS 3

/* The head as parsed from its own text: its strings in the arena. */
static int copy_head(const struct head *h, struct arena *a, struct head *ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	if (head_write(&text, h) < 0)
		return error_set(err, ENOMEM, "out of memory");
	return head_parse(text.data, text.len, a, ret, err);
}

int lease_break(struct volume *v, struct arena *a, struct head *ret, struct error *err)
{
	struct volume_register reg;
	char *key = volume_key_meta(a, v, "head");
	int attempt, r = -ESTALE;

	if (!key)
		return error_set(err, ENOMEM, "out of memory");
	register_init(&reg, v->store, key);
	for (attempt = 0; attempt < ATTEMPTS && r == -ESTALE; attempt++) {
		struct head next;

		r = register_read(&reg, err);
		if (r == 0 && !reg.exists)
			r = error_set(err, ENOENT, "the volume has no register yet");
		/* Ours, whose answer was lost. */
		if (r == 0 && register_shown_sent_ns(&reg) >= 0)
			break;
		if (r == 0 && reg.shown.state == HEAD_FREE)
			r = error_set(err, EALREADY, "nobody holds its lease");
		if (r == 0)
			r = copy_head(&reg.shown, a, ret, err);
		if (r < 0)
			break;
		next = reg.shown;
		next.epoch++;
		next.state = HEAD_FREE;
		r = register_write(&reg, &next, err);
		if (r == -EAGAIN)
			r = 0;
	}
	register_free(&reg);
	return r == -ESTALE ? error_set(err, EBUSY, "its register is written all the time") : r;
}

int lease_peek(struct volume *v, struct arena *a, struct head *ret, char ret_tag[STORE_TAG_MAX], struct error *err)
{
	struct volume_register reg;
	char *key = volume_key_meta(a, v, "head");
	int r;

	if (!key)
		return error_set(err, ENOMEM, "out of memory");
	register_init(&reg, v->store, key);
	r = register_read(&reg, err);
	if (r == 0 && !reg.exists)
		r = error_set(err, ENOENT, "the volume has no register yet");
	if (r == 0)
		r = copy_head(&reg.shown, a, ret, err);
	if (r == 0 && ret_tag)
		memcpy(ret_tag, reg.tag, sizeof(reg.tag));
	register_free(&reg);
	return r;
}

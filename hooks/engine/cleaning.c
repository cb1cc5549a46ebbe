/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/cleaning.h"

#include "hooks/engine/index.h"

#define STACK (256 * 1024)

static void *run(void *arg)
{
	struct cleaning *c = arg;

	c->result = index_write(c->v, c->m, &c->err);
	if (c->result == 0)
		c->result = cache_mark_clean(&c->v->cache, c->m->epoch, c->m->seq, c->m->record_sha256, &c->err);
	return NULL;
}

void cleaning_begin(struct cleaning *c, const struct volume *v, const struct manifest *m)
{
	pthread_attr_t attr;

	*c = (struct cleaning){.v = v, .m = m, .err = ERROR_INIT};
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	c->threaded = pthread_create(&c->thread, &attr, run, c) == 0;
	pthread_attr_destroy(&attr);
	if (!c->threaded)
		run(c);
}

int cleaning_end(struct cleaning *c, struct error *err)
{
	if (c->threaded)
		pthread_join(c->thread, NULL);
	if (c->result < 0)
		*err = c->err;
	return c->result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* garbage.h - the text of a volume's list of garbage (collect.h): a header, then a line for each object. */
#ifndef VOLRUN_HOOKS_GARBAGE_H
#define VOLRUN_HOOKS_GARBAGE_H

#include "base/error.h"
#include "base/strbuf.h"
#include "hooks/engine/stream.h"

/* fn for each name, which is any text: the list comes from a store. 0, -EINVAL, or what reading failed with. */
int garbage_read(struct stream_in *in, void (*fn)(void *ctx, const char *name), void *ctx, struct error *err);

/* text: for a line, used again for each. What fails is in out->failed. n: how many names follow. */
void garbage_write_head(struct stream_out *out, struct strbuf *text, uint64_t n);
void garbage_write(struct stream_out *out, struct strbuf *text, const char *name);

#endif

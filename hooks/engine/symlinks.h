/* SPDX-License-Identifier: Apache-2.0 */
/* symlinks.h - _symlinks.json, the published copy of a volume's links: {"rel/path":"target", ...}. */
#ifndef VOLRUN_HOOKS_SYMLINKS_H
#define VOLRUN_HOOKS_SYMLINKS_H

#include "base/strbuf.h"
#include "hooks/engine/manifest.h"
#include "oci/json.h"

#define SYMLINKS_MAX_SIZE (16u << 20)
#define SYMLINKS_MAX_COUNT 1000000

struct symlinks {
	struct json_pair *links;
	size_t n_links;
};

/*
 * Hostile input. A path that leads out of the volume ("..", absolute, an empty
 * segment) or can't be one is -EINVAL and named. Targets are data: they may point anywhere.
 */
int symlinks_parse(const char *text, size_t len, struct arena *arena, struct symlinks *ret, struct error *err);

/* Can the document name the link? Not: bytes that are no UTF-8, and a link that is called as the document is. */
bool symlinks_can_hold(const struct entry *e);

/*
 * Appends the document of all links of the manifest that it can hold.
 * Returns how many; 0: nothing was appended. The same links give the same bytes.
 */
size_t symlinks_write(struct strbuf *out, const struct manifest *m);

#endif

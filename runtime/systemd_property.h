/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd_property.h - the value of an annotation "org.systemd.property.<Name>",
 * in the text form of GVariant: 'text', "text", true, 5, -5, 2.5, uint64 5, uint32 5, int64 5, ['a', 'b'].
 *
 * As runc and crun: a name that ends in "Sec" (but not in "USec") is a time in seconds and becomes <Name>USec.
 */
#ifndef VOLRUN_RUNTIME_SYSTEMD_PROPERTY_H
#define VOLRUN_RUNTIME_SYSTEMD_PROPERTY_H

#include "runtime/systemd.h"

/* -EINVAL: not a name of letters, or not such a value. Everything is in the arena. */
int systemd_property_parse(const char *name, const char *text, struct arena *arena, struct systemd_property *ret,
			   struct error *err);

#endif

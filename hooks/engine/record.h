/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - a manifest as a commit stores it (volumes.md §3): lines of JSON,
 * a header, then one line an entry, sorted by path (bytewise).
 *
 *     {"format":1,"kind":"base","epoch":3,"seq":7,"entries":2,"mode":493,...}     also the root directory's own
 *     {"path":"a","type":"dir","mode":493,"uid":0,"gid":0,"mtime":1760000000000000000}
 *     {"path":"a/f","type":"file","mode":420,...,"size":5,"sha256":"...","object":"3-7/pack-0","offset":0}
 *
 * A file of several names has "link": the first of them, in that one's entry
 * too; user.* attributes are "xattrs" (xattrs.h); "sparse": it had holes.
 *
 * Its sha256 stands in the register. A path or target that is not valid UTF-8
 * stands in hex ("rawpath", "rawtarget"). A reader refuses a format or kind
 * that it does not know ("delta" may come), and keys that it does not know:
 * what they say would be lost by the next commit.
 */
#ifndef VOLRUN_HOOKS_RECORD_H
#define VOLRUN_HOOKS_RECORD_H

#include "hooks/engine/manifest.h"
#include "hooks/engine/stream.h"

#define RECORD_FORMAT 1
#define RECORD_MAX_SIZE (1u << 30)

/* m is sorted and checked. -ENOMEM, or what the stream failed with after its finish. */
int record_write(struct stream_out *out, const struct manifest *m, struct error *err);
/*
 * Hostile input: bounded; paths safe, sorted, unique, no entry beneath anything
 * but a directory; objects and ranges possible. -EINVAL: "record: line 3: ...".
 */
int record_read(struct stream_in *in, struct manifest *ret, struct error *err);

#endif

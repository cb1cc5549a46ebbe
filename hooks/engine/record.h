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
 * A delta says what is different from the commit before: what is new or other, as
 * above, and {"path":"a/g","type":"removed"}. Its header names the records that it
 * builds on, so that all can be fetched at once:
 *
 *     {"format":1,"kind":"delta",...,"chain":[{"seq":5,"object":"3-5/record-x","length":...,"sha256":"..."},...]}
 *
 * What entries say of plain objects (gone, and the tags of all but directories)
 * counts only in the last record: that of the commits before was done.
 *
 * Its sha256 stands in the register. A path or target that is not valid UTF-8
 * stands in hex ("rawpath", "rawtarget"). A reader refuses a format (format.h)
 * or kind that it does not know, and keys that it does not know:
 * what they say would be lost by the next commit.
 */
#ifndef VOLRUN_HOOKS_RECORD_H
#define VOLRUN_HOOKS_RECORD_H

#include "hooks/engine/format.h"
#include "hooks/engine/manifest.h"
#include "hooks/engine/stream.h"

#define RECORD_FORMAT FORMAT_KNOWN
#define RECORD_MAX_SIZE (1u << 30)
/* The longest chain: a base and 16 deltas. */
#define RECORD_CHAIN_MAX 17

/*
 * m is sorted and checked. last: the commit before, whose chain is known, or what of it a scan did not take into m
 * (scan.h); then a delta on it is written. NULL: a base. -ENOMEM, or what the stream failed with.
 */
int record_write(struct stream_out *out, const struct manifest *m, const struct manifest *last, struct error *err);
/*
 * Hostile input: bounded; paths safe, sorted, unique, no entry beneath anything
 * but a directory; objects and ranges possible. -EINVAL: "record: line 3: ...".
 */
int record_read(struct stream_in *in, struct manifest *ret, struct error *err);

/*
 * Of a delta record_read gives the lines alone, and the chain before it. This
 * makes m, the commit before, the commit of the delta, which is empty then.
 * -EINVAL: it doesn't fit. manifest_check is the caller's, after the last one.
 */
bool record_is_delta(const struct manifest *m);
int record_apply(struct manifest *m, struct manifest *delta, struct error *err);
/* Forgets what entries say of plain objects (see above). */
void record_forget_plain(struct manifest *m);

#endif

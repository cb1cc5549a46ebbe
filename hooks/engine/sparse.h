/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sparse.h - files with holes. Their bytes travel as those of any file, zeros
 * included (an object in the store is what the file reads as); that there were
 * holes is noted (ENTRY_SPARSE), and a restore writes no zeros there.
 */
#ifndef VOLRUN_HOOKS_SPARSE_H
#define VOLRUN_HOOKS_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Has the open file a hole within its first size bytes (SEEK_HOLE, lseek(2))? Moves its position. */
bool sparse_has_holes(int fd, uint64_t size);
/* As pwrite_all to a place that reads as zeros, without the blocks that are zeros. The caller sets the file's size. */
int sparse_write(int fd, const char *data, size_t len, off_t offset);
/* Makes holes of the blocks within the range that are zeros. 0, or the errno of reading; no holes are no error. Moves
 * its position. */
int sparse_punch(int fd, off_t offset, uint64_t len);

#endif

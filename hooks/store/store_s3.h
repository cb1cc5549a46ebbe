/* SPDX-License-Identifier: Apache-2.0 */
/* store_s3.h - what only the S3 store has. */
#ifndef VOLRUN_HOOKS_STORE_S3_H
#define VOLRUN_HOOKS_STORE_S3_H

#include <stdint.h>

#include "hooks/store/store.h"

/*
 * Bodies longer than `bytes` go up in parts of that size. 0: the default. Stores
 * refuse parts below 5 MiB (but the last). For tests.
 */
void store_s3_part_size(struct store *s, uint64_t bytes);

#endif

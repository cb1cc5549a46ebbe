/* SPDX-License-Identifier: Apache-2.0 */
/* store_azure.h - what only the Azure store has. */
#ifndef VOLRUN_HOOKS_STORE_AZURE_H
#define VOLRUN_HOOKS_STORE_AZURE_H

#include <stdint.h>

#include "hooks/store/store.h"

/* Bodies longer than `bytes` go up in blocks of that size. 0: the default. For tests. */
void store_azure_part_size(struct store *s, uint64_t bytes);

#endif

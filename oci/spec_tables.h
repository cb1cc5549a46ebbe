/* SPDX-License-Identifier: Apache-2.0 */
/* spec_tables.h - tables that the files oci/spec_tables*.c share. */
#ifndef VOLRUN_OCI_SPEC_TABLES_H
#define VOLRUN_OCI_SPEC_TABLES_H

#include "oci/spec.h"

/* The kernel takes at most 340 lines in uid_map (4.15). */
#define SPEC_MAX_ID_MAPPINGS 340

extern const struct json_table spec_linux_table, spec_id_mapping_table, spec_mount_table;

#endif

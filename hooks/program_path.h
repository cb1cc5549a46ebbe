/* SPDX-License-Identifier: Apache-2.0 */
/* program_path.h - where the programs are that belong together. */
#ifndef VOLRUN_HOOKS_PROGRAM_PATH_H
#define VOLRUN_HOOKS_PROGRAM_PATH_H

#include <limits.h>

/* The program of that name beside this one, else where it was installed; it need not be there. */
void program_path(const char *name, char ret[PATH_MAX]);

#endif

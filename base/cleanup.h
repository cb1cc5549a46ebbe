/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup.h - descriptors, memory and streams that free themselves at the end
 * of their scope, by the compiler's cleanup attribute (gcc, clang).
 *
 *     _cleanup_close_ int fd = open(...);
 *     _cleanup_free_ char *s = strdup(...);
 *     *ret_fd = TAKE_FD(fd);              hands it over
 */
#ifndef VOLRUN_BASE_CLEANUP_H
#define VOLRUN_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes *fd if it is >= 0; errno is kept. */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int *_p = &(fd);                                                                                       \
		int _v = *_p;                                                                                          \
		*_p = -1;                                                                                              \
		_v;                                                                                                    \
	})

#define TAKE_PTR(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) *_p = &(p);                                                                              \
		__typeof__(p) _v = *_p;                                                                                \
		*_p = NULL;                                                                                            \
		_v;                                                                                                    \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif

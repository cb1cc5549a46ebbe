/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - paths and names from outside, as text. What touches the file
 * system resolves by descriptor with openat2 (sys.h), never by these.
 */
#ifndef VOLRUN_BASE_PATH_H
#define VOLRUN_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/*
 * Normal form of an absolute path, lexically: no empty or "." segment, no
 * trailing slash, ".." taken back (never above "/"). NULL when out of memory.
 */
char *path_normalize(struct arena *a, const char *path);
/* Does the text hold a ".." segment? */
bool path_has_dotdot(const char *path);
/* Is path equal to, or beneath, dir? Both in normal form. "/" holds all. */
bool path_is_beneath(const char *path, const char *dir);
/* A relative path with segments that are not empty, ".", ".." nor over 255 bytes; len bytes, no NUL among them. */
bool path_is_safe_relative(const char *path, size_t len);
/* The part after the last '/'. */
const char *path_basename(const char *path);

#endif

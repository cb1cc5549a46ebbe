/* SPDX-License-Identifier: Apache-2.0 */
/* unix.h - sockets of the unix domain by a path of any length. */
#ifndef VOLRUN_BASE_UNIX_H
#define VOLRUN_BASE_UNIX_H

/*
 * Connects to a socket, type SOCK_STREAM etc. "@name" is an abstract one. Returns a close-on-exec descriptor, or a
 * negative errno. A path that is longer than an address goes through a descriptor.
 */
int unix_connect(const char *path, int type);

#endif

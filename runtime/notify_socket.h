/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify_socket.h - sd_notify(3) out of a container, as runc has it. When the runtime is called with
 * $NOTIFY_SOCKET, the container gets a directory at /run/notify (<root>/<id>/notify, read-only for it) and
 * NOTIFY_SOCKET=/run/notify/notify.sock; who starts it listens there. The first READY=1 is passed on to the
 * caller's socket, then MAINPID, then BARRIER. Nothing else is: what the container says is not trusted.
 */
#ifndef VOLRUN_RUNTIME_NOTIFY_SOCKET_H
#define VOLRUN_RUNTIME_NOTIFY_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

/* By create and run: makes the directory, adds mount and variable to the spec. Nothing without $NOTIFY_SOCKET. */
int notify_socket_prepare(int dir_fd, struct spec *spec, struct arena *arena, struct error *err);

/* By start and run, before the process can say something: *ret_sock -1 when nobody wants to hear. */
int notify_socket_listen(int dir_fd, int *ret_sock, struct error *err);

/*
 * A message is there: passes it on if it says READY=1. Returns 1 when that is done, 0: wait for the next.
 * barrier: waits until the caller's service manager has read all (else this process must go on living).
 */
int notify_socket_forward(int sock, pid_t pid, bool barrier, struct error *err);

/* Waits for READY=1, or the end of the process (pidfd -1: it has ended). sock -1: returns at once. */
int notify_socket_serve(int sock, int pidfd, pid_t pid, struct error *err);

#endif

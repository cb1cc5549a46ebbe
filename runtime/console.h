/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - a terminal for the container: the master goes to who asked for
 * it, the slave becomes descriptors 0-2 and the controlling terminal; and the
 * wait of a foreground `run` or `exec`.
 */
#ifndef VOLRUN_RUNTIME_CONSOLE_H
#define VOLRUN_RUNTIME_CONSOLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "oci/spec.h"

/*
 * In the container, as leader of a new session: the slave of `master` (asked of
 * the master itself, no path) becomes stdio and controlling terminal, with the size, if not NULL.
 */
int console_attach(int master, const struct spec_console_size *size, struct error *err);

/*
 * For a master that the runtime itself serves: a line ends with LF alone, as in a pipe; our own terminal, if there is
 * one, makes CR LF of it. As runc does it.
 */
void console_clear_onlcr(int master);

/*
 * Opens a new pty pair of the devpts that the container has on /dev/pts, beneath its root's descriptor, whatever it has
 * put there in the meantime; the slave's name goes to name ("/dev/pts/0").
 */
int console_open(int root_fd, int *ret_master, char *name, size_t name_size, struct error *err);
bool console_on_devpts(int fd);

/* Connects to --console-socket, early, so that a wrong path is found before anything is made. */
int console_socket_connect(const char *path, int *ret, struct error *err);
/* One message with the master; the text is the slave's name, as runc sends it. */
int console_socket_send(int sock, int master, const char *name, struct error *err);

/*
 * Waits for a child of ours in the foreground: passes signals on to it and, with a
 * master (>= 0), copies between it and our terminal in raw mode; with notify (>= 0) serves
 * that socket (notify_socket.h). Returns the exit status, 128+n for signal n.
 */
int foreground_wait(pid_t pid, int pidfd, int master, int notify, struct error *err);

#endif

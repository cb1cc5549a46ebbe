/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake.h - what the creating process and the container's init say to each
 * other, over a SOCK_SEQPACKET socket: one message per packet, with at most one
 * descriptor. The end of the stream means: the other side is gone; to one who
 * waits for the start it means that execve succeeded (close-on-exec).
 *
 *     parent                         init
 *     HS_VOLUME, HS_MOUNT,
 *     HS_DEVICE (each)           ->
 *     HS_GO                      ->  ids are mapped, the cgroup is entered
 *                                <-  HS_LOOPBACK   (namespaces_loopback_by_creator)
 *                                <-  HS_ROOTFS     mounts are made (only when the parent has hooks to run)
 *     HS_VOLUME (each)           ->  what was said to come later: init waits for it where its mounts need it
 *     HS_HOOKS_DONE              ->
 *                                <-  HS_CONSOLE    the pty's master (only with a terminal)
 *                                <-  HS_NOTE       (each) something that could not be had and is no error
 *                                <-  HS_READY      all is done but the last steps (create only)
 *     HS_CREATED                 ->  wait on the start socket
 *     or HS_START                ->  go on (run: said as soon as nothing is left to do); also sent by `start`
 *                                    over the start socket
 *                                <-  HS_ERROR      at any time; init ends after it
 *     end of stream              <-  execve
 *                                    or HS_NOT_EXECUTED, see launcher.h
 */
#ifndef VOLRUN_RUNTIME_HANDSHAKE_H
#define VOLRUN_RUNTIME_HANDSHAKE_H

#include <errno.h>
#include <limits.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"

/* First in a line of notes that a user is to see who runs something in the foreground, or has no log. */
#define NOTE_SHOWN '!'

enum handshake_type {
	HS_VOLUME = 1, /* text: destination; value: enum volume_kind; with a detached mount or a directory; before HS_GO
			* without: where one will be, that comes later */
	HS_MOUNT,      /* value: index in the spec's mounts; with a detached mount of its source */
	HS_DEVICE,     /* value: index in linux.devices; with a detached mount of its node */
	HS_GO,	       /* value: init's pid as the runtime sees it; text: its cgroup, where systemd has chosen it */
	HS_LOOPBACK,   /* with a socket of the new network namespace */
	HS_ROOTFS,
	HS_HOOKS_DONE,
	HS_CONSOLE, /* text: the slave's name; with the master */
	HS_READY,
	HS_CREATED,
	HS_START,
	HS_CLONED,	 /* value: pid; from the process that joins namespaces before it clones init */
	HS_NOTE,	 /* text: the line; value 1: also for the stderr of a foreground `run`, as runc has it */
	HS_ERROR,	 /* value: errno; text: the message */
	HS_NOT_EXECUTED, /* value: errno; text: the program; from the launcher */
};

struct handshake_message {
	int32_t type;
	int32_t value;
	char text[PATH_MAX];
};

#define START_HOOK_FAILED ECANCELED /* HS_ERROR's value: after it the container is to be deleted */

/* Both ends, close-on-exec. */
int handshake_pair(int ret_fds[2], struct error *err);

/* text NULL: none; fd -1: none. -E2BIG: the text has more than PATH_MAX - 1 bytes. */
int handshake_send(int sock, enum handshake_type type, int value, const char *text, int fd, struct error *err);
/* Best effort: there is nobody else to tell. */
void handshake_send_error(int sock, const struct error *e);

/*
 * The next message. Returns 1, or 0 when the peer is gone (-ECONNRESET: it is, and has not read all that it was sent).
 * *ret_fd: -1 or a descriptor of the caller's. HS_ERROR and HS_NOT_EXECUTED are turned into err and their errno.
 */
int handshake_recv(int sock, struct handshake_message *ret, int *ret_fd, struct error *err);
/* The same, but what is noted before goes into notes, a line each (with NOTE_SHOWN before it for value 1). */
int handshake_recv_notes(int sock, struct handshake_message *ret, int *ret_fd, struct strbuf *notes, struct error *err);
/* Waits for a message of this type and no descriptor; anything else is an error, -ECONNRESET: the peer is gone. */
int handshake_expect(int sock, enum handshake_type type, struct handshake_message *ret, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_socket.h - where a container's keeper is found, from both ends:
 * <run_dir>/<key>.sock while it lives, <run_dir>/<key>.log for what it has to
 * tell (keeper_proto.h).
 */
#ifndef VOLRUN_HOOKS_KEEPER_SOCKET_H
#define VOLRUN_HOOKS_KEEPER_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "hooks/keeper_proto.h"

struct keeper_socket {
	int dir_fd, listen_fd;
	char key[KEEPER_KEY_MAX];
	ino_t inode; /* of the socket: a later keeper of the same container may have replaced it */
};

#define KEEPER_SOCKET_INIT ((struct keeper_socket){.dir_fd = -1, .listen_fd = -1})

/* Makes run_dir (0700) and listens; replaces what an earlier keeper left. -EINVAL: others may write there. */
int keeper_socket_open(struct keeper_socket *s, const char *run_dir, const char *id, const char *bundle,
		       struct error *err);
/* Writes the lines to the log; none: removes it. Nothing, where nobody will come for it any more. */
void keeper_socket_log(const struct keeper_socket *s, const struct strbuf *lines);
/* Whoever waits at the socket sees its end. */
void keeper_socket_close(struct keeper_socket *s);

/* The other end of the keeper of that key (keeper_key). A descriptor or a negative errno. */
int keeper_socket_connect(const char *run_dir, const char *key);

/* Is there something to receive on fd, or its end, within this time? A keeper may be at work. */
bool keeper_socket_answers(int fd, int64_t timeout_ns);

/*
 * The other end: waits until the container's keeper is done. 0: it is, or there
 * is none; -ETIMEDOUT. *ret_log: what it left, NULL: nothing; removed by that; the caller frees it.
 * last: nobody comes after this one, who tells the keeper so when he gives up: it leaves no log then, which nobody
 * would remove (the journal has it all the same).
 */
int keeper_socket_wait(const char *run_dir, const char *id, const char *bundle, int64_t timeout_ns, bool last,
		       char **ret_log);

/* Removes the socket of a keeper that was killed, where no delete came that would have done it. A living one's stays.
 */
void keeper_socket_forget(const char *run_dir, const char *id, const char *bundle);

#endif

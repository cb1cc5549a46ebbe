/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/handshake.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/process.h"

int handshake_pair(int ret_fds[2], struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return error_errno(err, errno, "make the handshake socket");
	return 0;
}

int handshake_send(int sock, enum handshake_type type, int value, const char *text, int fd, struct error *err)
{
	struct handshake_message m;
	size_t len = text ? strlen(text) : 0;
	int r;

	if (len >= sizeof(m.text))
		return error_set(err, E2BIG, "a path of %zu bytes is longer than %zu", len, sizeof(m.text) - 1);
	m.type = (int32_t)type;
	m.value = value;
	memcpy(m.text, text ? text : "", len + 1);
	r = send_fds(sock, &m, offsetof(struct handshake_message, text) + len + 1, &fd, fd >= 0 ? 1 : 0);
	if (r < 0)
		return error_errno(err, r, "send to the other side of the handshake");
	return 0;
}

void handshake_send_error(int sock, const struct error *e)
{
	struct error ignored = ERROR_INIT;

	handshake_send(sock, HS_ERROR, e->code ? e->code : EIO, e->msg, -1, &ignored);
}

int handshake_recv(int sock, struct handshake_message *ret, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1;
	char reason[PROGRAM_ERROR_MAX];
	size_t n_fds = 1;
	ssize_t len = recv_fds(sock, ret, sizeof(*ret), &fd, &n_fds);

	/* It closed without reading all that we sent. What it said before is still there, behind this error. */
	if (len == -ECONNRESET) {
		n_fds = 1;
		len = recv_fds(sock, ret, sizeof(*ret), &fd, &n_fds);
		if (len == 0)
			return error_set(err, ECONNRESET, "the other side of the handshake is gone");
	}
	if (len < 0)
		return error_errno(err, (int)len, "read from the other side of the handshake");
	if (n_fds == 0)
		fd = -1;
	if (len == 0) {
		*ret_fd = -1;
		return 0;
	}
	if ((size_t)len <= offsetof(struct handshake_message, text) || ((char *)ret)[len - 1] != '\0')
		return error_set(err, EPROTO, "handshake: a message of %zd bytes makes no sense", len);
	if (ret->type == HS_ERROR)
		return error_set(err, ret->value ? ret->value : EIO, "%s", ret->text);
	if (ret->type == HS_NOT_EXECUTED)
		return error_set(err, ret->value > 0 ? ret->value : EIO, "exec %s: %s", ret->text,
				 program_error(ret->value, reason));
	*ret_fd = TAKE_FD(fd);
	return 1;
}

int handshake_recv_notes(int sock, struct handshake_message *ret, int *ret_fd, struct strbuf *notes, struct error *err)
{
	for (;;) {
		int r = handshake_recv(sock, ret, ret_fd, err);

		if (r <= 0 || ret->type != HS_NOTE)
			return r;
		if (ret->value)
			strbuf_addc(notes, NOTE_SHOWN);
		strbuf_addf(notes, "%s\n", ret->text);
		cleanup_close(ret_fd);
	}
}

int handshake_expect(int sock, enum handshake_type type, struct handshake_message *ret, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = handshake_recv(sock, ret, &fd, err);

	if (r < 0)
		return r;
	if (r == 0)
		return error_set(err, ECONNRESET, "the other side of the handshake is gone");
	if (ret->type != (int32_t)type || fd >= 0)
		return error_set(err, EPROTO, "handshake: message %d where %d was due", ret->type, (int)type);
	return 0;
}

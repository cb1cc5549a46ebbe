/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_notify.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/unix.h"
#include "runtime/handshake.h"

#define RECEIVER "run.oci.seccomp.receiver"
#define RECEIVER_TIMEOUT_S 10

int seccomp_receiver_connect(const struct spec *spec, int *ret_sock, struct error *err)
{
	const struct timeval timeout = {.tv_sec = RECEIVER_TIMEOUT_S};
	const char *path = spec->linux_->seccomp->listener_path;
	_cleanup_close_ int sock = -1;

	if (!path || !*path)
		path = spec_annotation(spec, RECEIVER);
	if (!path)
		path = getenv("RUN_OCI_SECCOMP_RECEIVER");
	if (!path || !*path)
		return error_set(err, EINVAL,
				 "seccomp: SCMP_ACT_NOTIFY: who gets the listener? set linux.seccomp.listenerPath");
	if (path[0] != '/')
		return error_set(err, EINVAL, "seccomp: the receiver of the listener, %s, is not an absolute path",
				 path);
	sock = unix_connect(path, SOCK_STREAM);
	if (sock < 0)
		return error_errno(err, sock,
				   "seccomp: failed to connect with seccomp agent %s, which is to receive the listener",
				   path);
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	*ret_sock = TAKE_FD(sock);
	return 0;
}

int seccomp_receiver_text(const struct spec *spec, const struct oci_state *state, pid_t pid, struct strbuf *out,
			  struct error *err)
{
	const char *metadata = spec->linux_->seccomp->listener_metadata;

	strbuf_addf(out, "{\"ociVersion\":\"" OCI_VERSION "\",\"fds\":[\"seccompFd\"],\"pid\":%d,", pid);
	if (metadata) {
		strbuf_adds(out, "\"metadata\":");
		json_write_string(out, metadata);
		strbuf_addc(out, ',');
	}
	strbuf_adds(out, "\"state\":");
	oci_state_write(out, state, 0);
	strbuf_addc(out, '}');
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

/* --- the thread that sends ------------------------------------------------------------- */

#define STACK_SIZE (256 * 1024)

enum { NO_LISTENER = -1, GIVEN_UP = -2 };

/* A message would need a system call. */
struct exchange {
	atomic_int listener;
	atomic_int result; /* 0: not sent yet; 1: sent; -1: failed, and told */
	int sock, report;
	const struct strbuf *text;
};

static int run_sender(void *arg)
{
	const struct timespec nap = {.tv_nsec = 200000};
	struct error err = ERROR_INIT;
	struct exchange *x = arg;
	int listener, r;

	while ((listener = atomic_load(&x->listener)) == NO_LISTENER)
		nanosleep(&nap, NULL);
	if (listener == GIVEN_UP)
		return 0;
	r = send_fds(x->sock, x->text->data, x->text->len, &listener, 1);
	/*
	 * The receiver may read to the end of the stream before it answers; the program is not to have the listener;
	 * and where nobody has one, calls don't wait.
	 */
	close(x->sock);
	close(listener);
	if (r < 0) {
		error_errno(&err, r, "seccomp: send the listener to its receiver");
		handshake_send_error(x->report, &err);
	}
	atomic_store(&x->result, r < 0 ? -1 : 1);
	return 0;
}

/*
 * A thread, which the filter is not for. No process: its end may come when the program runs already, and would be a
 * SIGCHLD there, which interrupts what it waits in, and a child that it never had. None of the C library's threads
 * either: setuid(2) would look for those, by system calls. The stack goes with execve.
 */
static int start_sender(struct exchange *x)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -errno;
	return clone(run_sender, stack + STACK_SIZE,
		     CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, x) < 0
		   ? -errno
		   : 0;
}

int seccomp_install_notify(const struct seccomp_program *p, int sock, const struct strbuf *text, int report,
			   struct error *err)
{
	static struct exchange x; /* which a sender that is given up looks at once more */
	int listener, result, r;

	x = (struct exchange){.sock = sock, .report = report, .text = text};
	atomic_store(&x.listener, NO_LISTENER);
	r = start_sender(&x);
	if (r < 0)
		return error_errno(err, r, "seccomp: start the sender of the listener");
	r = seccomp_install(p, &listener, err);
	atomic_store(&x.listener, r < 0 ? GIVEN_UP : listener);
	if (r < 0)
		return r;
	/* Not one system call: each may wait for the receiver, who has nothing to answer by yet. */
	while ((result = atomic_load(&x.result)) == 0)
		;
	if (result < 0)
		_exit(255);
	return 0;
}

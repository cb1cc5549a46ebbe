/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_notify.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
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

/* --- the process that sends ------------------------------------------------------------ */

enum { NO_LISTENER = -1, GIVEN_UP = -2 };

/* In memory of both processes, as a message would need a system call. */
struct exchange {
	atomic_int listener;
	atomic_int result; /* 0: not sent yet; 1: sent; -1: failed, and told */
};

static void run_sender(struct exchange *x, int sock, const struct strbuf *text, int report) __attribute__((noreturn));
static void run_sender(struct exchange *x, int sock, const struct strbuf *text, int report)
{
	const struct timespec nap = {.tv_nsec = 200000};
	struct error err = ERROR_INIT;
	int listener, r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((listener = atomic_load(&x->listener)) == NO_LISTENER)
		nanosleep(&nap, NULL);
	if (listener == GIVEN_UP)
		_exit(0);
	r = send_fds(sock, text->data, text->len, &listener, 1);
	/*
	 * The table of descriptors is that of both processes. The receiver may read to the end of the stream before it
	 * answers; the program is not to have the listener; and where nobody has one, calls don't wait.
	 */
	close(sock);
	close(listener);
	if (r < 0) {
		error_errno(&err, r, "seccomp: send the listener to its receiver");
		handshake_send_error(report, &err);
	}
	atomic_store(&x->result, r < 0 ? -1 : 1);
	_exit(0);
}

int seccomp_install_notify(const struct seccomp_program *p, int sock, const struct strbuf *text, int report,
			   struct error *err)
{
	/* The sender is reaped by the kernel, and execve takes the flag back. */
	const struct sigaction no_zombie = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	struct clone_args args = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
	struct exchange *x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int listener, result, r;
	pid_t pid;

	if (x == MAP_FAILED || sigaction(SIGCHLD, &no_zombie, NULL) < 0)
		return error_errno(err, errno, "seccomp: prepare the notification");
	atomic_store(&x->listener, NO_LISTENER);
	pid = sys_clone3(&args);
	if (pid < 0)
		return error_errno(err, errno, "seccomp: start the sender of the listener");
	if (pid == 0)
		run_sender(x, sock, text, report);
	r = seccomp_install(p, &listener, err);
	atomic_store(&x->listener, r < 0 ? GIVEN_UP : listener);
	if (r < 0)
		return r;
	/* Not one system call: each may wait for the receiver, who has nothing to answer by yet. */
	while ((result = atomic_load(&x->result)) == 0)
		;
	if (result < 0)
		_exit(255);
	return 0;
}

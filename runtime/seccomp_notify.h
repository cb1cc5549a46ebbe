/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp_notify.h - SCMP_ACT_NOTIFY: who receives the listener, and how it gets there
 * (config-linux.md, "The Container Process State").
 */
#ifndef VOLRUN_RUNTIME_SECCOMP_NOTIFY_H
#define VOLRUN_RUNTIME_SECCOMP_NOTIFY_H

#include <sys/types.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "oci/spec.h"
#include "oci/state.h"
#include "runtime/seccomp.h"

/*
 * By the parent, whose file system the path is in: linux.seccomp.listenerPath, else the annotation
 * run.oci.seccomp.receiver, else $RUN_OCI_SECCOMP_RECEIVER. None of them is an error: nobody
 * would answer the process.
 */
int seccomp_receiver_connect(const struct spec *spec, int *ret_sock, struct error *err);

/* The container process state; pid: of the process that has the filter, as the runtime sees it. */
int seccomp_receiver_text(const struct spec *spec, const struct oci_state *state, pid_t pid, struct strbuf *out,
			  struct error *err);

/*
 * Loads a program that notifies, and sends text with the listener over sock. From the moment that the filter is there
 * any system call of this thread may wait for the receiver, so another thread does the sending (and tells a failure
 * over `report` as HS_ERROR; this process ends then).
 */
int seccomp_install_notify(const struct seccomp_program *p, int sock, const struct strbuf *text, int report,
			   struct error *err);

#endif

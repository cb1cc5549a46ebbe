/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launcher.h - the last step before the program of the user (CVE-2019-5736).
 *
 * While a process of ours executes a program, /proc/self/exe is the file of volrun on
 * the host. A container that makes the kernel resolve this link (an interpreter "#!/proc/self/exe", a
 * file exchanged after it was looked at) has that file as its own executable, and can open it for
 * writing once we are gone. So it is not volrun that executes the program: it executes a launcher of
 * some hundred bytes in a sealed memfd, which executes the program. All that
 * /proc/self/exe can lead to then is memory that nobody can write to (F_SEAL_WRITE) and that does nothing without us.
 * It costs some 0.07 ms; a whole second volrun, as runc and crun have it, costs ten times that.
 *
 * There is none (launcher_open: -1, and what we execute is looked at before, see program.c):
 * - with an AppArmor profile or an SELinux label, as it is the first execve that changes to it, and the
 *   profile would have to allow the program to the launcher;
 * - where the seccomp filter doesn't let it do its two system calls, or `startContainer` hooks run behind the filter;
 * - on other processors than x86-64 and arm64; where memfds may not be executed (vm.memfd_noexec=2).
 */
#ifndef VOLRUN_RUNTIME_LAUNCHER_H
#define VOLRUN_RUNTIME_LAUNCHER_H

#include "runtime/seccomp.h"

struct launcher {
	int fd;	       /* the sealed memfd, close-on-exec; -1: there is none */
	int report_fd; /* its copy of the handshake socket: open still when it is executed */
};

/*
 * In the child, shortly before the program is executed and before there is a filter. The launcher makes its copy of
 * sock close-on-exec; if it can't execute the program it sends HS_NOT_EXECUTED with errno and the path.
 */
void launcher_open(const struct seccomp_program *filter, int sock, struct launcher *ret);
/* Another socket in place of that one. */
int launcher_report_to(const struct launcher *l, int sock, struct error *err);
/* argv: the path, then argv of the program. Returns when there is no launcher or it can't be executed. */
void launcher_execute(const struct launcher *l, const char *const *argv, const char *const *env);

#endif

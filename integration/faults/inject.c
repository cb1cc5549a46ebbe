/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject [-c] [-o FILE] N ERRNO|KILL COMMAND...: runs COMMAND (a runtime, a keeper) and lets its Nth system call fail.
 *
 * Calls are counted over the command and all processes that it makes, as long as they run its own program: what
 * another program does (the container's, a hook) is not touched. With KILL it is not the call that fails: the command
 * itself (the first process) gets SIGKILL when the Nth call begins, whoever makes it.
 *
 * -c counts only calls that change a file or a directory, or bring changes to the disk: what a torn write could be.
 * -o is for a command that lives on in the background: the tool keeps none of its descriptors but the command's own,
 * and when it ends FILE holds "spoiled N NAME", or "calls N": how many there were.
 *
 * Prints "N NAME" of that call on descriptor 3, or nothing when there are fewer calls. Exit status: the command's
 * (128 + n for a signal); 125: the tool itself failed. Calls that the kernel never fails, or that do their work
 * all the same, are not counted: close, exit, munmap, wait, sigreturn; brk (which tells its failure otherwise),
 * getrandom (once seeded), and what libc's own start needs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 256
#define OPTIONS                                                                                                        \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | \
	 PTRACE_O_EXITKILL)

static struct {
	pid_t pid;
	int failing; /* its call is to return -error when it ends */
} tasks[TASKS_MAX];

static long target, count, spoiled_call;
static int error_code, done, changes_only;
static const char *out_file;
static pid_t first;
static struct stat program;

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static int *failing_of(pid_t pid)
{
	int free_slot = -1;

	for (int i = 0; i < TASKS_MAX; i++) {
		if (tasks[i].pid == pid)
			return &tasks[i].failing;
		if (!tasks[i].pid && free_slot < 0)
			free_slot = i;
	}
	if (free_slot < 0) {
		fprintf(stderr, "inject: too many processes\n");
		exit(125);
	}
	tasks[free_slot].pid = pid;
	tasks[free_slot].failing = 0;
	return &tasks[free_slot].failing;
}

static void forget(pid_t pid)
{
	for (int i = 0; i < TASKS_MAX; i++)
		if (tasks[i].pid == pid)
			tasks[i].pid = 0;
}

static int is_counted(long nr)
{
	static const long never[] = {SYS_close,	 SYS_exit,	SYS_exit_group,	  SYS_munmap, SYS_wait4,
				     SYS_waitid, SYS_futex,	SYS_rt_sigreturn, SYS_getpid, SYS_restart_syscall,
				     SYS_brk,	 SYS_getrandom, SYS_arch_prctl};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (nr == never[i])
			return 0;
	return nr >= 0;
}

static int is_change(const struct __ptrace_syscall_info *info)
{
	static const long changes[] = {
	    SYS_rename,		 SYS_renameat,	      SYS_renameat2, SYS_link,
	    SYS_linkat,		 SYS_unlink,	      SYS_unlinkat,  SYS_rmdir,
	    SYS_mkdir,		 SYS_mkdirat,	      SYS_symlink,   SYS_symlinkat,
	    SYS_fsync,		 SYS_fdatasync,	      SYS_syncfs,    SYS_write,
	    SYS_pwrite64,	 SYS_ftruncate,	      SYS_truncate,  SYS_fallocate,
	    SYS_copy_file_range, SYS_sendfile,	      SYS_fsetxattr, SYS_setxattr,
	    SYS_fchmod,		 SYS_fchmodat,	      SYS_fchown,    SYS_fchownat,
	    SYS_utimensat,	 SYS_fremovexattr,    SYS_pwritev,   SYS_writev,
	    SYS_removexattr,	 SYS_sync_file_range,
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if ((long)info->entry.nr == changes[i])
			return 1;
	/* A new file, with a name or without. */
	return (info->entry.nr == SYS_openat && (info->entry.args[2] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))) ||
	       (info->entry.nr == SYS_open && (info->entry.args[1] & O_CREAT));
}

static void tell(long nr)
{
	if (!out_file)
		dprintf(3, "%ld %ld\n", count, nr);
	spoiled_call = nr;
	done = 1;
}

static void write_out(void)
{
	FILE *f = out_file ? fopen(out_file, "we") : NULL;

	if (!f)
		return;
	if (done)
		fprintf(f, "spoiled %ld %ld\n", target, spoiled_call);
	else
		fprintf(f, "calls %ld\n", count);
	fclose(f);
}

/* At the entry or the exit of a system call. */
static void on_syscall(pid_t pid)
{
	struct __ptrace_syscall_info info = {0};
	int *failing = failing_of(pid);
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		if (done || !is_counted((long)info.entry.nr) || (changes_only && !is_change(&info)) ||
		    ++count != target)
			return;
		tell((long)info.entry.nr);
		if (!error_code) {
			kill(first, SIGKILL);
			return;
		}
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
			return;
		regs.orig_rax = (unsigned long long)-1;
		ptrace(PTRACE_SETREGS, pid, 0, &regs);
		*failing = 1;
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && *failing) {
		*failing = 0;
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
			return;
		regs.rax = (unsigned long long)-(long)error_code;
		ptrace(PTRACE_SETREGS, pid, 0, &regs);
	}
}

/* A process that has become another program is left alone. */
static int is_ours(pid_t pid)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &st) == 0 && st.st_dev == program.st_dev && st.st_ino == program.st_ino;
}

/* Returns the signal to go on with, or -1: detached. */
static int on_stop(pid_t pid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (sig == (SIGTRAP | 0x80)) {
		on_syscall(pid);
		return 0;
	}
	if (sig == SIGTRAP && event == PTRACE_EVENT_EXEC && !is_ours(pid)) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		forget(pid);
		return -1;
	}
	if (event)
		return 0;
	/* The stop with which a new process begins. */
	if (sig == SIGSTOP) {
		failing_of(pid);
		return 0;
	}
	return sig;
}

/* Those that outlive the command (a container's init) go on alone. */
static void let_go(void)
{
	for (int i = 0; i < TASKS_MAX; i++) {
		pid_t pid = tasks[i].pid;
		int status;

		if (!pid || kill(pid, SIGSTOP) < 0)
			continue;
		if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
			ptrace(PTRACE_DETACH, pid, 0, 0);
			kill(pid, SIGCONT);
		}
	}
}

static int follow(void)
{
	int status, result;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int sig;

		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			forget(pid);
			if (pid != first)
				continue;
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			let_go();
			write_out();
			return result;
		}
		sig = on_stop(pid, status);
		if (sig >= 0)
			ptrace(PTRACE_SYSCALL, pid, 0, sig);
	}
	return 125;
}

/* The descriptors of who started it are the command's alone: their ends are to be seen when it closes them. */
static void let_go_of_descriptors(void)
{
	if (!out_file)
		return;
	setsid();
	close_range(0, ~0U, 0);
	open("/dev/null", O_RDWR);
}

static int run(char **argv)
{
	if (stat(argv[0], &program) < 0)
		die(argv[0]);
	first = fork();
	if (first < 0)
		die("fork");
	if (first == 0) {
		if (!out_file)
			close(3);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[0], argv);
		die(argv[0]);
	}
	let_go_of_descriptors();
	if (waitpid(first, NULL, 0) < 0 || ptrace(PTRACE_SETOPTIONS, first, 0, OPTIONS) < 0)
		die("ptrace");
	ptrace(PTRACE_SYSCALL, first, 0, 0);
	return follow();
}

int main(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "+co:")) != -1) {
		if (o == 'c')
			changes_only = 1;
		else if (o == 'o')
			out_file = optarg;
		else
			argc = 0;
	}
	if (argc - optind < 3 || (target = atol(argv[optind])) < 1) {
		fprintf(stderr, "usage: inject [-c] [-o FILE] N ERRNO|KILL COMMAND...\n");
		return 125;
	}
	error_code = strcmp(argv[optind + 1], "KILL") == 0 ? 0 : atoi(argv[optind + 1]);
	return run(argv + optind + 2);
}

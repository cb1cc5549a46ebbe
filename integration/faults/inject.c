/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject [-c|-r] [-p PREFIX] [-s SECONDS] [-o FILE] N ERRNO|KILL COMMAND...: runs COMMAND (a runtime, a keeper) and
 * lets its Nth system call fail.
 *
 * Calls are counted over the command and all processes that it makes, as long as they run its own program: what
 * another program does (the container's, a hook) is not touched. With KILL it is not the call that fails: the command
 * itself (the first process) gets SIGKILL when the Nth call begins, whoever makes it.
 *
 * -c counts only calls that change a file or a directory, or bring changes to the disk: what a torn write could be.
 * -r counts only calls that read a file, a directory or what is known of them.
 * -p counts only calls whose first argument is a descriptor of something beneath PREFIX.
 * -s: whatever is counted fails for that long, the Nth call first; with ENOSPC only what needs room does.
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
#include <time.h>
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
static int error_code, done, changes_only, reads_only;
static const char *out_file, *prefix;
static double seconds, until;
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

static void tell(long nr)
{
	if (!out_file)
		dprintf(3, "%ld %ld\n", count, nr);
	spoiled_call = nr;
	done = 1;
}

static int is_one_of(long nr, const long *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (nr == list[i])
			return 1;
	return 0;
}

static int is_counted(long nr)
{
	static const long never[] = {SYS_close,	 SYS_exit,	SYS_exit_group,	  SYS_munmap, SYS_wait4,
				     SYS_waitid, SYS_futex,	SYS_rt_sigreturn, SYS_getpid, SYS_restart_syscall,
				     SYS_brk,	 SYS_getrandom, SYS_arch_prctl};

	return nr >= 0 && !is_one_of(nr, never, sizeof(never) / sizeof(never[0]));
}

/* A new file, with a name or without. */
static int makes_file(pid_t pid, const struct __ptrace_syscall_info *info)
{
	const unsigned long long flags = O_CREAT | (O_TMPFILE & ~O_DIRECTORY);

	if (info->entry.nr == SYS_openat)
		return (info->entry.args[2] & flags) != 0;
	/* The first word of its struct open_how. */
	if (info->entry.nr == SYS_openat2)
		return ((unsigned long)ptrace(PTRACE_PEEKDATA, pid, info->entry.args[2], 0) & flags) != 0;
	return info->entry.nr == SYS_open && (info->entry.args[1] & O_CREAT);
}

static int is_change(pid_t pid, const struct __ptrace_syscall_info *info)
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

	if (is_one_of((long)info->entry.nr, changes, sizeof(changes) / sizeof(changes[0])))
		return 1;
	return makes_file(pid, info);
}

static int is_read(pid_t pid, const struct __ptrace_syscall_info *info)
{
	static const long reads[] = {SYS_read,	    SYS_pread64,    SYS_readv,	    SYS_getdents64, SYS_openat,
				     SYS_openat2,   SYS_newfstatat, SYS_statx,	    SYS_fstat,	    SYS_readlinkat,
				     SYS_fgetxattr, SYS_flistxattr, SYS_faccessat2, SYS_lseek};

	return is_one_of((long)info->entry.nr, reads, sizeof(reads) / sizeof(reads[0])) && !makes_file(pid, info);
}

static int needs_room(pid_t pid, const struct __ptrace_syscall_info *info)
{
	static const long wants[] = {SYS_renameat2,	  SYS_linkat,	SYS_mkdirat,   SYS_symlinkat,
				     SYS_write,		  SYS_pwrite64, SYS_fsetxattr, SYS_fallocate,
				     SYS_copy_file_range, SYS_sendfile, SYS_writev,    SYS_pwritev};

	return is_one_of((long)info->entry.nr, wants, sizeof(wants) / sizeof(wants[0])) || makes_file(pid, info);
}

static int is_beneath(pid_t pid, const struct __ptrace_syscall_info *info)
{
	char path[64], place[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, (int)info->entry.args[0]);
	n = readlink(path, place, sizeof(place));
	return n >= (ssize_t)strlen(prefix) && strncmp(place, prefix, strlen(prefix)) == 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int counts(pid_t pid, const struct __ptrace_syscall_info *info)
{
	return is_counted((long)info->entry.nr) && (!changes_only || is_change(pid, info)) &&
	       (!reads_only || is_read(pid, info)) && (!prefix || is_beneath(pid, info));
}

/* Is this call to be spoiled? */
static int is_due(pid_t pid, const struct __ptrace_syscall_info *info)
{
	if (done && (seconds == 0 || now() > until))
		return 0;
	if (!counts(pid, info) || (seconds > 0 && error_code == ENOSPC && !needs_room(pid, info)))
		return 0;
	if (done)
		return 1;
	if (++count != target)
		return 0;
	until = now() + seconds;
	tell((long)info->entry.nr);
	return 1;
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
		if (!is_due(pid, &info))
			return;
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

	while ((o = getopt(argc, argv, "+crp:s:o:")) != -1) {
		if (o == 'c')
			changes_only = 1;
		else if (o == 'r')
			reads_only = 1;
		else if (o == 'p')
			prefix = optarg;
		else if (o == 's')
			seconds = atof(optarg);
		else if (o == 'o')
			out_file = optarg;
		else
			argc = 0;
	}
	if (argc - optind < 3 || (target = atol(argv[optind])) < 1) {
		fprintf(stderr, "usage: inject [-c|-r] [-p PREFIX] [-s SECONDS] [-o FILE] N ERRNO|KILL COMMAND...\n");
		return 125;
	}
	error_code = strcmp(argv[optind + 1], "KILL") == 0 ? 0 : atoi(argv[optind + 1]);
	return run(argv + optind + 2);
}

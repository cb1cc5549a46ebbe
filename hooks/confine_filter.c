/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that are allowed, as a program for seccomp(2). Made by hand: a list of numbers needs no library, and
 * a keeper has no page to spare for one. What is refused fails with ENOSYS, as on a kernel that has not got it, and is
 * noted: a C library that learned something new goes its old way, and the keeper's report names the call.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/sys.h"
#include "hooks/confine.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#ifdef ARCH

/* --- the list ------------------------------------------------------------------------- */
/* clang-format off */
static const int allowed[] = {
	/* memory */
	SYS_brk, SYS_madvise, SYS_membarrier, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap,
#ifdef CONFINE_SANITIZED
	SYS_ptrace,
#endif
	/* threads, signals, time */
	SYS_clock_getres, SYS_clock_gettime, SYS_clock_nanosleep, SYS_exit, SYS_exit_group, SYS_futex, SYS_get_robust_list,
	SYS_getcpu, SYS_gettid, SYS_gettimeofday, SYS_nanosleep, SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction,
	SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_sched_getaffinity, SYS_sched_yield,
	SYS_set_robust_list, SYS_set_tid_address, SYS_sigaltstack, SYS_signalfd4, SYS_tgkill, SYS_timerfd_create,
	SYS_timerfd_settime,
	/* processes: the watchdog of a freeze, the keeper (until confine_for_run), what is left of a container */
	SYS_capget, SYS_capset, SYS_execve, SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getpid, SYS_getppid, SYS_getrandom,
	SYS_getrusage, SYS_getuid, SYS_kcmp, SYS_kill, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_prlimit64, SYS_seccomp, SYS_setsid,
	SYS_sysinfo, SYS_umask, SYS_uname, SYS_wait4, SYS_waitid,
	/* descriptors and files */
	SYS_chdir, SYS_close, SYS_close_range, SYS_copy_file_range, SYS_dup, SYS_dup3, SYS_faccessat, SYS_faccessat2,
	SYS_fadvise64, SYS_fallocate, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fdatasync,
	SYS_fgetxattr, SYS_flistxattr, SYS_flock, SYS_fremovexattr, SYS_fsetxattr, SYS_fstat, SYS_fstatfs, SYS_fsync,
	SYS_ftruncate, SYS_getcwd, SYS_getdents64, SYS_getxattr, SYS_lgetxattr, SYS_linkat, SYS_listxattr, SYS_llistxattr,
	SYS_lremovexattr, SYS_lseek, SYS_lsetxattr, SYS_memfd_create, SYS_mkdirat, SYS_newfstatat, SYS_openat, SYS_openat2,
	SYS_pipe2, SYS_pread64, SYS_preadv, SYS_pwrite64, SYS_pwritev, SYS_read, SYS_readlinkat, SYS_readv, SYS_removexattr,
	SYS_renameat2, SYS_sendfile, SYS_setxattr, SYS_statfs, SYS_statx, SYS_symlinkat, SYS_syncfs, SYS_truncate,
	SYS_unlinkat, SYS_utimensat, SYS_write, SYS_writev,
	/* waiting, sockets */
	SYS_accept4, SYS_bind, SYS_connect, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2,
	SYS_getpeername, SYS_getsockname, SYS_getsockopt, SYS_listen, SYS_ppoll, SYS_pselect6, SYS_recvfrom, SYS_recvmmsg,
	SYS_recvmsg, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_setsockopt, SYS_shutdown, SYS_socketpair,
	/* detached mounts (until confine_for_run); a mount that becomes read-only; which there are */
	SYS_open_tree, SYS_mount_setattr, SYS_statmount, SYS_listmount,
	/* a call that a tracer took away: it does nothing */
	-1,
#ifdef SYS_open /* an architecture that has the calls from before the *at() ones */
	SYS_access, SYS_arch_prctl, SYS_chmod, SYS_chown, SYS_dup2, SYS_epoll_wait, SYS_fork, SYS_getdents, SYS_lchown,
	SYS_link, SYS_lstat, SYS_mkdir, SYS_open, SYS_pipe, SYS_poll, SYS_readlink, SYS_rename, SYS_renameat, SYS_rmdir,
	SYS_select, SYS_stat, SYS_symlink, SYS_time, SYS_unlink,
#endif
};
/* clang-format on */

/* Of who puts a mount in its place, or takes it away (confine_allow_mounts). */
static const int mounts[] = {SYS_move_mount, SYS_umount2, SYS_setfsuid, SYS_setfsgid};
static bool mounts_allowed;

/* Calls of which only some arguments are allowed. */
static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
static const uint32_t controls[] = {FICLONE,	     FICLONERANGE,    FIONREAD, FIONBIO,   NS_GET_USERNS,
				    NS_MNT_GET_NEXT, NS_MNT_GET_PREV, TCGETS,	TIOCGWINSZ};
static const uint32_t namespaces[] = {CLONE_NEWNS, CLONE_NEWUSER};
static const uint32_t options[] = {PR_SET_NAME,	     PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_READ,
				   PR_SET_PDEATHSIG, PR_SET_VMA,      PR_GET_NAME};

static const struct {
	int nr;
	unsigned arg; /* 32 bits of it: these are what the kernel looks at */
	const uint32_t *values;
	size_t n;
	int error;
} some[] = {
    {SYS_socket, 0, families, ARRAY_SIZE(families), EAFNOSUPPORT},
    {SYS_ioctl, 1, controls, ARRAY_SIZE(controls), ENOTTY},
    {SYS_setns, 1, namespaces, ARRAY_SIZE(namespaces), EINVAL},
    {SYS_prctl, 0, options, ARRAY_SIZE(options), EINVAL},
};

/* No namespace is made. clone3(2) has its flags in memory, where no filter sees them: the C library goes back to
 * clone(2). */
#define NAMESPACES                                                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Not any more when the keeper's trees are made. */
static const int not_in_run[] = {SYS_execve, SYS_open_tree};

/* --- the program ------------------------------------------------------------------------ */

#define PROGRAM_MAX 512

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
};

static void add(struct program *p, struct sock_filter one)
{
	if (p->n < PROGRAM_MAX)
		p->code[p->n++] = one;
}

static void load(struct program *p, size_t offset)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *p, uint32_t what)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* Skips the next n instructions unless what was loaded is the value. */
static void unless_skip(struct program *p, uint32_t value, size_t n)
{
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)n));
}

static void answer_for(struct program *p, uint32_t value, uint32_t what)
{
	unless_skip(p, value, 1);
	answer(p, what);
}

/* The lower half of an argument. */
static size_t argument(unsigned n)
{
	size_t offset = offsetof(struct seccomp_data, args) + n * sizeof(uint64_t);

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? offset + 4 : offset;
}

static void begin(struct program *p)
{
	p->n = 0;
	load(p, offsetof(struct seccomp_data, arch));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
	answer(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* All numbers that are simply allowed; returns how many. */
static size_t collect(uint32_t ret[ARRAY_SIZE(allowed) + ARRAY_SIZE(mounts)])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		ret[n++] = (uint32_t)allowed[i];
	for (size_t i = 0; i < ARRAY_SIZE(mounts) && mounts_allowed; i++)
		ret[n++] = (uint32_t)mounts[i];
	qsort(ret, n, sizeof(*ret), by_number);
	return n;
}

/* The numbers at which the answer changes: where a row of allowed ones begins, and the next after its end. */
static size_t find_edges(const uint32_t *numbers, size_t n, uint32_t *ret)
{
	size_t edges = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && numbers[i] == numbers[i - 1])
			continue;
		if (edges > 0 && ret[edges - 1] == numbers[i])
			edges--; /* the row goes on */
		else
			ret[edges++] = numbers[i];
		if (numbers[i] != UINT32_MAX)
			ret[edges++] = numbers[i] + 1;
	}
	return edges;
}

/*
 * By halves: the kernel tries a program with every number there is when it is installed, and a keeper's container waits
 * for that. `now`: the answer below the first edge.
 */
static void decide(struct program *p, const uint32_t *edges, size_t n, bool now)
{
	size_t half = n / 2, at = p->n, skip;

	if (n == 0) {
		answer(p, now ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP);
		return;
	}
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, edges[half], 0, 0));
	decide(p, edges, half, now);
	skip = p->n - at - 1;
	if (skip > UINT8_MAX)
		p->n = PROGRAM_MAX; /* the list has become too long for this; install() says so */
	if (p->n < PROGRAM_MAX)
		p->code[at].jt = (uint8_t)skip;
	decide(p, edges + half + 1, n - half - 1, now ^ ((half + 1) & 1));
}

static void make_filter(struct program *p)
{
	uint32_t numbers[ARRAY_SIZE(allowed) + ARRAY_SIZE(mounts)], edges[2 * ARRAY_SIZE(numbers)];
	size_t n = find_edges(numbers, collect(numbers), edges);

	begin(p);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		unless_skip(p, (uint32_t)some[i].nr, 2 * some[i].n + 2);
		load(p, argument(some[i].arg));
		for (size_t k = 0; k < some[i].n; k++)
			answer_for(p, some[i].values[k], SECCOMP_RET_ALLOW);
		answer(p, SECCOMP_RET_ERRNO | (uint32_t)some[i].error);
	}
	answer_for(p, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
	unless_skip(p, SYS_clone, 4);
	load(p, argument(0));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1));
	answer(p, SECCOMP_RET_TRAP);
	answer(p, SECCOMP_RET_ALLOW);
	decide(p, edges, n, false);
}

static int install(const struct program *p, unsigned flags, struct error *err)
{
	struct sock_fprog prog = {.len = p->n, .filter = (struct sock_filter *)p->code};

	/* EINVAL, ENOSYS: a kernel without it. Nothing is gained by no volumes at all. */
	if (p->n < PROGRAM_MAX &&
	    (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) == 0 ||
	     errno == EINVAL || errno == ENOSYS))
		return 0;
	return error_set(err, EPERM, "the filter of system calls can't be set up (error %d)", errno);
}

/* --- what was refused --------------------------------------------------------------------- */

static volatile sig_atomic_t refused = -1;

static void refuse(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	int saved = errno;

	(void)signal;
	if (refused < 0)
		refused = info->si_syscall;
#if defined(__x86_64__)
	u->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#elif defined(__aarch64__)
	u->uc_mcontext.regs[0] = (uint64_t)-ENOSYS;
#else
	u->uc_mcontext.__gregs[REG_A0] = (unsigned long)-ENOSYS;
#endif
	errno = saved;
}

int confine_refused(void)
{
	return refused;
}

void confine_allow_mounts(void)
{
	mounts_allowed = true;
}

int confine_filter(struct error *err)
{
	struct sigaction act = {.sa_sigaction = refuse, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
	struct program p;

	if (sigaction(SIGSYS, &act, NULL) < 0)
		return error_set(err, errno, "the filter of system calls can't be set up (error %d)", errno);
	make_filter(&p);
	return install(&p, SECCOMP_FILTER_FLAG_TSYNC, err);
}

int confine_for_run(struct error *err)
{
	struct program p;

	begin(&p);
	for (size_t i = 0; i < ARRAY_SIZE(not_in_run); i++)
		answer_for(&p, (uint32_t)not_in_run[i], SECCOMP_RET_TRAP);
	answer(&p, SECCOMP_RET_ALLOW);
	return install(&p, SECCOMP_FILTER_FLAG_TSYNC, err);
}

#else /* an architecture whose calls nobody has looked at */

int confine_refused(void)
{
	return -1;
}
void confine_allow_mounts(void)
{
}
int confine_filter(struct error *err)
{
	(void)err;
	return 0;
}
int confine_for_run(struct error *err)
{
	(void)err;
	return 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/sys.h"
#include "runtime/handshake.h"
#include "runtime/seccomp_notify.h"

/* --- by the parent ---------------------------------------------------------- */

/* Socket activation, sd_listen_fds(3): descriptors from 3 on, meant for this process. */
static unsigned listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t n_pid, n_fds;

	if (!fds || num_parse_u64(fds, 1024, &n_fds) < 0)
		return 0;
	/* Not set: as crun, for a caller that doesn't know our pid beforehand. */
	if (!pid)
		return (unsigned)n_fds;
	return num_parse_u64(pid, INT32_MAX, &n_pid) == 0 && (pid_t)n_pid == getpid() ? (unsigned)n_fds : 0;
}

/* How many descriptors from 3 on, n at most, the caller has passed on. */
static unsigned passed_fds(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int flags = fcntl((int)(3 + i), F_GETFD);

		/* Ours are all close-on-exec; what the caller passes on is not. */
		if (flags < 0 || (flags & FD_CLOEXEC))
			return i;
	}
	return n;
}

static size_t name_length(const char *variable)
{
	return strcspn(variable, "=");
}

/* By name, then by place. */
static int compare_variables(const void *a, const void *b)
{
	const char *const *x = *(const char *const *const *)a, *const *y = *(const char *const *const *)b;
	size_t nx = name_length(*x), ny = name_length(*y);
	int c = strncmp(*x, *y, nx < ny ? nx : ny);

	if (c != 0)
		return c;
	if (nx != ny)
		return nx < ny ? -1 : 1;
	return x < y ? -1 : 1;
}

/* Of several with the same name the last one counts, and programs shall not see the others. Returns how many stay. */
static int drop_overridden(const char **env, size_t n, struct arena *arena, size_t *ret)
{
	const char ***sorted = arena_calloc(arena, n + 1, sizeof(*sorted));
	size_t kept = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &env[i];
	qsort(sorted, n, sizeof(*sorted), compare_variables);
	for (size_t i = 0; i + 1 < n; i++) {
		size_t length = name_length(*sorted[i]);

		if (length == name_length(*sorted[i + 1]) && strncmp(*sorted[i], *sorted[i + 1], length) == 0)
			*sorted[i] = NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (env[i])
			env[kept++] = env[i];
	env[kept] = NULL;
	*ret = kept;
	return 0;
}

int process_hold_gaps(unsigned preserve_fds, struct error *err)
{
	_cleanup_close_ int null = -1;
	unsigned n = listen_fds() + preserve_fds;

	if (n == 0)
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return error_errno(err, errno, "open /dev/null");
	for (int fd = 3; fd < (int)(3 + n); fd++)
		if (fd != null && fcntl(fd, F_GETFD) < 0 && dup3(null, fd, O_CLOEXEC) < 0)
			return error_errno(err, errno, "--preserve-fds: hold the place of descriptor %d", fd);
	/* It may be in one of the gaps itself. */
	if (null < (int)(3 + n))
		TAKE_FD(null);
	return 0;
}

/* n_listen -1: the process is not told of any. */
static int plan_env(const struct spec_process *process, int n_listen, struct arena *arena, struct process *ret,
		    struct error *err)
{
	const char *names = n_listen > 0 ? getenv("LISTEN_FDNAMES") : NULL;
	const char **env = arena_calloc(arena, process->n_env + 5, sizeof(*env));
	size_t n = 0;

	if (!env)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < process->n_env; i++)
		env[n++] = process->env[i];
	if (drop_overridden(env, n, arena, &n) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (n_listen >= 0) {
		env[n++] = arena_printf(arena, "LISTEN_FDS=%d", n_listen);
		env[n++] = "LISTEN_PID=1";
	}
	if (names)
		env[n++] = arena_printf(arena, "LISTEN_FDNAMES=%s", names);
	ret->env = env;
	return 0;
}

void process_close(struct process *p)
{
	cleanup_close(&p->receiver);
	cleanup_close(&p->proc_fd);
	p->receiver = p->proc_fd = -1;
}

static int plan_lsm(struct process *p, struct arena *arena, struct error *err)
{
	const char *profile = p->spec->apparmor_profile, *label = p->spec->selinux_label;

	if (label && *label) {
		p->lsm_label = label;
		p->lsm_file = "self/attr/exec";
	} else if (profile && *profile && access("/sys/kernel/security/apparmor", F_OK) == 0) {
		/* As crun does: a profile on a host without AppArmor is nothing to apply. */
		p->lsm_label = arena_printf(arena, "exec %s", profile);
		p->lsm_file =
		    access("/proc/self/attr/apparmor/exec", F_OK) == 0 ? "self/attr/apparmor/exec" : "self/attr/exec";
		if (!p->lsm_label)
			return error_set(err, ENOMEM, "out of memory");
	} else {
		return 0;
	}
	p->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->proc_fd < 0 ? error_errno(err, errno, "open /proc") : 0;
}

/* A label is taken at the next execve, which would be the launcher's. */
static bool wants_launcher(const struct process *p)
{
	return p->spec->n_args && !p->lsm_label && p->container->hooks->n_start_container == 0;
}

int process_plan(const struct spec_process *process, const struct spec *spec, int dir_fd, unsigned preserve_fds,
		 struct arena *arena, struct process *ret, struct error *err)
{
	struct process p = PROCESS_INIT;
	struct error ignored = ERROR_INIT;
	unsigned n_told = listen_fds(), n_listen = passed_fds(n_told);
	struct stat st;
	int r;

	p.spec = process;
	p.container = spec;
	if (preserve_fds > 1024)
		return error_set(err, EINVAL, "--preserve-fds: %u are too many", preserve_fds);
	/* crun's callers name more than there are; which the preserved ones would be is not clear then. */
	if (preserve_fds && n_listen < n_told)
		return error_set(err, EBADF, "LISTEN_FDS=%u: descriptor %u is not open", n_told, 3 + n_listen);
	/* Of the preserved ones, what is open: `podman --preserve-fd=9,40` asks for 3 to 40, as crun allows. */
	p.n_extra_fds = n_listen + preserve_fds;
	r = plan_env(process, n_told ? (int)n_listen : -1, arena, &p, err);
	if (r < 0)
		return r;
	r = seccomp_plan(spec, dir_fd, arena, &p.seccomp, err);
	if (r < 0)
		return r;
	if (p.seccomp.notify) {
		r = seccomp_receiver_connect(spec, &p.receiver, err);
		if (r < 0)
			return r;
	} else if (spec->linux_->seccomp && spec->linux_->seccomp->listener_path && p.seccomp.prog.len) {
		/* No rule notifies: nobody has to listen, but who does gets the listener, as with crun. */
		p.seccomp.notify = seccomp_receiver_connect(spec, &p.receiver, &ignored) == 0;
	}
	if (stat("/proc/self/exe", &st) < 0)
		return error_errno(err, errno, "look at /proc/self/exe (is /proc mounted?)");
	p.self_dev = st.st_dev;
	p.self_ino = st.st_ino;
	r = plan_lsm(&p, arena, err);
	if (r < 0) {
		process_close(&p);
		return r;
	}
	*ret = p;
	return 0;
}

/* --- LSM ---------------------------------------------------------------------- */

int process_open_lsm(struct process *p, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct statfs fs;

	if (!p->lsm_label)
		return 0;
	fd = openat(p->proc_fd, p->lsm_file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open `/proc/%s`", p->lsm_file);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return error_set(err, EINVAL, "`/proc/%s` is not on a procfs", p->lsm_file);
	p->lsm_fd = TAKE_FD(fd);
	cleanup_close(&p->proc_fd);
	p->proc_fd = -1;
	return 0;
}

static int apply_lsm(struct process *p, struct error *err)
{
	int r;

	if (p->lsm_fd < 0)
		return 0;
	r = write_all(p->lsm_fd, p->lsm_label, strlen(p->lsm_label));
	if (r < 0)
		return error_errno(err, r, "write \"%s\" to `/proc/%s`", p->lsm_label, p->lsm_file);
	cleanup_close(&p->lsm_fd);
	p->lsm_fd = -1;
	return 0;
}

/* include/linux/key.h: the user that owns a key may find it. */
#define KEY_USER_SEARCH 0x00080000

/* --- small steps ----------------------------------------------------------------- */

int process_new_keyring(const char *id, struct error *err)
{
	char name[300], about[400] = "";
	long key;
	char *perm;

	snprintf(name, sizeof(name), "_ses.%s", id);
	key = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
	if (key < 0 && (errno == ENOSYS || errno == EPERM))
		return 0;
	if (key < 0)
		return error_errno(err, errno, "make a session keyring (--no-new-keyring goes without)");
	/* "keyring;UID;GID;PERM;NAME". Without the right to search it, `exec` would not find it by its name. */
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, about, sizeof(about) - 1) > 0) {
		perm = about;
		for (int i = 0; i < 3 && perm; i++)
			perm = strchr(perm, ';') ? strchr(perm, ';') + 1 : NULL;
		if (perm)
			syscall(SYS_keyctl, KEYCTL_SETPERM, key, strtoul(perm, NULL, 16) | KEY_USER_SEARCH);
	}
	return 0;
}

int process_hide(struct error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(err, errno, "make the process not dumpable");
	return 0;
}

void process_reset_signals(void)
{
	const struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* crun's: groups of the caller's stay, as what the user namespace has for them. */
static bool keeps_groups(const struct spec *spec)
{
	return spec_annotation(spec, "run.oci.keep_original_groups") != NULL;
}

/* Unmapped ids are EINVAL. Nobody is root there, so none of these changes takes capabilities away. */
int process_become_root(const struct spec *spec, struct error *err)
{
	const struct spec_user *user = &spec->process->user;

	if (setresgid(0, 0, 0) < 0 && (errno != EINVAL || setresgid(user->gid, user->gid, user->gid) < 0))
		return error_errno(err, errno, "become gid 0 or %u of the user namespace (is one of them mapped?)",
				   user->gid);
	/* Where setgroups is denied (an unprivileged mapping) the caller's groups stay; nothing else is possible. */
	if (!keeps_groups(spec) && setgroups(0, NULL) < 0 && errno != EPERM)
		return error_errno(err, errno, "drop the supplementary groups");
	if (setresuid(0, 0, 0) < 0 && (errno != EINVAL || setresuid(user->uid, user->uid, user->uid) < 0))
		return error_errno(err, errno, "become uid 0 or %u of the user namespace (is one of them mapped?)",
				   user->uid);
	return 0;
}

/*
 * So that a program that isn't root can open /dev/stdout again. Best effort, as runc does; with the group, as crun, but
 * for a terminal: that is the group of those who may write to it.
 */
static void give_stdio(uid_t uid, gid_t gid)
{
	struct stat st;

	for (int fd = 0; fd <= 2; fd++) {
		/* Never a device of everybody's: only pipes, sockets, files and the container's own terminal. */
		if (fstat(fd, &st) < 0 || st.st_uid == uid || (S_ISCHR(st.st_mode) && !isatty(fd)))
			continue;
		if (fchown(fd, uid, isatty(fd) ? (gid_t)-1 : gid) < 0)
			continue;
	}
}

/* HOME from the container's /etc/passwd, when the environment has none. */
static int add_home(struct process *p, struct arena *arena, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	const char *home = "/";
	char *line, *rest;
	struct stat st;
	size_t n = 0;

	while (p->env[n] && strncmp(p->env[n], "HOME=", 5) != 0)
		n++;
	if (p->env[n] && p->env[n][5])
		return 0;
	/* The file is the container's: it may be a fifo, a device, or anything else that blocks. */
	fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && read_fd(fd, 1 << 20, &text, NULL) == 0) {
		for (rest = text; (line = strsep(&rest, "\n"));) {
			char *f[7] = {NULL}, *fields = line;
			uint64_t uid;

			for (int i = 0; i < 7 && fields; i++)
				f[i] = strsep(&fields, ":");
			if (f[5] && num_parse_u64(f[2], UINT32_MAX, &uid) == 0 && uid == p->spec->user.uid) {
				home = f[5];
				break;
			}
		}
	}
	p->env[n] = arena_printf(arena, "HOME=%s", *home ? home : "/");
	return p->env[n] ? 0 : error_set(err, ENOMEM, "out of memory");
}

/* chdir, and proof that this is a directory of the container's (CVE-2024-21626). */
static int enter_cwd(const char *cwd, struct error *err)
{
	char path[PATH_MAX];

	if (chdir(cwd) < 0)
		return error_errno(err, errno, "enter the working directory %s", cwd);
	/* The system call itself: glibc's getcwd would search for a path when the kernel says "(unreachable)". */
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0)
		return error_errno(err, errno, "find the path of the working directory %s", cwd);
	if (path[0] != '/')
		return error_set(err, EINVAL, "the working directory %s is outside of the container", cwd);
	return 0;
}

static int set_execution_domain(const struct spec_linux *l, struct error *err)
{
	const struct spec_personality *p = l->personality;

	if (p && personality(strcmp(p->domain, "LINUX32") == 0 ? PER_LINUX32 : PER_LINUX) < 0)
		return error_errno(err, errno, "set the personality");
	return l->memory_policy ? memory_policy_set(l->memory_policy, err) : 0;
}

static int find_program(struct process *p, struct arena *arena, struct error *err)
{
	size_t n = p->spec->n_args;
	int r = program_find(p->spec->args[0], p->env, p->self_dev, p->self_ino, arena, &p->path, err);

	if (r < 0)
		return r;
	p->argv = arena_calloc(arena, n + 2, sizeof(*p->argv));
	if (!p->argv)
		return error_set(err, ENOMEM, "out of memory");
	p->argv[0] = p->path;
	memcpy(&p->argv[1], p->spec->args, n * sizeof(*p->argv));
	return 0;
}

/* --- in the container ------------------------------------------------------------- */

int process_enter(struct process *p, struct arena *arena, int keep_fd, int keep_fd2, struct error *err)
{
	int keep[] = {keep_fd, keep_fd2, p->receiver};
	struct error denied = ERROR_INIT;
	int r;

	if (p->lsm_fd >= 0) {
		r = apply_lsm(p, err);
		if (r < 0)
			return r;
	}
	close_fds_but(3 + p->n_extra_fds, keep, ARRAY_SIZE(keep));
	give_stdio(p->spec->user.uid, p->spec->user.gid);
	r = add_home(p, arena, err);
	if (r < 0)
		return r;
	r = set_execution_domain(p->container->linux_, err);
	if (r < 0)
		return r;
	/* Root may lack the right to enter where the user has it (a network file system, no CAP_DAC_OVERRIDE). */
	r = enter_cwd(p->spec->cwd, &denied);
	p->cwd_entered = r == 0;
	if (r < 0 && r != -EACCES) {
		*err = denied;
		return r;
	}
	/* Here, and not in the plan: what can be granted depends on the user namespace. */
	r = caps_plan(p->spec->capabilities, arena, &p->caps, &p->left_out, err);
	if (r < 0)
		return r;
	return p->spec->n_args ? find_program(p, arena, err) : 0;
}

int process_note(const struct process *p, int sock, struct error *err)
{
	const struct caps_left_out *left = &p->left_out;
	char text[PATH_MAX];
	int r = 0;

	if (left->unknown) {
		/* In runc's words. */
		snprintf(text, sizeof(text), "process.capabilities: ignoring unknown or unavailable capabilities: [%s]",
			 left->unknown);
		r = handshake_send(sock, HS_NOTE, 1, text, -1, err);
	}
	if (r == 0 && left->ignored) {
		snprintf(text, sizeof(text), "process.capabilities: can't be granted and are left out: %s",
			 left->ignored);
		r = handshake_send(sock, HS_NOTE, 0, text, -1, err);
	}
	for (const char *name = left->not_ambient; r == 0 && name && *name; name += strspn(name, " ")) {
		int len = (int)strcspn(name, " ");

		/* In runc's words, and a line each. */
		snprintf(text, sizeof(text), "can't raise ambient capability %.*s: operation not permitted", len, name);
		r = handshake_send(sock, HS_NOTE, 1, text, -1, err);
		name += len;
	}
	return r;
}

static const char *unmapped(int code)
{
	return code == EINVAL ? " (is it mapped in the user namespace?)" : "";
}

static int become_user(const struct spec_user *u, bool keep_groups, struct error *err)
{
	/* Without groups to set, a user namespace that denies setgroups is fine. */
	if (!keep_groups && setgroups(u->n_additional_gids, u->additional_gids) < 0 &&
	    (errno != EPERM || u->n_additional_gids))
		return errno == EPERM ? error_set(err, EPERM,
						  "process.user.additionalGids: cannot set any additional groups in a "
						  "rootless container whose only group is the caller's")
				      : error_errno(err, errno, "set the supplementary groups%s", unmapped(errno));
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return error_errno(err, errno, "become gid %u%s", u->gid, unmapped(errno));
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return error_errno(err, errno, "become uid %u%s", u->uid, unmapped(errno));
	umask(u->umask ? *u->umask : 0022);
	return 0;
}

static int load_seccomp(const struct process *p, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	int listener, r;

	if (p->seccomp.prog.len == 0)
		return 0;
	if (!p->seccomp.notify)
		return seccomp_install(&p->seccomp, &listener, err);
	r = seccomp_receiver_text(p->container, &p->state, p->pid, &text, err);
	return r < 0 ? r : seccomp_install_notify(&p->seccomp, p->receiver, &text, p->report, err);
}

int process_become(struct process *p, struct error *err)
{
	bool nnp = p->spec->no_new_privileges;
	int r;

	p->launcher.fd = -1;
	if (wants_launcher(p))
		launcher_open(&p->seccomp, p->report, &p->launcher);
	r = limits_settle(p->spec, err);
	if (r < 0)
		return r;
	if (nnp && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "set no_new_privs");
	/* Without no_new_privs the filter needs CAP_SYS_ADMIN, which the user may not have. */
	if (!nnp && (r = load_seccomp(p, err)) < 0)
		return r;
	r = caps_apply_bounding(&p->caps, err);
	if (r < 0)
		return r;
	r = become_user(&p->spec->user, keeps_groups(p->container), err);
	if (r < 0)
		return r;
	r = caps_apply(&p->caps, err);
	if (r < 0)
		return r;
	if (!p->cwd_entered && (r = enter_cwd(p->spec->cwd, err)) < 0)
		return r;
	return nnp ? load_seccomp(p, err) : 0;
}

int process_report_to(struct process *p, int sock, struct error *err)
{
	p->report = sock;
	return launcher_report_to(&p->launcher, sock, err);
}

int process_execve(struct process *p, struct error *err)
{
	char text[PROGRAM_ERROR_MAX];
	int r;

	/* A container without a process, see create_defaults.h. */
	if (p->spec->n_args == 0)
		_exit(0);
	launcher_execute(&p->launcher, p->argv, p->env);
	execve(p->path, (char *const *)&p->argv[1], (char *const *)p->env);
	r = errno;
	return error_set(err, r, "exec %s: %s", p->path, program_error(r, text));
}

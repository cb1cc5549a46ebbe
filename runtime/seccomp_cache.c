/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled filters on disk. libseccomp takes some 8 ms for an engine's profile, as
 * much as several whole container starts, and an engine gives all its containers the
 * same one.
 *
 * <root>/@seccomp/<hash of the key> (no container can have that name) holds a header,
 * the program and the whole key. The hash only finds the file: what counts is that the
 * key in it is the same byte by byte, so nobody can craft a profile that is taken for
 * another one. Directory and file must belong to us and be writable by us alone: who can
 * plant a program there could as well replace our executable. Anything else (torn,
 * foreign, of another version) is a miss, and so is every failure.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_internal.h"

#define CACHE_DIR "../@seccomp" /* from the container's directory */
#define CACHE_MAGIC "volrunS1"	/* the last digit changes with the format and with what the compiler makes */
#define CACHE_ENTRIES 32
#define CACHE_KEY_MAX (64 << 10)

struct cache_header {
	char magic[8];
	uint32_t n_insns, key_len;
	uint32_t flags, notify;
	uint64_t sum; /* of program and key: a crash of the machine may leave a file of the right size */
};

/* --- the key: all that the program depends on ---------------------------------------- */

static void add_number(struct strbuf *b, uint64_t n)
{
	strbuf_add(b, &n, sizeof(n));
}

static void add_string(struct strbuf *b, const char *s)
{
	strbuf_addc(b, s ? '=' : '-');
	strbuf_add(b, s ? s : "", s ? strlen(s) + 1 : 1);
}

static void add_strings(struct strbuf *b, const char *const *list, size_t n)
{
	add_number(b, n);
	for (size_t i = 0; i < n; i++)
		add_string(b, list[i]);
}

static void add_errno(struct strbuf *b, const uint32_t *number)
{
	add_number(b, number ? *number : UINT64_MAX);
}

static void add_syscall(struct strbuf *b, const struct spec_seccomp_syscall *call)
{
	add_strings(b, call->names, call->n_names);
	add_string(b, call->action);
	add_errno(b, call->errno_ret);
	add_number(b, call->n_args);
	for (size_t i = 0; i < call->n_args; i++) {
		const struct spec_seccomp_arg *a = &call->args[i];

		add_number(b, a->index);
		add_number(b, a->value);
		add_number(b, a->value_two);
		add_string(b, a->op);
	}
}

static void make_key(struct strbuf *b, const struct spec_seccomp *s, bool strict)
{
	const struct scmp_version *version = seccomp_version();
	struct utsname host;

	strbuf_addf(b, "%u.%u.%u", version->major, version->minor, version->micro);
	/* libseccomp asks the kernel what it can do. */
	if (uname(&host) == 0) {
		add_string(b, host.release);
		add_string(b, host.machine);
	}
	strbuf_addc(b, strict ? 's' : 'l');
	add_string(b, s->default_action);
	add_errno(b, s->default_errno_ret);
	add_strings(b, s->architectures, s->n_architectures);
	add_strings(b, s->flags, s->n_flags);
	add_number(b, s->n_syscalls);
	for (size_t i = 0; i < s->n_syscalls; i++)
		add_syscall(b, &s->syscalls[i]);
}

/* --- files --------------------------------------------------------------------------- */

static bool ours_alone(const struct stat *st)
{
	return st->st_uid == geteuid() && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int open_cache(int dir_fd, bool make)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (make && mkdirat(dir_fd, CACHE_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, CACHE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !ours_alone(&st))
		return -EPERM;
	return TAKE_FD(fd);
}

bool seccomp_cache_parse(const char *data, size_t size, const struct strbuf *key, struct seccomp_program *ret)
{
	const struct cache_header *h = (const void *)data;
	const char *program = data + sizeof(*h);
	size_t program_len;

	if (size < sizeof(*h))
		return false;
	if (memcmp(h->magic, CACHE_MAGIC, sizeof(h->magic)) != 0 || h->n_insns == 0 || h->n_insns > BPF_MAXINSNS)
		return false;
	program_len = h->n_insns * sizeof(struct sock_filter);
	if (h->key_len != key->len || size != sizeof(*h) + program_len + key->len ||
	    memcmp(program + program_len, key->data, key->len) != 0 ||
	    hash64(HASH64_START, program, size - sizeof(*h)) != h->sum)
		return false;
	ret->prog.len = (unsigned short)h->n_insns;
	ret->prog.filter = (struct sock_filter *)program;
	ret->flags = h->flags;
	ret->notify = h->notify;
	return true;
}

static bool load(int cache_fd, const char *name, const struct strbuf *key, struct arena *arena,
		 struct seccomp_program *ret)
{
	_cleanup_close_ int fd = openat(cache_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char *data;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !ours_alone(&st))
		return false;
	if (st.st_size < (off_t)sizeof(struct cache_header) ||
	    st.st_size >
		(off_t)(sizeof(struct cache_header) + sizeof(struct sock_filter) * BPF_MAXINSNS + CACHE_KEY_MAX))
		return false;
	data = arena_alloc(arena, (size_t)st.st_size);
	return data && pread_full(fd, data, (size_t)st.st_size, 0) == 0 &&
	       seccomp_cache_parse(data, (size_t)st.st_size, key, ret);
}

/* Removes the oldest file while there are too many; what a writer that was killed has left counts as well. */
static void make_room(int cache_fd)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = openat(cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char oldest[NAME_MAX + 1] = "";
	struct timespec when = {0};
	struct dirent *e;
	size_t n = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && (e = readdir(dir))) {
		struct stat st;

		if (e->d_name[0] == '.' || fstatat(cache_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (n++ == 0 || st.st_mtim.tv_sec < when.tv_sec ||
		    (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
			when = st.st_mtim;
			snprintf(oldest, sizeof(oldest), "%s", e->d_name);
		}
	}
	if (n >= CACHE_ENTRIES)
		unlinkat(cache_fd, oldest, 0);
}

static void save(int dir_fd, const char *name, const struct strbuf *key, const struct seccomp_program *p)
{
	_cleanup_strbuf_ struct strbuf file = STRBUF_INIT;
	_cleanup_close_ int cache_fd = open_cache(dir_fd, true);
	struct cache_header h = {.magic = CACHE_MAGIC,
				 .n_insns = p->prog.len,
				 .key_len = (uint32_t)key->len,
				 .flags = p->flags,
				 .notify = p->notify};
	size_t program_len = p->prog.len * sizeof(struct sock_filter);

	if (cache_fd < 0)
		return;
	h.sum = hash64(hash64(HASH64_START, p->prog.filter, program_len), key->data, key->len);
	strbuf_add(&file, &h, sizeof(h));
	strbuf_add(&file, p->prog.filter, program_len);
	strbuf_add(&file, key->data, key->len);
	if (file.failed)
		return;
	make_room(cache_fd);
	(void)write_file_atomic_at(cache_fd, name, file.data, file.len, 0600, false);
}

int seccomp_compile_cached(const struct spec_seccomp *s, bool strict, int dir_fd, struct arena *arena,
			   struct seccomp_program *ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf key = STRBUF_INIT;
	_cleanup_close_ int cache_fd = -1;
	struct seccomp_program p = {0};
	char name[17];
	int r;

	make_key(&key, s, strict);
	if (key.failed || key.len > CACHE_KEY_MAX)
		return seccomp_compile(s, strict, arena, ret, err);
	snprintf(name, sizeof(name), "%016llx", (unsigned long long)hash64(HASH64_START, key.data, key.len));
	cache_fd = open_cache(dir_fd, false);
	if (cache_fd >= 0 && load(cache_fd, name, &key, arena, &p)) {
		*ret = p;
		return 0;
	}
	r = seccomp_compile(s, strict, arena, &p, err);
	if (r < 0)
		return r;
	save(dir_fd, name, &key, &p);
	*ret = p;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fight CONFIG DIR NODE [show]: one of many nodes that fight for the volume "ws/fight" (integration/faults/fight starts
 * them, stops and kills them, moves their clocks, and judges what they noted). It does with the volume what a keeper
 * does, with the keeper's own code, again and again until DIR/stop is there.
 *
 * The tree: "counter" holds how many commits there were, so does "twin"; "log" has a line "COUNT NODE EPOCH" for each.
 * "busy" is there, with that line, while they are changed: who was killed there may have left it to be committed by a
 * recovery; the next run completes it first.
 * A start that finds anything else notes it in DIR/violations. With `show` it prints the log of the last commit, once.
 *
 *     DIR/NODE.journal   "wrote EPOCH COUNT", then "ok EPOCH COUNT" or "not EPOCH COUNT"; "read COUNT"
 *     DIR/NODE.clock     two int64: what is added to CLOCK_BOOTTIME and to CLOCK_REALTIME; changes at any time
 *     DIR/register.log   each version of the register: "PID PREVIOUS TEXT", some of which never came to be. Of a
 *                        filesystem store in their order, PREVIOUS is a nonce; else before they are sent, PREVIOUS is
 *                        the tag that is their condition ("-": none may be there)
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/keeper_hold.h"

#define FILES 5
#define LINE 128

static volatile int64_t *clock_file;
static const char *dir, *node;
static int dir_fd;
static bool showing;
static uint64_t epoch; /* that we hold; 0: none */

/* --- what the linker puts in the place of libc's ------------------------------------- */

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
time_t __wrap_time(time_t *t);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
enum store_result __real_store_do(struct store *s, struct store_op *op);
enum store_result __wrap_store_do(struct store *s, struct store_op *op);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = __real_clock_gettime(id, ts);

	if (r == 0 && clock_file && (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME)) {
		int64_t ns = ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec + clock_file[id == CLOCK_REALTIME];

		ts->tv_sec = ns / NSEC_PER_SEC;
		ts->tv_nsec = ns % NSEC_PER_SEC;
	}
	return r;
}

time_t __wrap_time(time_t *t)
{
	struct timespec ts;

	__wrap_clock_gettime(CLOCK_REALTIME, &ts);
	if (t)
		*t = ts.tv_sec;
	return ts.tv_sec;
}

static void __attribute__((format(printf, 2, 3))) note(const char *file, const char *fmt, ...)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	/* One write, so that lines of several don't mix. */
	if (n < 0 || fd < 0 || write(fd, text, (size_t)n) != n)
		abort();
}

enum store_result __wrap_store_do(struct store *s, struct store_op *op)
{
	size_t len = strlen(op->key);

	if (op->kind == STORE_PUT && strcmp(s->ops->type, "filesystem") != 0 && len > 5 &&
	    !strcmp(op->key + len - 5, "/head"))
		note("register.log", "%d %s %.*s", (int)getpid(), op->condition == STORE_IF_TAG ? op->if_tag : "-",
		     (int)op->size, (const char *)op->data);
	return __real_store_do(s, op);
}

static void find(const char *text, const char *before, char *ret, size_t size)
{
	const char *p = strstr(text, before);

	snprintf(ret, size, "%.*s", p ? (int)strcspn(p + strlen(before), "\",}") : 0, p ? p + strlen(before) : "");
}

static void read_head(int fd, const char *name, char text[4096])
{
	_cleanup_free_ char *all = NULL;

	text[0] = '\0';
	if (read_file_at(fd, name, 4095, &all, NULL) == 0)
		snprintf(text, 4096, "%s", all);
}

/* Is it a plain file of the volume that this descriptor's directory holds? Then the register of it. */
static bool plain_of(int fd, char head[4096])
{
	char link[64], path[PATH_MAX], *ws;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 64);
	if (n < 0)
		return false;
	path[n] = '\0';
	ws = strstr(path, "/volumes/ws/fight");
	if (!ws)
		return false;
	strcpy(ws, "/volumes/ws/.volrun/fight/head");
	read_head(AT_FDCWD, path, head);
	return true;
}

/* The store does it under the register's lock: whoever does not hold the lease changes nothing. */
static void check_plain(int fd, const char *what, const char *name)
{
	char head[4096], keeper[64], state[16];

	if (!plain_of(fd, head))
		return;
	find(head, "\"keeper\":\"", keeper, sizeof(keeper));
	find(head, "\"state\":\"", state, sizeof(state));
	if (strcmp(state, "held") != 0 || atoi(keeper) != getpid())
		note("violations", "%s: %s of plain %s, while the lease is %s by %s\n", node, what, name, state,
		     keeper);
}

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	char next[4096], head[4096], nonce[64];

	if (strcmp(to, "head") == 0) {
		read_head(from_fd, from, next);
		read_head(to_fd, to, head);
		find(head, "\"nonce\":\"", nonce, sizeof(nonce));
		next[strcspn(next, "\n")] = '\0';
		/* Else a node with a wrong date has swept it away: it can't be renamed. */
		if (next[0])
			note("register.log", "%d %s %s\n", (int)getpid(), nonce[0] ? nonce : "-", next);
	} else {
		check_plain(to_fd, "write", to);
	}
	return __real_renameat2(from_fd, from, to_fd, to, flags);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
	if (!(flags & AT_REMOVEDIR))
		check_plain(fd, "removal", name);
	return __real_unlinkat(fd, name, flags);
}

/* --- the tree ------------------------------------------------------------------------- */

static uint64_t number_of(int tree, const char *name)
{
	_cleanup_free_ char *text = NULL;
	uint64_t n = 0;

	if (read_file_at(tree, name, LINE, &text, NULL) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return num_parse_u64(text, UINT64_MAX, &n) == 0 ? n : UINT64_MAX;
}

static uint64_t lines_of(int tree)
{
	_cleanup_free_ char *log = NULL;
	uint64_t lines = 0;

	if (read_file_at(tree, "log", 64 << 20, &log, NULL) == 0)
		for (const char *p = log; *p; p = strchr(p, '\n') + 1) {
			lines++;
			if (!strchr(p, '\n') || strtoull(p, NULL, 10) != lines)
				return 0;
		}
	return lines;
}

static bool is_busy(int tree)
{
	return faccessat(tree, "busy", F_OK, 0) == 0;
}

/* The tree of commit `seq`, whole? */
static void check_tree(int tree, uint64_t seq, const char *what)
{
	uint64_t counter = number_of(tree, "counter"), twin = number_of(tree, "twin"), lines = lines_of(tree);
	char name[LINE];

	snprintf(name, sizeof(name), "file-%" PRIu64, counter % FILES);
	if (counter != seq || twin != seq || lines != seq || (seq > 0 && number_of(tree, name) != seq))
		note("violations",
		     "%s: %s of commit %" PRIu64 " has counter %" PRIu64 ", twin %" PRIu64 ", %" PRIu64
		     " lines, %s %" PRIu64 "\n",
		     node, what, seq, counter, twin, lines, name, number_of(tree, name));
}

static int write_number(int tree, const char *name, uint64_t n)
{
	char text[LINE];

	snprintf(text, sizeof(text), "%" PRIu64 "\n", n);
	return write_file_atomic_at(tree, name, text, strlen(text), 0644, false);
}

/* At once: a file that is half there would be a change that "busy" does not tell of. */
static int begin(int tree, const char *line)
{
	_cleanup_close_ int fd = openat(tree, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	char path[FD_PATH_MAX];

	if (fd < 0 || write_all(fd, line, strlen(line)) < 0)
		return -EIO;
	if (linkat(AT_FDCWD, fd_path(fd, path), tree, "busy", AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* One more. In place or by rename, a file is removed now and then: there is something of everything to publish. */
static int change(int tree, const char *line)
{
	uint64_t count = strtoull(line, NULL, 10);
	_cleanup_close_ int fd = -1;
	char name[LINE], next[LINE];
	int r;

	snprintf(name, sizeof(name), "file-%" PRIu64, count % FILES);
	snprintf(next, sizeof(next), "file-%" PRIu64, (count + 2) % FILES);
	r = begin(tree, line);
	fd = r < 0 ? -1 : openat(tree, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (r == 0)
		r = write_number(tree, "counter", count);
	if (r == 0)
		r = write_number(tree, name, count);
	unlinkat(tree, next, 0);
	if (r == 0 && lines_of(tree) < count)
		r = fd < 0 ? -errno : write_all(fd, line, strlen(line));
	if (r == 0)
		r = write_number(tree, "twin", count);
	return r < 0 ? r : unlinkat(tree, "busy", 0);
}

static int count_up(int tree, uint64_t count)
{
	char line[LINE];

	snprintf(line, sizeof(line), "%" PRIu64 " %s %" PRIu64 "\n", count, node, epoch);
	return change(tree, line);
}

static int complete(int tree)
{
	_cleanup_free_ char *line = NULL;
	int r = read_file_at(tree, "busy", LINE, &line, NULL);

	return r < 0 ? r : change(tree, line);
}

/* --- a run ------------------------------------------------------------------------------- */

static void nap(uint32_t max_ms)
{
	uint32_t r;

	random_bytes(&r, sizeof(r));
	usleep(r % max_ms * 1000);
}

static void write_run(struct hold *h, struct hold_volume *hv)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char journal[LINE];
	struct head head;
	uint64_t count;

	if (lease_head(hv->lease, &a, &head) < 0)
		abort();
	epoch = lease_epoch(hv->lease);
	count = head.commit.seq + 1;
	snprintf(journal, sizeof(journal), "%s.journal", node);
	if (is_busy(hv->tree_fd) && complete(hv->tree_fd) < 0)
		abort();
	check_tree(hv->tree_fd, head.commit.seq, "a start");
	nap(40);
	if (count_up(hv->tree_fd, count) < 0)
		abort();
	note(journal, "wrote %" PRIu64 " %" PRIu64 "\n", epoch, count);
	nap(40);
	hold_finish(h);
	note(journal, "%s %" PRIu64 " %" PRIu64 "\n", hv->aside || hv->dirty ? "not" : "ok", epoch, count);
}

static void show(int tree)
{
	_cleanup_free_ char *log = NULL, *busy = NULL;

	if (read_file_at(tree, "log", 64 << 20, &log, NULL) == 0)
		fputs(log, stdout);
	if (read_file_at(tree, "busy", LINE, &busy, NULL) == 0 && lines_of(tree) < strtoull(busy, NULL, 10))
		fputs(busy, stdout);
}

static void read_run(struct hold_volume *hv)
{
	uint64_t count = number_of(hv->tree_fd, "counter");
	char journal[LINE];

	if (!is_busy(hv->tree_fd))
		check_tree(hv->tree_fd, count, "a reader's tree");
	snprintf(journal, sizeof(journal), "%s.journal", node);
	note(journal, "read %" PRIu64 "\n", count);
	if (showing)
		show(hv->tree_fd);
}

static void run(const struct config *config, bool ro)
{
	struct keeper_request_volume volume = {.name = "fight",
					       .destination = "/data",
					       .store = config->default_store,
					       .ro = ro,
					       .wait_ns = 20 * NSEC_PER_SEC};
	struct keeper_request request = {
	    .id = node, .bundle = "/", .pid = getpid(), .workspace = "ws", .volumes = &volume, .n_volumes = 1};
	struct error err = ERROR_INIT;
	struct hold h;
	int r;

	epoch = 0;
	r = hold_open(&h, config, &request, -1, &err);
	if (r == 0)
		r = hold_take(&h, &err);
	if (r < 0)
		note("errors", "%s: %s\n", node, err.msg);
	else if (ro)
		read_run(&h.volumes[0]);
	else
		write_run(&h, &h.volumes[0]);
	if (h.warnings.len > 0)
		note("errors", "%s: %s", node, strbuf_str(&h.warnings));
	hold_close(&h);
}

int main(int argc, char **argv)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct config config;
	char name[LINE];
	uint32_t die;
	int fd;

	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: fight CONFIG DIR NODE [show]; see integration/faults/fight\n");
		return 2;
	}
	dir = argv[2];
	node = argv[3];
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%s.clock", node);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	clock_file = fd < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
	if (clock_file == MAP_FAILED || config_load(argv[1], &arena, &config, &err) < 0) {
		fprintf(stderr, "fight: %s\n", err.msg);
		return 2;
	}
	showing = argc == 5;
	if (showing)
		run(&config, true);
	while (!showing && faccessat(dir_fd, "stop", F_OK, 0) < 0) {
		random_bytes(&die, sizeof(die));
		run(&config, die % 8 == 0);
		nap(20);
	}
	return 0;
}

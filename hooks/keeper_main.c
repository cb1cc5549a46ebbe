/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volrun-keeper - holds the volumes of one container: takes the leases, makes the trees, waits for the container's end,
 * commits, releases. volrun-hook starts it and gives it one end of a socket (keeper_proto.h); nobody else does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "base/sys.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/keeper_background.h"
#include "hooks/keeper_callers.h"
#include "hooks/keeper_cgroup.h"
#include "hooks/keeper_checkpoint.h"
#include "hooks/keeper_freeze.h"
#include "hooks/keeper_hold.h"
#include "hooks/keeper_inhibit.h"
#include "hooks/keeper_memory.h"
#include "hooks/keeper_mounted.h"
#include "hooks/keeper_pod.h"
#include "hooks/keeper_proto.h"
#include "hooks/keeper_socket.h"
#include "hooks/keeper_sync.h"

/* After init's end: how long the rest of the container may take before it is killed; how often to look. */
#define END_PATIENCE_NS (10 * NSEC_PER_SEC)
#define END_TICK_MS 10
#define SHARED_TICK_MS 200

enum state {
	READY,	  /* the hook has the trees; the runtime may not have them yet */
	RUNNING,  /* nothing to do but to renew, which the leases' threads do */
	PREPARED, /* a config.json names the trees: its engine lives, and somebody is to have them mounted */
	ENDING,	  /* init is gone, others of the container may not be */
	MOUNTED,  /* no container is known of: it lasts as long as somebody has a tree mounted */
	SHARED,	  /* the container has ended, others of its pod use a volume of it */
	RESTING,  /* all of them have, but the pod's sandbox has not */
	FINISHED,
	STATES
};

enum event { HOOK_DONE, INIT_ENDED, LEASE_LOST, TERMINATED, SYNC_DUE, CALLER, COMMAND, MOUNTS, TICK, EVENTS };

struct keeper {
	struct config config;
	bool configured; /* it is loaded, and the filter set that it allows */
	struct keeper_request request;
	struct hold hold;
	struct container_cgroup cgroup, freezer; /* freezer: once somebody asked for it */
	struct keeper_socket socket;
	struct mounted mounted;
	int hook_fd, pidfd, signal_fd, epoll_fd, timer_fd;
	int lock_fd;  /* to adopt: the volume's lock, until hold_adopt takes it */
	int event_fd; /* of the event that is handled now */
	unsigned n_callers;
	enum state state;
	int64_t kill_at_ns;
};

/* --- actions ---------------------------------------------------------------------- */

/*
 * A look at init's cgroup may come before the runtime moved it: each step tries
 * again until there is one. What is found of a process that has ended may be a
 * later one's of the same pid. By mounts, the process is whoever asked: none of its.
 */
static void find_cgroup(struct keeper *k)
{
	struct error ignored = ERROR_INIT;

	if (k->request.by_mounts || k->request.adopt || k->cgroup.fd >= 0 ||
	    container_cgroup_open(k->request.pid, &k->cgroup, &ignored) < 0)
		return;
	if (fd_readable(k->pidfd))
		container_cgroup_close(&k->cgroup);
}

static enum state settle(struct keeper *k)
{
	find_cgroup(k);
	hold_settle(&k->hold);
	hold_pin(&k->hold, k->pidfd);
	if (!k->request.adopt)
		hold_note(&k->hold, &k->cgroup);
	hold_redo(&k->hold);
	if (k->hold.grown)
		hold_evict(&k->hold);
	hold_sync_start(&k->hold);
	hold_sync_timer(&k->hold, k->timer_fd);
	keeper_memory_trim(&k->hold);
	return RUNNING;
}

static int find_freezer(struct keeper *k, struct error *err)
{
	if (k->freezer.fd >= 0)
		return 0;
	return freeze_find(k->request.pid, k->request.by_mounts ? -1 : k->pidfd, &k->freezer, err);
}

static int sync_now(struct keeper *k, bool all, struct error *err)
{
	bool shared = k->state == SHARED;
	int r = shared ? 0 : find_freezer(k, err);

	if (r == 0)
		r = hold_sync(&k->hold, shared ? NULL : &k->freezer, all, err);
	hold_sync_timer(&k->hold, k->timer_fd);
	keeper_socket_log(&k->socket, &k->hold.warnings);
	return r;
}

static enum state sync_due(struct keeper *k)
{
	struct error noted = ERROR_INIT;
	uint64_t times;

	if (read(k->timer_fd, &times, sizeof(times)) > 0)
		sync_now(k, false, &noted);
	return k->state;
}

/* For the container's delete all is done: it finds nobody at the socket any more, and what there was to tell. */
static enum state begin_rest(struct keeper *k)
{
	keeper_socket_log(&k->socket, &k->hold.warnings);
	keeper_socket_close(&k->socket);
	hold_tell_journal(&k->hold);
	keeper_memory_trim(&k->hold);
	return RESTING;
}

static bool try_rest(struct keeper *k)
{
	pid_t inhibitor = hold_is_dirty(&k->hold) ? inhibit_begin(k->request.id) : 0;
	bool rests = hold_rest(&k->hold);

	inhibit_end(inhibitor);
	return rests;
}

static enum state look_for_others(struct keeper *k)
{
	hold_quiet_own(&k->hold);
	if (hold_is_used(&k->hold))
		return SHARED;
	/* It may have been told to stop while the container ran, too: the signal is never read. */
	return !fd_readable(k->signal_fd) && hold_pod_lives(&k->hold) && try_rest(k) ? begin_rest(k) : FINISHED;
}

static enum state look_at_rest(struct keeper *k)
{
	static const enum state next[] = {[REST_GOES_ON] = RESTING, [REST_WOKEN] = SHARED, [REST_OVER] = FINISHED};

	enum state s = next[hold_look_at_rest(&k->hold, fd_readable(k->signal_fd))];

	if (s == SHARED) { /* somebody joined: the intervals begin anew */
		hold_sync_start(&k->hold);
		hold_sync_timer(&k->hold, k->timer_fd);
	}
	return s;
}

/* Without a cgroup nobody can be counted or killed: the container lasts while a mount namespace has a tree of ours. */
static enum state look_at_mounts(struct keeper *k)
{
	return mounted_elsewhere(&k->mounted, &k->hold) ? ENDING : look_for_others(k);
}

static enum state look_for_end(struct keeper *k)
{
	if (k->cgroup.fd < 0)
		return look_at_mounts(k);
	if (container_cgroup_empty(&k->cgroup))
		return look_for_others(k);
	if (clock_boottime_ns() >= k->kill_at_ns)
		container_cgroup_kill(&k->cgroup);
	return ENDING;
}

static enum state look_mounted(struct keeper *k)
{
	return mounted_look(&k->mounted, &k->hold, fd_readable(k->signal_fd)) ? MOUNTED : look_for_others(k);
}

/* Who had it mounted can't be followed to its end, as a container can: that nobody writes any more is looked for. */
static enum state begin_mounted(struct keeper *k)
{
	struct epoll_event e = {.events = EPOLLPRI, .data.u64 = MOUNTS};
	enum state s = look_mounted(k);

	hold_unsure(&k->hold);
	epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, k->mounted.info_fd, &e);
	return s;
}

/* Nobody is to come who would mount it. */
static enum state end_mounted(struct keeper *k)
{
	mounted_end(&k->mounted);
	if (k->request.by_mounts && k->state <= PREPARED)
		return begin_mounted(k);
	return k->state == MOUNTED ? look_mounted(k) : k->state;
}

/* An engine may live for ever: it does not count without a container. */
static enum state begin_prepared(struct keeper *k, enum state s)
{
	if (!k->request.by_mounts || k->request.directory)
		return s;
	mounted_await(&k->mounted, &k->hold);
	return PREPARED;
}

static enum state look_prepared(struct keeper *k)
{
	if (mounted_awaited(&k->mounted, &k->hold))
		return PREPARED;
	hold_tell_journal(&k->hold); /* nobody else comes to hear of it */
	return end_mounted(k);
}

/* A runtime's hook that gave up has a container, whose end comes; without one, nobody got the mounts. */
static enum state hook_done(struct keeper *k)
{
	return k->request.by_mounts && hook_gave_up(k->hook_fd) ? end_mounted(k) : begin_prepared(k, settle(k));
}

static enum state begin_end(struct keeper *k)
{
	if (k->request.by_mounts)
		return begin_mounted(k);
	k->kill_at_ns = clock_boottime_ns() + END_PATIENCE_NS;
	return look_for_end(k);
}

static enum state keep_lost(struct keeper *k)
{
	hold_check_lost(&k->hold);
	keeper_socket_log(&k->socket, &k->hold.warnings);
	return k->state;
}

/* A container that runs can't be committed: the keeper stays until it has ended, whoever asks. */
static enum state stay(struct keeper *k)
{
	return k->state;
}

/* --- callers ---------------------------------------------------------------------- */

static void watch_caller(struct keeper *k, int fd, enum event event, int op)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.u64 = event};

	e.data.u64 |= (uint64_t)fd << 32;
	if (epoll_ctl(k->epoll_fd, op, fd, &e) < 0 && op == EPOLL_CTL_ADD && event == COMMAND) {
		close(fd);
		k->n_callers--;
	}
}

static enum state meet(struct keeper *k)
{
	int fd = caller_accept(k->socket.listen_fd);

	if (fd >= 0) {
		k->n_callers++;
		watch_caller(k, fd, COMMAND, EPOLL_CTL_ADD);
	}
	if (k->n_callers < CALLERS_MAX)
		watch_caller(k, k->socket.listen_fd, CALLER, EPOLL_CTL_MOD);
	return k->state;
}

static const char *const no_sync[STATES] = {
    [READY] = "the container is still being created",
    [PREPARED] = "nobody knows who writes to it, to make him stop for a moment",
    [ENDING] = "the container has ended; its last commit is on its way",
    [MOUNTED] = "nobody knows who writes to it, to make him stop for a moment; volrun volume unmount commits",
    [RESTING] = "the container has ended, and is committed",
};

static int checkpoint_now(struct keeper *k, struct arena *a, struct keeper_outcome *ret, struct error *err)
{
	int r = find_freezer(k, &(struct error)ERROR_INIT);

	return hold_checkpoint(&k->hold, r == 0 ? &k->freezer : NULL, a, ret, err);
}

static enum state obey(struct keeper *k)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct keeper_outcome outcome = {0};
	struct error err = ERROR_INIT;
	enum state next = k->state;
	const char *command;
	int fd = k->event_fd;

	if (caller_command(fd, &a, &command) > 0) {
		int r = 0;

		if (strncmp(command, KEEPER_HAS, strlen(KEEPER_HAS)) == 0)
			r = caller_means(command, k->request.pid, &err);
		else if (strcmp(command, KEEPER_ENDED) == 0)
			next = end_mounted(k);
		else if (strcmp(command, KEEPER_SYNC) != 0 && strcmp(command, KEEPER_CHECKPOINT) != 0)
			r = error_set(&err, EINVAL, "the keeper knows no command \"%s\"", command);
		else if (no_sync[k->state])
			r = error_set(&err, ESRCH, "%s", no_sync[k->state]);
		else if (strcmp(command, KEEPER_CHECKPOINT) == 0)
			r = checkpoint_now(k, &a, &outcome, &err);
		else
			r = sync_now(k, true, &err);
		outcome.error = r < 0 ? err.msg : NULL;
		caller_answer(fd, &k->hold, &outcome);
	}
	close(fd);
	if (k->n_callers-- == CALLERS_MAX)
		watch_caller(k, k->socket.listen_fd, CALLER, EPOLL_CTL_MOD);
	return next;
}

typedef enum state (*action)(struct keeper *k);

/* clang-format off */
static const action table[STATES][EVENTS] = {
	/*            HOOK_DONE  INIT_ENDED  LEASE_LOST  TERMINATED  SYNC_DUE  CALLER  COMMAND  MOUNTS        TICK */
	[READY]   = { hook_done, begin_end,  keep_lost,  stay,       stay,     meet,   obey,    stay,         stay },
	[RUNNING] = { stay,      begin_end,  keep_lost,  stay,       sync_due, meet,   obey,    stay,         stay },
	[PREPARED] = {stay,      begin_end,  keep_lost,  stay,       stay,     meet,   obey,    stay,         look_prepared },
	[ENDING]  = { stay,      stay,       keep_lost,  stay,       stay,     meet,   obey,    stay,         look_for_end },
	[MOUNTED] = { stay,      stay,       keep_lost,  look_mounted, stay,   meet,   obey,    look_mounted, look_mounted },
	[SHARED]  = { stay,      stay,       keep_lost,  stay,       sync_due, meet,   obey,    stay,         look_for_others },
	[RESTING] = { stay,      stay,       look_at_rest, look_at_rest, stay, stay,   obey,    stay,         look_at_rest },
};
/* clang-format on */

/* --- waiting ------------------------------------------------------------------------ */

/* Each descriptor tells of its event once. */
static int watch(struct keeper *k, int fd, enum event event, unsigned flags, struct error *err)
{
	struct epoll_event e = {.events = flags | EPOLLONESHOT, .data.u64 = event};

	if (epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		return error_set(err, errno, "keeper: can't wait for events (error %d)", errno);
	return 0;
}

static int watch_leases(struct keeper *k, struct error *err)
{
	size_t i;
	int r = 0;

	for (i = 0; i < k->hold.n && r == 0; i++)
		if (k->hold.volumes[i].lease)
			r = watch(k, lease_lost_fd(k->hold.volumes[i].lease), LEASE_LOST, EPOLLIN, err);
	return r;
}

static void loop(struct keeper *k)
{
	while (k->state != FINISHED) {
		struct epoll_event e;
		int tick = k->state == ENDING				 ? END_TICK_MS
			   : k->state == MOUNTED || k->state == PREPARED ? mounted_tick_ms(&k->mounted)
			   : k->state == SHARED || k->state == RESTING	 ? SHARED_TICK_MS
									 : -1;
		int n = epoll_wait(k->epoll_fd, &e, 1, tick);

		if (n < 0)
			continue;
		k->event_fd = (int)(e.data.u64 >> 32);
		k->state = table[k->state][n ? (uint32_t)e.data.u64 : TICK](k);
	}
}

/* --- the way there -------------------------------------------------------------------- */

static int receive_request(struct keeper *k, struct arena *arena, struct error *err)
{
	int fd, r = hook_request(k->hook_fd, arena, &k->request, &fd, err);

	*(r == 0 && k->request.adopt ? &k->lock_fd : &k->pidfd) = fd;
	return r;
}

/* Until the answer, the end of the hook or of init cancels all. */
static int watch_create(struct keeper *k, struct error *err)
{
	int r;

	k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll_fd < 0)
		return error_set(err, errno, "keeper: can't wait for events (error %d)", errno);
	r = watch(k, k->hook_fd, HOOK_DONE, EPOLLRDHUP, err);
	if (r == 0 && k->pidfd >= 0)
		r = watch(k, k->pidfd, INIT_ENDED, EPOLLIN, err);
	if (r == 0)
		r = watch(k, k->signal_fd, TERMINATED, EPOLLIN, err);
	return r;
}

/* Only one that can be frozen can be committed while it runs. */
static int prepare_sync(struct keeper *k, struct error *err)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = SYNC_DUE};
	int r;

	if (!hold_wants_sync(&k->hold))
		return 0;
	r = find_freezer(k, err);
	if (r < 0)
		return error_wrap(err, "sync=");
	k->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (k->timer_fd < 0 || epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, k->timer_fd, &e) < 0)
		return error_set(err, errno, "keeper: can't make a timer (error %d)", errno);
	return 0;
}

/* Not before the hook has its answer: until then any event cancels. */
static void begin_callers(struct keeper *k)
{
	watch_caller(k, k->socket.listen_fd, CALLER, EPOLL_CTL_ADD);
}

static int open_hold(struct keeper *k, struct arena *arena, struct error *err)
{
	int r = k->configured ? 0 : keeper_configure(k->request.config, arena, &k->config, err);

	if (r == 0)
		r = watch_create(k, err);
	if (r == 0)
		r = keeper_socket_open(&k->socket, k->config.run_dir, k->request.id, k->request.bundle, err);
	if (r == 0)
		r = hold_open(&k->hold, &k->config, &k->request, k->epoll_fd, err);
	k->hold.stop_fd = k->signal_fd;
	return r;
}

static int prepare(struct keeper *k, struct arena *arena, struct error *err)
{
	int r = open_hold(k, arena, err);

	if (r == 0)
		find_cgroup(k);
	if (r == 0)
		r = prepare_sync(k, err);
	if (r == 0)
		r = hold_take(&k->hold, err);
	if (r == 0)
		hold_note(&k->hold, &k->cgroup);
	return r;
}

static int answer_ready(struct keeper *k, struct error *err)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.u64 = HOOK_DONE};
	int r = watch_leases(k, err);

	if (r == 0 && epoll_ctl(k->epoll_fd, EPOLL_CTL_MOD, k->hook_fd, &e) < 0)
		r = error_set(err, errno, "keeper: can't wait for events (error %d)", errno);
	if (r == 0)
		r = hook_answer(k->hook_fd, &k->hold, err);
	hold_tell_journal(&k->hold);
	return r;
}

static void finish(struct keeper *k)
{
	pid_t inhibitor = hold_is_dirty(&k->hold) ? inhibit_begin(k->request.id) : 0;

	hold_finish(&k->hold);
	inhibit_end(inhibitor);
}

/* From the request to the end. The error is for the hook. */
static int keep(struct keeper *k, struct arena *arena, struct error *err)
{
	int r = prepare(k, arena, err);

	if (r < 0)
		return r;
	r = answer_ready(k, err);
	/* After it: the filter takes the kernel a while, and the container waits for the answer. */
	keeper_begin_run(&k->config, &k->hold.warnings);
	begin_callers(k);
	/* A hook that could not be answered is gone, and with it the create; init follows, or has ended. */
	loop(k);
	finish(k);
	return r;
}

/* What the dead one may have left frozen is thawed by the look at it. */
static void begin_adopted(struct keeper *k)
{
	struct error noted = ERROR_INIT;

	if (k->pidfd < 0) {
		hold_unsure(&k->hold);
		k->state = begin_end(k);
		return;
	}
	k->state = begin_prepared(k, RUNNING);
	hold_settle(&k->hold);
	hold_pin(&k->hold, k->pidfd);
	begin_callers(k);
	find_freezer(k, &noted);
	if (prepare_sync(k, &noted) == 0) {
		hold_sync_start(&k->hold);
		hold_sync_timer(&k->hold, k->timer_fd);
	}
}

/* In place of the keeper that died: the container that it had runs already. */
static int adopt(struct keeper *k, struct arena *arena, struct error *err)
{
	static const struct keeper_answer done;
	struct keeper_note note;
	int r;

	r = open_hold(k, arena, err);
	if (r == 0)
		r = hold_adopt(&k->hold, TAKE_FD(k->lock_fd), arena, &note, err);
	if (r < 0)
		return r;
	k->pidfd = keeper_note_open_init(&note);
	keeper_note_cgroup(&note, &k->cgroup);
	hold_note(&k->hold, &k->cgroup);
	r = watch_leases(k, err);
	if (r == 0 && k->pidfd >= 0)
		r = watch(k, k->pidfd, INIT_ENDED, EPOLLIN, err);
	keeper_begin_run(&k->config, &k->hold.warnings);
	if (r == 0)
		r = keeper_send(k->hook_fd, &keeper_answer_table, &done, NULL, 0, err);
	keeper_socket_log(&k->socket, &k->hold.warnings);
	begin_adopted(k);
	loop(k);
	finish(k);
	return r;
}

/* config: of the request that will come, "" for none; NULL: it is not known yet. */
static int run(int sock, const char *config)
{
	struct keeper k = {.hook_fd = sock, .pidfd = -1, .lock_fd = -1, .epoll_fd = -1, .timer_fd = -1};
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	int r;

	k.socket = KEEPER_SOCKET_INIT;
	k.hold.cache_fd = k.hold.mnt_ns = k.cgroup.fd = k.freezer.fd = k.mounted.info_fd = -1;
	if (keeper_become_background(&k.hook_fd, &k.signal_fd) < 0)
		return 1;
	container_cgroup_remember_self();
	r = keeper_confine(&err);
	if (r == 0 && config)
		k.configured = keeper_begin_early(config, &arena, &k.config);
	if (r == 0)
		r = receive_request(&k, &arena, &err);
	if (r == 0)
		r = k.request.adopt ? adopt(&k, &arena, &err) : keep(&k, &arena, &err);
	keeper_tell_refused(&k.hold.warnings);
	/* Of a start that failed nobody reads it: its hook knows, or is gone. The journal has it. */
	if (r == 0 || k.request.adopt)
		keeper_socket_log(&k.socket, &k.hold.warnings);
	keeper_socket_close(&k.socket);
	hold_tell_journal(&k.hold);
	hold_close(&k.hold);
	container_cgroup_close(&k.cgroup);
	container_cgroup_close(&k.freezer);
	if (r < 0)
		hook_answer_failure(k.hook_fd, &err);
	keeper_end_early();
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const char option[] = "--socket=", config[] = "--config=";
	int64_t fd;

	if ((argc == 2 || (argc == 3 && strncmp(argv[2], config, strlen(config)) == 0)) &&
	    strncmp(argv[1], option, strlen(option)) == 0 &&
	    num_parse_i64(argv[1] + strlen(option), 3, INT32_MAX, &fd) == 0)
		return run((int)fd, argc == 3 ? argv[2] + strlen(config) : NULL);
	fprintf(stderr,
		"volrun-keeper holds the volumes of a container. volrun-hook starts it; see volrun-hook --help.\n");
	return 2;
}

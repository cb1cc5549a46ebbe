/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/store/credentials.h"

#define DEFAULT_CACHE_BYTES (UINT64_C(10) << 30)

static const char *const engine_names[] = {"", "local", "containerd-cri", "cri-o", NULL};

static const struct json_field credentials_fields[] = {
    JSON_FIELD(struct credentials_config, from, "from", JSON_STR),
    JSON_FIELD(struct credentials_config, file, "file", JSON_STR),
    JSON_FIELD(struct credentials_config, config_file, "config_file", JSON_STR),
    JSON_FIELD(struct credentials_config, profile, "profile", JSON_STR),
    JSON_FIELD(struct credentials_config, process, "process", JSON_STR),
    JSON_FIELD(struct credentials_config, role_arn, "role_arn", JSON_STR),
    JSON_FIELD(struct credentials_config, role_session_name, "role_session_name", JSON_STR),
    JSON_FIELD(struct credentials_config, token_file, "token_file", JSON_STR),
    JSON_FIELD(struct credentials_config, token_endpoint, "token_endpoint", JSON_STR),
    JSON_FIELD(struct credentials_config, container_uri, "container_uri", JSON_STR),
    JSON_FIELD(struct credentials_config, container_token_file, "container_token_file", JSON_STR),
    JSON_FIELD(struct credentials_config, metadata_endpoint, "metadata_endpoint", JSON_STR),
    JSON_FIELD(struct credentials_config, tenant_id, "tenant_id", JSON_STR),
    JSON_FIELD(struct credentials_config, client_id, "client_id", JSON_STR),
    JSON_FIELD(struct credentials_config, client_secret_file, "client_secret_file", JSON_STR),
    {NULL},
};
static const struct json_table credentials_table = {"credentials", sizeof(struct credentials_config),
						    credentials_fields, JSON_STRICT};

static const struct json_field store_fields[] = {
    JSON_FIELD(struct store_config, type, "type", JSON_STR, .required = true),
    JSON_FIELD(struct store_config, path, "path", JSON_STR),
    JSON_FIELD(struct store_config, bucket, "bucket", JSON_STR),
    JSON_FIELD(struct store_config, region, "region", JSON_STR),
    JSON_FIELD(struct store_config, endpoint, "endpoint", JSON_STR),
    JSON_FIELD(struct store_config, prefix, "prefix", JSON_STR),
    JSON_FIELD(struct store_config, encryption, "encryption", JSON_STR),
    JSON_FIELD(struct store_config, kms_key_id, "kms_key_id", JSON_STR),
    JSON_FIELD(struct store_config, requester_pays, "requester_pays", JSON_BOOL),
    JSON_FIELD(struct store_config, user_project, "user_project", JSON_STR),
    JSON_FIELD(struct store_config, path_style, "path_style", JSON_BOOL),
    JSON_FIELD(struct store_config, ca_file, "ca_file", JSON_STR),
    JSON_FIELD(struct store_config, access_key_id, "access_key_id", JSON_STR),
    JSON_FIELD(struct store_config, secret_access_key_file, "secret_access_key_file", JSON_STR),
    JSON_FIELD(struct store_config, secret_access_key, "secret_access_key", JSON_STR),
    JSON_FIELD(struct store_config, session_token_file, "session_token_file", JSON_STR),
    JSON_FIELD(struct store_config, account, "account", JSON_STR),
    JSON_FIELD(struct store_config, container, "container", JSON_STR),
    JSON_FIELD(struct store_config, account_key_file, "account_key_file", JSON_STR),
    JSON_FIELD(struct store_config, account_key, "account_key", JSON_STR),
    JSON_FIELD(struct store_config, sas_token_file, "sas_token_file", JSON_STR),
    JSON_FIELD(struct store_config, sas_token, "sas_token", JSON_STR),
    JSON_FIELD(struct store_config, connection_string_file, "connection_string_file", JSON_STR),
    JSON_FIELD(struct store_config, connection_string, "connection_string", JSON_STR),
    JSON_FIELD(struct store_config, credentials, "credentials", JSON_OBJ, .table = &credentials_table),
    JSON_FIELD(struct store_config, proxy, "proxy", JSON_STR),
    JSON_FIELD(struct store_config, max_bytes_per_second, "max_bytes_per_second", JSON_U64),
    JSON_FIELD(struct store_config, connect_timeout_ms, "connect_timeout_ms", JSON_U32),
    JSON_FIELD(struct store_config, low_speed_seconds, "low_speed_seconds", JSON_U32),
    JSON_FIELD(struct store_config, parallel, "parallel", JSON_U32),
    JSON_FIELD(struct store_config, foreign_ignore, "foreign_ignore", JSON_BOOL),
    {NULL},
};
static const struct json_table store_table = {"store", sizeof(struct store_config), store_fields, JSON_STRICT};

static const struct json_field identity_fields[] = {
    JSON_FIELD(struct config_identity, engine, "engine", JSON_ENUM, .names = engine_names),
    JSON_FIELD(struct config_identity, workspace, "workspace", JSON_STR),
    {NULL},
};
static const struct json_table identity_table = {"identity", sizeof(struct config_identity), identity_fields,
						 JSON_STRICT};

static const struct json_field access_fields[] = {
    JSON_LIST(struct config_access, admins, "admins", JSON_ARR_STR),
    {NULL},
};
static const struct json_table access_table = {"access", sizeof(struct config_access), access_fields, JSON_STRICT};

static const struct json_field cache_fields[] = {
    JSON_FIELD(struct config_cache, path, "path", JSON_STR),
    JSON_FIELD(struct config_cache, max_bytes, "max_bytes", JSON_U64),
    {NULL},
};
static const struct json_table cache_table = {"cache", sizeof(struct config_cache), cache_fields, JSON_STRICT};

static const struct json_field lease_fields[] = {
    JSON_FIELD(struct config_lease, ttl, "ttl", JSON_STR),
    JSON_FIELD(struct config_lease, renew, "renew", JSON_STR),
    JSON_FIELD(struct config_lease, poll, "poll", JSON_STR),
    JSON_FIELD(struct config_lease, delete_wait, "delete_wait", JSON_STR),
    JSON_FIELD(struct config_lease, delete_mode, "delete", JSON_STR),
    JSON_FIELD(struct config_lease, prepare_timeout, "prepare_timeout", JSON_STR),
    JSON_FIELD(struct config_lease, pod_timeout, "pod_timeout", JSON_STR),
    JSON_FIELD(struct config_lease, mount_timeout, "mount_timeout", JSON_STR),
    {NULL},
};
static const struct json_table lease_table = {"lease", sizeof(struct config_lease), lease_fields, JSON_STRICT};

static const struct json_field limits_fields[] = {
    JSON_FIELD(struct config_limits, volumes_per_workspace, "volumes_per_workspace", JSON_U64),
    JSON_FIELD(struct config_limits, bytes_per_volume, "bytes_per_volume", JSON_U64),
    JSON_FIELD(struct config_limits, files_per_volume, "files_per_volume", JSON_U64),
    JSON_FIELD(struct config_limits, bytes_per_file, "bytes_per_file", JSON_U64),
    {NULL},
};
static const struct json_table limits_table = {"limits", sizeof(struct config_limits), limits_fields, JSON_STRICT};

static const struct json_field metrics_fields[] = {
    JSON_FIELD(struct config_metrics, path, "path", JSON_STR),
    {NULL},
};
static const struct json_table metrics_table = {"metrics", sizeof(struct config_metrics), metrics_fields, JSON_STRICT};

static const struct json_field sync_fields[] = {
    JSON_FIELD(struct config_sync, max_frozen, "max_frozen", JSON_STR),
    JSON_FIELD(struct config_sync, max_copy_bytes, "max_copy_bytes", JSON_OPT_U64),
    {NULL},
};
static const struct json_table sync_table = {"sync", sizeof(struct config_sync), sync_fields, JSON_STRICT};

/* One file. Sections are pointers: only those that it has replace earlier ones. */
struct config_file {
	struct store_config *stores;
	size_t n_stores;
	const char *default_store;
	struct config_identity *identity;
	struct config_access *access;
	struct config_cache *cache;
	struct config_lease *lease;
	struct config_limits *limits;
	struct config_metrics *metrics;
	struct config_sync *sync;
	const char **mount_prefixes;
	size_t n_mount_prefixes;
	const char *node_name, *run_dir, *recover;
};

static const struct json_field file_fields[] = {
    JSON_LIST(struct config_file, stores, "stores", JSON_MAP_OBJ, .table = &store_table,
	      .key_offset = offsetof(struct store_config, name), .max_count = 1000),
    JSON_FIELD(struct config_file, default_store, "default_store", JSON_STR),
    JSON_FIELD(struct config_file, identity, "identity", JSON_OBJ_PTR, .table = &identity_table),
    JSON_FIELD(struct config_file, access, "access", JSON_OBJ_PTR, .table = &access_table),
    JSON_FIELD(struct config_file, cache, "cache", JSON_OBJ_PTR, .table = &cache_table),
    JSON_FIELD(struct config_file, lease, "lease", JSON_OBJ_PTR, .table = &lease_table),
    JSON_FIELD(struct config_file, limits, "limits", JSON_OBJ_PTR, .table = &limits_table),
    JSON_FIELD(struct config_file, metrics, "metrics", JSON_OBJ_PTR, .table = &metrics_table),
    JSON_FIELD(struct config_file, sync, "sync", JSON_OBJ_PTR, .table = &sync_table),
    JSON_LIST(struct config_file, mount_prefixes, "mount_prefixes", JSON_ARR_STR),
    JSON_FIELD(struct config_file, node_name, "node_name", JSON_STR),
    JSON_FIELD(struct config_file, run_dir, "run_dir", JSON_STR),
    JSON_FIELD(struct config_file, recover, "recover", JSON_STR),
    {NULL},
};
static const struct json_table file_table = {"config", sizeof(struct config_file), file_fields, JSON_STRICT};

int64_t config_duration(const char *text, int64_t fallback)
{
	int64_t ns;

	return text && duration_parse(text, &ns) == 0 ? ns : fallback;
}

/* --- one file ------------------------------------------------------------------- */

static int check_secrets(const char *path, const struct config_file *f, const struct stat *st, struct error *err)
{
	size_t i;

	for (i = 0; i < f->n_stores; i++) {
		const struct store_config *s = &f->stores[i];
		const char *name = s->secret_access_key		       ? "secret_access_key"
				   : s->account_key		       ? "account_key"
				   : s->sas_token		       ? "sas_token"
				   : s->connection_string	       ? "connection_string"
				   : s->proxy && strchr(s->proxy, '@') ? "proxy"
								       : NULL;

		if (name && (st->st_uid != geteuid() || (st->st_mode & 077)))
			return error_set(err, EINVAL,
					 "%s: holds a secret in clear (stores.%s.%s): it must belong to "
					 "uid %u with mode 0600%s%s%s",
					 path, s->name, name, (unsigned)geteuid(),
					 strcmp(name, "proxy") ? "; or use " : "", strcmp(name, "proxy") ? name : "",
					 strcmp(name, "proxy") ? "_file" : "");
	}
	return 0;
}

/* 1: read; 0: there is none. */
static int read_config(const char *path, struct arena *arena, struct config_file *ret, struct error *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "configuration %s: can't be opened (error %d)", path, errno);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "configuration %s: not a regular file", path);
	r = read_fd(fd, JSON_MAX_SIZE, &text, &len);
	if (r < 0)
		return error_set(err, r, "configuration %s: can't be read (error %d)", path, -r);
	r = json_parse(text, len, path, &file_table, arena, ret, err);
	if (r == 0)
		r = check_secrets(path, ret, &st, err);
	return r < 0 ? r : 1;
}

static int merge_stores(struct config *c, const struct config_file *f, struct arena *arena, struct error *err)
{
	struct store_config *all = arena_calloc(arena, c->n_stores + f->n_stores, sizeof(*all));
	size_t i, j, n = c->n_stores;

	if (!all)
		return error_set(err, ENOMEM, "out of memory");
	if (n)
		memcpy(all, c->stores, n * sizeof(*all));
	for (i = 0; i < f->n_stores; i++) {
		for (j = 0; j < n && strcmp(all[j].name, f->stores[i].name) != 0; j++)
			;
		all[j] = f->stores[i];
		if (j == n)
			n++;
	}
	c->stores = all;
	c->n_stores = n;
	return 0;
}

static int merge(struct config *c, const struct config_file *f, struct arena *arena, struct error *err)
{
	if (f->identity)
		c->identity = *f->identity;
	if (f->access)
		c->access = *f->access;
	if (f->cache)
		c->cache = *f->cache;
	if (f->lease)
		c->lease = *f->lease;
	if (f->limits)
		c->limits = *f->limits;
	if (f->metrics)
		c->metrics = *f->metrics;
	if (f->sync)
		c->sync = *f->sync;
	if (f->default_store)
		c->default_store = f->default_store;
	if (f->node_name)
		c->node_name = f->node_name;
	if (f->run_dir)
		c->run_dir = f->run_dir;
	if (f->recover)
		c->recover = f->recover;
	if (f->mount_prefixes) {
		c->mount_prefixes = f->mount_prefixes;
		c->n_mount_prefixes = f->n_mount_prefixes;
	}
	return f->n_stores ? merge_stores(c, f, arena, err) : 0;
}

static int add_file(const char *path, struct arena *arena, struct config *c, struct error *err)
{
	struct config_file f;
	int r = read_config(path, arena, &f, err);

	if (r <= 0)
		return r;
	r = merge(c, &f, arena, err);
	return r < 0 ? r : 1;
}

static int json_name(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_name[0] != '.' && dot && strcmp(dot, ".json") == 0;
}

static int add_dir(const char *dir, struct arena *arena, struct config *c, struct error *err)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, json_name, alphasort), r = 0, i;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR
			   ? 0
			   : error_set(err, errno, "configuration %s: can't be listed (error %d)", dir, errno);
	for (i = 0; i < n; i++) {
		const char *path = arena_printf(arena, "%s/%s", dir, names[i]->d_name);

		if (r >= 0)
			r = path ? add_file(path, arena, c, err) : error_set(err, ENOMEM, "out of memory");
		free(names[i]);
	}
	free(names);
	return r < 0 ? r : 0;
}

/* --- defaults and checks ---------------------------------------------------------- */

/* Root of a user namespace has not the host's /var and /etc to write to. */
static bool is_rootless(void)
{
	_cleanup_free_ char *map = NULL;
	unsigned inside, outside, count;

	if (geteuid() != 0)
		return true;
	if (read_file_at(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL) < 0)
		return false;
	return sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && !(outside == 0 && count == UINT32_MAX);
}

/* $name/suffix, else $HOME/home/suffix, else NULL. */
static const char *user_dir(struct arena *a, const char *name, const char *home, const char *suffix)
{
	const char *dir = getenv(name), *h = getenv("HOME");

	if (dir && dir[0] == '/')
		return arena_printf(a, "%s/%s", dir, suffix);
	if (home && h && h[0] == '/')
		return arena_printf(a, "%s/%s/%s", h, home, suffix);
	return NULL;
}

static int set_defaults(struct config *c, struct arena *a, struct error *err)
{
	bool rootless = is_rootless();
	const char *store =
	    rootless ? user_dir(a, "XDG_DATA_HOME", ".local/share", "volrun/store") : "/var/lib/volrun/store";

	if (c->n_stores == 0) {
		c->stores = arena_calloc(a, 1, sizeof(*c->stores));
		if (!c->stores)
			return error_set(err, ENOMEM, "out of memory");
		c->stores[0] = (struct store_config){.name = "default", .type = "filesystem", .path = store};
		c->n_stores = 1;
	}
	if (!c->default_store)
		c->default_store = c->n_stores == 1 ? c->stores[0].name : "default";
	if (!c->identity.workspace)
		c->identity.workspace = "default";
	if (!c->cache.path)
		c->cache.path = rootless ? user_dir(a, "XDG_CACHE_HOME", ".cache", "volrun") : "/var/cache/volrun";
	if (!c->cache.max_bytes)
		c->cache.max_bytes = DEFAULT_CACHE_BYTES;
	if (!c->run_dir)
		c->run_dir = rootless ? user_dir(a, "XDG_RUNTIME_DIR", NULL, "volrun-volumes") : "/run/volrun-volumes";
	if (!c->cache.path || !c->run_dir)
		return error_set(err, EINVAL,
				 "configuration: no place for cache and sockets: set HOME and XDG_RUNTIME_DIR, or "
				 "cache.path and run_dir");
	return 0;
}

static bool is_token(const char *s, size_t max)
{
	size_t len = strlen(s);

	return len > 0 && len <= max && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static int missing(const struct store_config *s, const char *key, const char *value, struct error *err)
{
	return value && value[0] ? 0 : error_set(err, EINVAL, "configuration: stores.%s.%s: missing", s->name, key);
}

static int check_credentials(const struct store_config *s, enum credentials_cloud cloud, struct error *err)
{
	const char *from = s->credentials.from;

	if (!from || credentials_provider_known(cloud, from))
		return 0;
	return error_set(err, EINVAL, "configuration: stores.%s.credentials.from: \"%s\" is no source of type %s",
			 s->name, from, s->type);
}

/* Of all stores behind HTTP. */
static int check_transport(const struct store_config *s, struct error *err)
{
	static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
	bool known = !s->proxy || !s->proxy[0];
	size_t i;

	for (i = 0; !known && i < ARRAY_SIZE(schemes); i++)
		known = strncasecmp(s->proxy, schemes[i], strlen(schemes[i])) == 0;
	if (!known)
		return error_set(
		    err, EINVAL,
		    "configuration: stores.%s.proxy: must be http(s)://host:port, socks5(h)://host:port or \"\"",
		    s->name);
	if (s->max_bytes_per_second > 0 && s->max_bytes_per_second < 65536)
		return error_set(err, EINVAL, "configuration: stores.%s.max_bytes_per_second: is under 65536", s->name);
	return 0;
}

static int check_store(const struct store_config *s, struct error *err)
{
	int r = check_transport(s, err);

	if (r < 0)
		return r;

	if (!is_token(s->name, 100))
		return error_set(err, EINVAL, "configuration: stores: \"%s\" is no name for a store", s->name);
	if (strcmp(s->type, "filesystem") == 0) {
		if (!s->path || s->path[0] != '/')
			return error_set(err, EINVAL, "configuration: stores.%s.path: must be absolute", s->name);
		return 0;
	}
	if (strcmp(s->type, "s3") == 0) {
		r = missing(s, "bucket", s->bucket, err);
		return r < 0 ? r : check_credentials(s, CREDENTIALS_S3, err);
	}
	if (strcmp(s->type, "gcs") == 0) {
		r = missing(s, "bucket", s->bucket, err);
		return r < 0 ? r : check_credentials(s, CREDENTIALS_GCS, err);
	}
	if (strcmp(s->type, "azure") == 0) {
		r = missing(s, "container", s->container, err);
		return r < 0 ? r : check_credentials(s, CREDENTIALS_AZURE, err);
	}
	return error_set(err, EINVAL, "configuration: stores.%s.type: \"%s\" is not one of azure, filesystem, gcs, s3",
			 s->name, s->type);
}

static int check_durations(const struct config_lease *l, struct error *err)
{
	const struct {
		const char *name, *text;
	} all[] = {{"ttl", l->ttl},
		   {"renew", l->renew},
		   {"poll", l->poll},
		   {"delete_wait", l->delete_wait},
		   {"prepare_timeout", l->prepare_timeout},
		   {"pod_timeout", l->pod_timeout},
		   {"mount_timeout", l->mount_timeout}};
	int64_t ttl = config_duration(l->ttl, 60 * NSEC_PER_SEC), ns;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].text && (duration_parse(all[i].text, &ns) < 0 || ns < 0))
			return error_set(err, EINVAL, "configuration: lease.%s: \"%s\" is no duration (as \"10s\")",
					 all[i].name, all[i].text);
	if (ttl < NSEC_PER_SEC || ttl > 3600 * NSEC_PER_SEC)
		return error_set(err, EINVAL, "configuration: lease.ttl: \"%s\" is not within 1s and 1h", l->ttl);
	if (l->renew && (config_duration(l->renew, 0) <= 0 || config_duration(l->renew, 0) > ttl / 2))
		return error_set(err, EINVAL,
				 "configuration: lease.renew: \"%s\" is not above 0 and at most half of ttl", l->renew);
	if (l->poll && config_duration(l->poll, 0) < 10 * NSEC_PER_MSEC)
		return error_set(err, EINVAL, "configuration: lease.poll: \"%s\" is under 10ms", l->poll);
	/* Before that an engine has not come to its mounts. */
	if (l->mount_timeout && config_duration(l->mount_timeout, 0) < NSEC_PER_SEC)
		return error_set(err, EINVAL, "configuration: lease.mount_timeout: \"%s\" is under 1s",
				 l->mount_timeout);
	return 0;
}

static int check_sync(const struct config_sync *s, struct error *err)
{
	int64_t ns;

	if (s->max_frozen && (duration_parse(s->max_frozen, &ns) < 0 || ns < NSEC_PER_MSEC || ns > 60 * NSEC_PER_SEC))
		return error_set(err, EINVAL, "configuration: sync.max_frozen: \"%s\" is not within 1ms and 60s",
				 s->max_frozen);
	return 0;
}

static int check(const struct config *c, struct error *err)
{
	size_t i;
	int r;

	for (i = 0; i < c->n_stores; i++) {
		r = check_store(&c->stores[i], err);
		if (r < 0)
			return r;
	}
	r = check_sync(&c->sync, err);
	if (r < 0)
		return r;
	if (!config_store(c, NULL))
		return error_set(err, EINVAL, "configuration: default_store: there is no store \"%s\"",
				 c->default_store);
	if (c->cache.path[0] != '/' || c->run_dir[0] != '/')
		return error_set(err, EINVAL, "configuration: cache.path and run_dir must be absolute");
	for (i = 0; i < c->n_mount_prefixes; i++)
		if (c->mount_prefixes[i][0] != '/')
			return error_set(err, EINVAL, "configuration: mount_prefixes: \"%s\" is not absolute",
					 c->mount_prefixes[i]);
	for (i = 0; i < c->access.n_admins; i++)
		if (strncmp(c->access.admins[i], "u/", 2) != 0 && strncmp(c->access.admins[i], "g/", 2) != 0)
			return error_set(err, EINVAL,
					 "configuration: access.admins: \"%s\" is neither u/USER nor g/GROUP",
					 c->access.admins[i]);
	if (c->lease.delete_mode && strcmp(c->lease.delete_mode, "wait") != 0)
		return error_set(err, EINVAL, "configuration: lease.delete: \"%s\" is not wait", c->lease.delete_mode);
	if (c->metrics.path && c->metrics.path[0] != '/')
		return error_set(err, EINVAL, "configuration: metrics.path must be absolute");
	if (c->recover && strcmp(c->recover, "conflicts") != 0 && strcmp(c->recover, "commit") != 0)
		return error_set(err, EINVAL, "configuration: recover: \"%s\" is neither conflicts nor commit",
				 c->recover);
	return check_durations(&c->lease, err);
}

/* --- loading ------------------------------------------------------------------------ */

static int finish(struct config *c, struct arena *arena, struct config *ret, struct error *err)
{
	int r = set_defaults(c, arena, err);

	if (r == 0)
		r = check(c, err);
	if (r == 0)
		*ret = *c;
	return r;
}

int config_load_list(const char *const *files, size_t n_files, const char *dir, struct arena *arena, struct config *ret,
		     struct error *err)
{
	struct config c = {0};
	int r = 0;
	size_t i;

	for (i = 0; i < n_files && r >= 0; i++)
		r = add_file(files[i], arena, &c, err);
	if (r >= 0 && dir)
		r = add_dir(dir, arena, &c, err);
	return r < 0 ? r : finish(&c, arena, ret, err);
}

const char *config_absolute(const char *path, struct arena *arena)
{
	const char *found = path ? path : getenv("VOLRUN_CONFIG");
	char cwd[PATH_MAX];

	if (!found || !found[0] || found[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return path;
	return arena_printf(arena, "%s/%s", cwd, found);
}

int config_load(const char *path, struct arena *arena, struct config *ret, struct error *err)
{
	const char *files[] = {"/usr/share/volrun/config.json", "/etc/volrun/config.json"};
	const char *dir = "/etc/volrun/conf.d";
	struct config c = {0};
	int r;

	if (!path)
		path = getenv("VOLRUN_CONFIG");
	if (!path || !path[0]) {
		if (is_rootless()) {
			files[1] = user_dir(arena, "XDG_CONFIG_HOME", ".config", "volrun/config.json");
			dir = user_dir(arena, "XDG_CONFIG_HOME", ".config", "volrun/conf.d");
		}
		return config_load_list(files, files[1] ? 2 : 1, dir, arena, ret, err);
	}
	r = add_file(path, arena, &c, err);
	if (r == 0)
		return error_set(err, EINVAL, "configuration %s: the file is missing", path);
	return r < 0 ? r : finish(&c, arena, ret, err);
}

const struct store_config *config_store(const struct config *c, const char *name)
{
	size_t i;

	if (!name)
		name = c->default_store;
	for (i = 0; i < c->n_stores; i++)
		if (strcmp(c->stores[i].name, name) == 0)
			return &c->stores[i];
	return NULL;
}

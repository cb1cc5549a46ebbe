/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/credentials_box.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"

struct store_config config;
const char *url;
struct credential_source *source;
struct credentials got; /* the last ones; strings are the source's */
static char paths[8][64];
static unsigned n_paths;

int set_up(void **state)
{
	static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
						"AWS_SECRET_ACCESS_KEY",
						"AWS_SESSION_TOKEN",
						"AWS_PROFILE",
						"AWS_EC2_METADATA_DISABLED",
						"AWS_WEB_IDENTITY_TOKEN_FILE",
						"AWS_CONTAINER_CREDENTIALS_FULL_URI",
						"GOOGLE_APPLICATION_CREDENTIALS",
						"AZURE_CLIENT_SECRET",
						"AZURE_STORAGE_KEY",
						"AZURE_STORAGE_CONNECTION_STRING",
						"IDENTITY_ENDPOINT"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	setenv("HOME", "/nonexistent", 1);
	url = fault_server_start();
	for (int i = 0; i < SCRIPT_MAX; i++)
		script[i].close = true;
	config = (struct store_config){.name = "cloud", .type = "s3", .bucket = "buck"};
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	credentials_close(source);
	source = NULL;
	fault_server_stop();
	while (n_paths > 0)
		unlink(paths[--n_paths]);
	return 0;
}

const char *file(const char *text)
{
	char *path = paths[n_paths++];
	int fd;

	strcpy(path, "/tmp/volrun-test-cred-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
	return path;
}

const char *at(const char *path)
{
	static char texts[4][128];
	static unsigned turn;
	char *text = texts[turn++ % 4];

	snprintf(text, sizeof(texts[0]), "%s%s", url, path);
	return text;
}

static int try_get(enum credentials_cloud cloud, struct error *err)
{
	const struct credentials *c = NULL;
	int r;

	if (!source) {
		r = credentials_open(&config, cloud, &source, err);
		if (r < 0)
			return r;
	}
	r = credentials_get(source, &c, err);
	if (r == 0)
		got = *c;
	return r;
}

void get(enum credentials_cloud cloud)
{
	struct error err = ERROR_INIT;

	if (try_get(cloud, &err) < 0)
		fail_msg("%s", err.msg);
}

void refused(enum credentials_cloud cloud, int code, const char *words)
{
	struct error err = ERROR_INIT;
	int r = try_get(cloud, &err);

	if (r != -code || !strstr(err.msg, words))
		fail_msg("%d: %s", r, err.msg);
	assert_null(strpbrk(err.msg, "\r\n"));
	assert_null(strstr(err.msg, "s3cr3t"));
}

void saw(unsigned request, const char *text)
{
	if (!strcasestr(seen_requests[request], text))
		fail_msg("request %u has no \"%s\": %s", request, text, seen_requests[request]);
}

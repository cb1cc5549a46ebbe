/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/azure_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "hooks/store/credentials_impl.h"

/* Microsoft's public constant for the emulator: no secret. */
#define EMULATOR_ACCOUNT "devstoreaccount1"
#define EMULATOR_KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define EMULATOR_URL "http://127.0.0.1:10000/" EMULATOR_ACCOUNT

struct parts {
	const char *account, *key, *sas, *blob_endpoint, *protocol, *suffix, *development;
};

static int take(struct parts *p, char *item, struct error *err)
{
	const struct {
		const char *name;
		const char **slot;
	} known[] = {{"AccountName", &p->account},
		     {"AccountKey", &p->key},
		     {"SharedAccessSignature", &p->sas},
		     {"BlobEndpoint", &p->blob_endpoint},
		     {"DefaultEndpointsProtocol", &p->protocol},
		     {"EndpointSuffix", &p->suffix},
		     {"UseDevelopmentStorage", &p->development}};
	char *equals = strchr(item, '=');

	if (!equals)
		return error_set(err, EINVAL, "the connection string has a part without '='");
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcasecmp(item, known[i].name))
			*known[i].slot = equals + 1;
	return 0; /* others are of queues, tables and files */
}

int azure_connection_parse(const char *text, struct arena *arena, struct azure_connection *ret, struct error *err)
{
	char *copy = arena_strdup(arena, text), *next = NULL;
	struct parts p = {0};

	if (!copy)
		return error_set(err, ENOMEM, "out of memory");
	copy[strcspn(copy, "\r\n")] = '\0';
	for (char *item = strtok_r(copy, ";", &next); item; item = strtok_r(NULL, ";", &next)) {
		int r = take(&p, item + strspn(item, " "), err);

		if (r < 0)
			return r;
	}
	if (p.development && !strcasecmp(p.development, "true")) {
		*ret = (struct azure_connection){EMULATOR_ACCOUNT, EMULATOR_KEY, NULL, EMULATOR_URL};
		return 0;
	}
	if (!p.key && !p.sas)
		return error_set(err, EINVAL, "the connection string has neither AccountKey nor SharedAccessSignature");
	if (!p.blob_endpoint && p.account)
		p.blob_endpoint = arena_printf(arena, "%s://%s.blob.%s", p.protocol ? p.protocol : "https", p.account,
					       p.suffix ? p.suffix : "core.windows.net");
	if (p.sas && p.sas[0] == '?')
		p.sas++;
	*ret = (struct azure_connection){p.account, p.key, p.key ? NULL : p.sas, p.blob_endpoint};
	return 0;
}

int azure_connection_of(const struct store_config *config, struct arena *arena, struct azure_connection *ret,
			struct error *err)
{
	const char *text = config->connection_string, *from = config->credentials.from;
	_cleanup_wipe_ char *from_file = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (config->connection_string_file) {
		r = credentials_read_line(config->connection_string_file, &from_file, err);
		if (r < 0)
			return r;
		text = from_file;
	}
	if (!text && !config->account && (!from || !strcmp(from, "environment")))
		text = credentials_env("AZURE_STORAGE_CONNECTION_STRING");
	return text ? azure_connection_parse(text, arena, ret, err) : 0;
}

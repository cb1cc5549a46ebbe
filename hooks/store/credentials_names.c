/* SPDX-License-Identifier: Apache-2.0 */
/* The providers' names apart from the providers: who only checks a configuration needs no HTTP. */
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/credentials.h"

static const char *const names[][6] = {
    [CREDENTIALS_S3] = {"config", "environment", "web-identity", "profile", "container", "instance-metadata"},
    [CREDENTIALS_GCS] = {"config", "environment", "gcloud", "instance-metadata"},
    [CREDENTIALS_AZURE] = {"config", "environment", "workload-identity", "managed-identity"},
};

bool credentials_provider_known(enum credentials_cloud cloud, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names[cloud]) && names[cloud][i]; i++)
		if (!strcmp(names[cloud][i], name))
			return true;
	return !strcmp(name, "none");
}

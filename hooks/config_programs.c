/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from config.c: the hook, which only asks what is configured, is linked without the providers and their HTTP. */
#include "hooks/config.h"
#include "hooks/store/credentials.h"

bool config_runs_programs(const struct config *c)
{
	for (size_t i = 0; i < c->n_stores; i++)
		if (credentials_run_program(&c->stores[i]))
			return true;
	return false;
}

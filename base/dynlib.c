/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dynlib.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#define EXIT_NO_LIBRARY 127

static void give_up(void)
{
	const char *why = dlerror();

	dprintf(STDERR_FILENO, "error while loading shared libraries: %s\n", why ? why : "unknown");
	_exit(EXIT_NO_LIBRARY);
}

/* Made by the linker, of all DYNLIB_CALLs. */
extern const struct dynlib_function *const functions[] __asm__("__start_dynlib_functions") __attribute__((weak));
extern const struct dynlib_function *const functions_end[] __asm__("__stop_dynlib_functions") __attribute__((weak));

static void look_up(const struct dynlib *lib)
{
	for (const struct dynlib_function *const *f = functions; f != functions_end; f++)
		if ((*f)->lib == lib)
			__atomic_store_n((*f)->found, dlsym(lib->handle, (*f)->name), __ATOMIC_RELEASE);
}

void *dynlib_symbol(struct dynlib *lib, const char *name)
{
	void *symbol;

	pthread_mutex_lock(&lib->lock);
	if (!lib->handle) {
		lib->handle = dlopen(lib->soname, RTLD_LAZY | RTLD_LOCAL);
		if (!lib->handle)
			give_up();
		look_up(lib);
	}
	pthread_mutex_unlock(&lib->lock);
	symbol = dlsym(lib->handle, name);
	if (!symbol)
		give_up();
	return symbol;
}

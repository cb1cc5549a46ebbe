/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynlib.h - a shared library that is loaded by the first call of one of its
 * functions: a program that may need none of it does not pay for it at start
 * (libcurl brings 30 others, 6 ms).
 *
 * A file of stubs defines the library's functions anew, under their own names,
 * by DYNLIB_CALL; the program is linked with these in place of the library:
 *
 *	static struct dynlib lib = DYNLIB_INIT(SONAME_CURL);
 *	CURL *curl_easy_init(void) { return DYNLIB_CALL(&lib, curl_easy_init); }
 *
 * A function that is used and has no stub is an error of the linker.
 */
#ifndef VOLRUN_BASE_DYNLIB_H
#define VOLRUN_BASE_DYNLIB_H

#include <pthread.h>

struct dynlib {
	const char *soname;
	void *handle;
	pthread_mutex_t lock;
};
#define DYNLIB_INIT(name)                                                                                              \
	{                                                                                                              \
		(name), NULL, PTHREAD_MUTEX_INITIALIZER                                                                \
	}

struct dynlib_function {
	struct dynlib *lib;
	const char *name;
	void **found;
};

/*
 * The function's address; loads the library when nobody has yet. Threads may.
 * A library that is not there, or lacks the function, ends the program with one
 * line on stderr and status 127, as the loader does at start: it is an
 * installation that is broken. Never unloaded.
 */
void *dynlib_symbol(struct dynlib *lib, const char *name);

/*
 * Calls what `fn` names in the library. All functions of a library that are called anywhere are looked up when it is
 * loaded: a later look would wait for whoever is loading another library.
 */
#define DYNLIB_CALL(lib, fn, ...) (DYNLIB_FIND(lib, fn)(__VA_ARGS__))
#define DYNLIB_FIND(lib, fn)                                                                                           \
	({                                                                                                             \
		static void *found_;                                                                                   \
		static const struct dynlib_function function_ = {lib, #fn, &found_};                                   \
		/* Pointers: the compiler may put larger things further apart than they are large. */                  \
		static const struct dynlib_function *const listed_                                                     \
		    __attribute__((section("dynlib_functions"), used)) = &function_;                                   \
		void *call_ = __atomic_load_n(&found_, __ATOMIC_ACQUIRE);                                              \
		(__typeof__(&(fn)))(call_ ? call_ : dynlib_symbol(lib, #fn));                                          \
	})

#endif

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

/*
 * The function's address; loads the library when nobody has yet. Threads may.
 * A library that is not there, or lacks the function, ends the program with one
 * line on stderr and status 127, as the loader does at start: it is an
 * installation that is broken. Never unloaded.
 */
void *dynlib_symbol(struct dynlib *lib, const char *name);

/* Calls what `fn` names in the library; looked up once. */
#define DYNLIB_CALL(lib, fn, ...) (DYNLIB_FIND(lib, fn)(__VA_ARGS__))
#define DYNLIB_FIND(lib, fn)                                                                                           \
	({                                                                                                             \
		static __typeof__(&(fn)) found_;                                                                       \
		__typeof__(&(fn)) call_ = __atomic_load_n(&found_, __ATOMIC_ACQUIRE);                                  \
		if (!call_) {                                                                                          \
			call_ = (__typeof__(call_))dynlib_symbol(lib, #fn);                                            \
			__atomic_store_n(&found_, call_, __ATOMIC_RELEASE);                                            \
		}                                                                                                      \
		call_;                                                                                                 \
	})

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's functions that http.c calls, loaded with the first call: a keeper
 * whose stores are directories never loads it (base/dynlib.h).
 */
#include <config.h>
/* Its checking macros would stand in the way of the functions' names. */
#define CURL_DISABLE_TYPECHECK 1
#include <curl/curl.h>
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt
#undef curl_share_setopt
#include <stdarg.h>

#include "base/dynlib.h"

static struct dynlib lib = DYNLIB_INIT(SONAME_CURL);

CURLcode curl_global_init(long flags)
{
	return DYNLIB_CALL(&lib, curl_global_init, flags);
}

CURL *curl_easy_init(void)
{
	return DYNLIB_CALL(&lib, curl_easy_init);
}

void curl_easy_cleanup(CURL *e)
{
	DYNLIB_CALL(&lib, curl_easy_cleanup, e);
}

void curl_easy_reset(CURL *e)
{
	DYNLIB_CALL(&lib, curl_easy_reset, e);
}

CURLcode curl_easy_pause(CURL *e, int what)
{
	return DYNLIB_CALL(&lib, curl_easy_pause, e, what);
}

const char *curl_easy_strerror(CURLcode code)
{
	return DYNLIB_CALL(&lib, curl_easy_strerror, code);
}

/* An option's number tells the type of its value (curl.h, CURLOPTTYPE_*). */
CURLcode curl_easy_setopt(CURL *e, CURLoption option, ...)
{
	va_list args;
	CURLcode r;

	va_start(args, option);
	if (option < CURLOPTTYPE_OBJECTPOINT)
		r = DYNLIB_CALL(&lib, curl_easy_setopt, e, option, va_arg(args, long));
	else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
		r = DYNLIB_CALL(&lib, curl_easy_setopt, e, option, va_arg(args, curl_off_t));
	else
		r = DYNLIB_CALL(&lib, curl_easy_setopt, e, option, va_arg(args, void *));
	va_end(args);
	return r;
}

/* The value is a pointer to where the answer goes, of all of them. */
CURLcode curl_easy_getinfo(CURL *e, CURLINFO info, ...)
{
	va_list args;
	CURLcode r;

	va_start(args, info);
	r = DYNLIB_CALL(&lib, curl_easy_getinfo, e, info, va_arg(args, void *));
	va_end(args);
	return r;
}

CURLM *curl_multi_init(void)
{
	return DYNLIB_CALL(&lib, curl_multi_init);
}

CURLMcode curl_multi_cleanup(CURLM *m)
{
	return DYNLIB_CALL(&lib, curl_multi_cleanup, m);
}

CURLMcode curl_multi_add_handle(CURLM *m, CURL *e)
{
	return DYNLIB_CALL(&lib, curl_multi_add_handle, m, e);
}

CURLMcode curl_multi_remove_handle(CURLM *m, CURL *e)
{
	return DYNLIB_CALL(&lib, curl_multi_remove_handle, m, e);
}

CURLMcode curl_multi_perform(CURLM *m, int *running)
{
	return DYNLIB_CALL(&lib, curl_multi_perform, m, running);
}

CURLMcode curl_multi_socket_action(CURLM *m, curl_socket_t fd, int what, int *running)
{
	return DYNLIB_CALL(&lib, curl_multi_socket_action, m, fd, what, running);
}

CURLMsg *curl_multi_info_read(CURLM *m, int *left)
{
	return DYNLIB_CALL(&lib, curl_multi_info_read, m, left);
}

CURLMcode curl_multi_setopt(CURLM *m, CURLMoption option, ...)
{
	va_list args;
	CURLMcode r;

	va_start(args, option);
	if ((int)option < CURLOPTTYPE_OBJECTPOINT)
		r = DYNLIB_CALL(&lib, curl_multi_setopt, m, option, va_arg(args, long));
	else
		r = DYNLIB_CALL(&lib, curl_multi_setopt, m, option, va_arg(args, void *));
	va_end(args);
	return r;
}

CURLSH *curl_share_init(void)
{
	return DYNLIB_CALL(&lib, curl_share_init);
}

CURLSHcode curl_share_cleanup(CURLSH *s)
{
	return DYNLIB_CALL(&lib, curl_share_cleanup, s);
}

/* An int for CURLSHOPT_SHARE and _UNSHARE, else a pointer. */
CURLSHcode curl_share_setopt(CURLSH *s, CURLSHoption option, ...)
{
	va_list args;
	CURLSHcode r;

	va_start(args, option);
	if (option == CURLSHOPT_SHARE || option == CURLSHOPT_UNSHARE)
		r = DYNLIB_CALL(&lib, curl_share_setopt, s, option, va_arg(args, int));
	else
		r = DYNLIB_CALL(&lib, curl_share_setopt, s, option, va_arg(args, void *));
	va_end(args);
	return r;
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *line)
{
	return DYNLIB_CALL(&lib, curl_slist_append, list, line);
}

void curl_slist_free_all(struct curl_slist *list)
{
	DYNLIB_CALL(&lib, curl_slist_free_all, list);
}

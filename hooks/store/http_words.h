/* SPDX-License-Identifier: Apache-2.0 */
/* http_words.h - what libcurl's errors are called in messages. */
#ifndef VOLRUN_HOOKS_HTTP_WORDS_H
#define VOLRUN_HOOKS_HTTP_WORDS_H

#include <curl/curl.h>
#include <stdbool.h>

/* A few words; not curl's own where callers match those. The handle is the one that failed. */
const char *http_words(CURL *e, CURLcode code);
/* Will another attempt end the same way? */
bool http_is_hopeless(CURLcode code);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_loop.h - tells libcurl what became of its sockets. Its own loop (curl_multi_perform) looks at every request
 * under way whenever one of them moves: with 200 of them that was most of the work.
 */
#ifndef VOLRUN_HOOKS_HTTP_LOOP_H
#define VOLRUN_HOOKS_HTTP_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct http_loop;

/* For a multi handle without requests, which is to be closed before the loop. NULL: out of memory, or of descriptors.
 */
struct http_loop *http_loop_open(CURLM *multi);
void http_loop_close(struct http_loop *l);
/* Waits until something happens, at most so long, and lets libcurl see to it. all: to every request, at once. */
void http_loop_turn(struct http_loop *l, int64_t pause_ns, bool all);
/* For any thread: the turn ends, or the next one. */
void http_loop_wake(struct http_loop *l);

#endif

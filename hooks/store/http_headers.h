/* SPDX-License-Identifier: Apache-2.0 */
/* http_headers.h - the headers of a request, as curl takes them; overwritten when they are freed: tokens are among
 * them. */
#ifndef VOLRUN_HOOKS_HTTP_HEADERS_H
#define VOLRUN_HOOKS_HTTP_HEADERS_H

struct curl_slist;

/* Of lines "name: value\n". NULL: out of memory, or there are none. */
struct curl_slist *http_headers(const char *lines);
/* What curl itself copied of them is not ours to overwrite. */
void http_headers_free(struct curl_slist *list);

#endif

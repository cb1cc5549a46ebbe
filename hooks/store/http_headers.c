/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/http_headers.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

void http_headers_free(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

static void wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
}

struct curl_slist *http_headers(const char *lines)
{
	struct curl_slist *list = NULL;

	while (*lines) {
		size_t n = strcspn(lines, "\n");
		__attribute__((cleanup(wipe))) char *line = strndup(lines, n);
		struct curl_slist *more = line ? curl_slist_append(list, line) : NULL;

		if (!more) {
			http_headers_free(list);
			return NULL;
		}
		list = more;
		lines += n + (lines[n] == '\n');
	}
	return list;
}

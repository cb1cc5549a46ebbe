/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/http_words.h"

#include <errno.h>

/* Not curl's own words: some of them are those that engines match. */
const char *http_words(CURL *e, CURLcode code)
{
	long os_errno = 0;

	curl_easy_getinfo(e, CURLINFO_OS_ERRNO, &os_errno);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "its name can't be resolved";
	case CURLE_COULDNT_CONNECT:
		return os_errno == ECONNREFUSED ? "connection refused" : "no connection";
	case CURLE_OPERATION_TIMEDOUT:
		return "timed out";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "its TLS certificate is not trusted";
	case CURLE_SSL_CACERT_BADFILE:
		return "the file of trusted certificates can't be read";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
		return "the TLS handshake failed";
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		return "the connection broke";
	case CURLE_PARTIAL_FILE:
		return "the reply was cut";
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return "its address can't be used";
	case CURLE_OUT_OF_MEMORY:
		return "out of memory";
	case CURLE_WEIRD_SERVER_REPLY:
		return "the reply is no HTTP";
	case CURLE_ABORTED_BY_CALLBACK:
		return "it was given up";
	default:
		return curl_easy_strerror(code);
	}
}

bool http_is_hopeless(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

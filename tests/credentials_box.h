/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_box.h - a server that answers as those who hand out credentials do, and a source that asks it. */
#ifndef VOLRUN_TESTS_CREDENTIALS_BOX_H
#define VOLRUN_TESTS_CREDENTIALS_BOX_H

#include "hooks/store/credentials.h"
#include "tests/fault_server.h"

extern struct store_config config;
extern const char *url; /* of the server */
extern struct credential_source *source;
extern struct credentials got; /* the last ones; strings are the source's */

#define OK(body) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body
#define STATUS(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define STS(n, until)                                                                                                  \
	OK("<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"                   \
	   "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA" n "</AccessKeyId><SecretAccessKey>sts/"   \
	   "secret+" n "</SecretAccessKey><SessionToken>session" n "==</SessionToken><Expiration>" until               \
	   "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")
#define NEVER "2099-01-01T00:00:00Z"
#define KEYS(n)                                                                                                        \
	OK("{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"ASIA" n "\",\"SecretAccessKey\":\"sec" n     \
	   "\",\"Token\":\"tok" n "\",\"Expiration\":\"" NEVER "\"}")
#define TOKEN(n, seconds) OK("{\"access_token\":\"ya29." n "\",\"expires_in\":" seconds ",\"token_type\":\"Bearer\"}")

int set_up(void **state);
int tear_down(void **state);
/* A file with this text, removed in the end. */
const char *file(const char *text);
/* The server's address with a path. */
const char *at(const char *path);
/* Opens the source (the first time) and asks it. */
void get(enum credentials_cloud cloud);
/* The same, in vain. No message holds "s3cr3t". */
void refused(enum credentials_cloud cloud, int code, const char *words);
/* That request held the text. */
void saw(unsigned request, const char *text);

#endif

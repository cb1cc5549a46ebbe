/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_server.h - an HTTP server in a thread of the test, which answers each
 * request with the next step of a script. One connection at a time.
 */
#ifndef VOLRUN_TESTS_FAULT_SERVER_H
#define VOLRUN_TESTS_FAULT_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>

#define SCRIPT_MAX 16

/* What the server does with one request. */
struct step {
	const char *reply; /* sent as it is; NULL: nothing */
	bool close;	   /* then closes the connection */
	int delay_ms;	   /* before the reply */
};

extern struct step script[SCRIPT_MAX];
extern atomic_int served; /* requests so far */
extern char last_request[65536];
/* How each request began; a small one with its body. */
extern char seen_requests[SCRIPT_MAX][4096];

/* With an empty script. Returns its address, "http://127.0.0.1:PORT". */
const char *fault_server_start(void);
void fault_server_stop(void);

#endif

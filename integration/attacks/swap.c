/* SPDX-License-Identifier: Apache-2.0 */
/* swap A B SECONDS: exchanges two paths, over and over, for so long. What races with a runtime that looks twice. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	time_t end;

	if (argc != 4)
		return 2;
	for (end = time(NULL) + atol(argv[3]); time(NULL) < end;)
		for (int i = 0; i < 1000; i++)
			if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0) {
				perror("swap");
				return 1;
			}
	return 0;
}

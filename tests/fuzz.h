/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h - what the fuzzers (tests/fuzz_NAME.c) share. Each has libFuzzer's entry
 * point; `make fuzz` builds them with clang into fuzz/, to be run on the corpus:
 *
 *     fuzz/fuzz_json -max_total_time=60 tests/corpus/json
 *
 * `make check` links the same file with fuzz_replay.c and runs it over each file
 * of tests/corpus/NAME, so that what was found once stays fixed.
 */
#ifndef VOLRUN_TESTS_FUZZ_H
#define VOLRUN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input was. */
#define FUZZ_CHECK(condition)                                                                                          \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                 \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

#endif

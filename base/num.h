/* SPDX-License-Identifier: Apache-2.0 */
/* num.h - numbers from text (the whole string or nothing), and bytes as numbers. */
#ifndef VOLRUN_BASE_NUM_H
#define VOLRUN_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

/* Decimal; no sign (but '-' for the signed one), space or leading '+'. -EINVAL, -ERANGE. */
int num_parse_u64(const char *s, uint64_t max, uint64_t *ret);
int num_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret);
/* Octal, for modes: 1 to 6 digits. */
int num_parse_mode(const char *s, unsigned *ret);

/*
 * A list such as "0-3,7" (of CPUs, of memory nodes) to a set of bits, as sched_setaffinity(2) takes it; n_bits is a
 * multiple of the bits of a long. -EINVAL, -ERANGE: a number is not below n_bits.
 */
int num_parse_list(const char *s, size_t n_bits, unsigned long *ret);

/* Lower-case hex; out has room for 2*len+1. */
void hex_encode(const void *data, size_t len, char *out);
/* Exactly 2*len hex digits. -EINVAL. */
int hex_decode(const char *hex, void *out, size_t len);

/* FNV-1a of 64 bits, on from h: against accidents, not against who wants a collision. */
#define HASH64_START UINT64_C(0xcbf29ce484222325)
uint64_t hash64(uint64_t h, const void *data, size_t len);

/* Fills with random bytes from the kernel; never fails (aborts if the kernel refuses). */
void random_bytes(void *out, size_t len);

#endif

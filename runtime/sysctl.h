/* SPDX-License-Identifier: Apache-2.0 */
/* sysctl.h - linux.sysctl, written through a /proc that has been verified. */
#ifndef VOLRUN_RUNTIME_SYSCTL_H
#define VOLRUN_RUNTIME_SYSCTL_H

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

/*
 * "net.ipv4.ip_forward" to "sys/net/ipv4/ip_forward", beneath /proc; '.' and '/' are
 * exchanged, as sysctl(8) does ("net.ipv4.conf.eth0/1.forwarding"). NULL: not a
 * name (empty or ".." segments), or out of memory. Pure.
 */
const char *sysctl_path(const char *key, struct arena *arena);

/*
 * Writes each of linux.sysctl. The container's /proc, beneath root_fd, must be the root of a
 * procfs; no link and no mount may lie between it and the file, so that nobody
 * turns the write elsewhere (CVE-2025-52881).
 */
int sysctl_apply(int root_fd, const struct spec_linux *l, struct arena *arena, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* sysctl.h - linux.sysctl, written through a /proc that has been verified. */
#ifndef VOLRUN_RUNTIME_SYSCTL_H
#define VOLRUN_RUNTIME_SYSCTL_H

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"
#include "runtime/namespaces.h"

/*
 * "net.ipv4.ip_forward" to "sys/net/ipv4/ip_forward", beneath /proc. As with sysctl(8) the first separator says
 * how a name is written: after a '.' the two are exchanged ("net.ipv4.conf.eth0/1.forwarding"), after a '/' it is
 * the path already ("net/ipv4/conf/eth0.1/forwarding"). NULL: not a name (empty or ".." segments), or out of
 * memory. Pure.
 */
const char *sysctl_path(const char *key, struct arena *arena);

/*
 * By the parent: refuses a sysctl whose namespace is joined by a path and turns out to be the caller's own: the
 * container would change the host.
 */
int sysctl_check_namespaces(const struct spec *spec, const struct namespaces *ns, struct error *err);

/*
 * Writes each of linux.sysctl. The container's /proc, beneath root_fd, must be the root of a
 * procfs; no link and no mount may lie between it and the file, so that nobody
 * turns the write elsewhere (CVE-2025-52881).
 */
int sysctl_apply(int root_fd, const struct spec_linux *l, struct arena *arena, struct error *err);

#endif

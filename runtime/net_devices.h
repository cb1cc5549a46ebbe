/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_devices.h - linux.netDevices (config-linux.md "Network Devices"): network devices of the
 * host move into the container's network namespace, renamed if asked for, with their
 * permanent global addresses, and are set up there. When the namespace ends the kernel gives
 * physical ones back; nothing is undone here.
 */
#ifndef VOLRUN_RUNTIME_NET_DEVICES_H
#define VOLRUN_RUNTIME_NET_DEVICES_H

#include <sys/types.h>

#include "base/error.h"
#include "oci/spec.h"

/*
 * By the parent; this process is single-threaded, and goes into the namespace for a moment to make a socket there.
 * netns_fd: the container's, when it joins one; -1: that of init, pid.
 */
int net_devices_move(const struct spec_linux *l, int netns_fd, pid_t pid, struct error *err);

#endif

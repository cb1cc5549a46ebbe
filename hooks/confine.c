/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/confine.h"

#include <errno.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

#define BIT(cap) (UINT64_C(1) << (cap))
#define ALWAYS (BIT(CAP_DAC_OVERRIDE) | BIT(CAP_CHOWN) | BIT(CAP_FOWNER))
#define FOR_A_STEP                                                                                                     \
	(BIT(CAP_SYS_PTRACE) | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_SYS_RESOURCE))

struct caps {
	uint64_t effective, permitted;
};

/* By the system calls themselves (capget(2)): nothing here takes a lock, as the child of a process with threads needs
 * it, and the keeper loads a library less. */
static int caps_get(struct caps *ret)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return -errno;
	ret->effective = d[0].effective | (uint64_t)d[1].effective << 32;
	ret->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	return 0;
}

/* Nothing is inheritable, then: nor ambient. */
static int caps_set(const struct caps *c)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
	    {.effective = (uint32_t)c->effective, .permitted = (uint32_t)c->permitted},
	    {.effective = (uint32_t)(c->effective >> 32), .permitted = (uint32_t)(c->permitted >> 32)}};

	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

static int keep(uint64_t effective, uint64_t permitted)
{
	struct caps c;
	int r = caps_get(&c);

	if (r < 0)
		return r;
	c.permitted &= permitted;
	c.effective &= c.permitted & effective;
	return caps_set(&c);
}

int confine_rights(struct error *err)
{
	int r = 0;

#ifndef CONFINE_SANITIZED /* LeakSanitizer reads its own process by ptrace(2) */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = -errno;
#endif
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0)
		r = keep(ALWAYS, ALWAYS | FOR_A_STEP);
	if (r < 0)
		return error_set(err, r, "rights that are not needed can't be dropped (error %d)", -r);
	return 0;
}

int confine(struct error *err)
{
	int r = confine_rights(err);

	return r < 0 ? r : confine_filter(err);
}

void confine_drop(int cap)
{
	keep(~BIT(cap), ~BIT(cap));
}

struct right right_raise(int cap)
{
	struct right none = {-1};
	struct caps c;

	if (caps_get(&c) < 0 || (c.effective & BIT(cap)) || !(c.permitted & BIT(cap)))
		return none;
	c.effective |= BIT(cap);
	return caps_set(&c) < 0 ? none : (struct right){cap};
}

bool right_is_held(int cap)
{
	struct caps c;

	return caps_get(&c) == 0 && (c.effective & BIT(cap));
}

void right_lower(struct right *r)
{
	if (r->cap >= 0)
		keep(~BIT(r->cap), UINT64_MAX);
	r->cap = -1;
}

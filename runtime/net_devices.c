/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/net_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* --- rtnetlink(7) ------------------------------------------------------------------------- */

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
	};
	char attributes[256];
};

static struct request request_new(uint16_t type, uint16_t flags, size_t body)
{
	return (struct request){.head = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
					 .nlmsg_type = type,
					 .nlmsg_flags = NLM_F_REQUEST | flags}};
}

/* The room is enough for every name and address. */
static void add_attribute(struct request *q, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

static int open_socket(void)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};

	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Messages of an answer up to its end; each may be NULL. Returns 0, or what the kernel says. */
static int receive(int sock, void (*each)(const struct nlmsghdr *, void *), void *data)
{
	static char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		ssize_t n = recv(sock, buf, sizeof(buf), 0);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (const struct nlmsghdr *m = (const void *)buf; NLMSG_OK(m, (unsigned)left);
		     m = NLMSG_NEXT(m, left)) {
			if (m->nlmsg_type == NLMSG_DONE)
				return 0;
			if (m->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(m))->error;
			if (each)
				each(m, data);
		}
	}
}

static int ask(int sock, struct request *q, void (*each)(const struct nlmsghdr *, void *), void *data)
{
	if (send(sock, q, q->head.nlmsg_len, 0) < 0)
		return -errno;
	return receive(sock, each, data);
}

/* --- one device ------------------------------------------------------------------------------ */

#define ADDRESSES_MAX 64

struct addresses {
	int index; /* of the device */
	struct request add[ADDRESSES_MAX];
	size_t n;
	bool too_many;
};

/* A request that makes the same address again, for another device. Of the flags only those that were somebody's wish.
 */
static void keep_address(const struct nlmsghdr *m, void *data)
{
	const struct ifaddrmsg *a = NLMSG_DATA(m);
	struct addresses *list = data;
	struct request *q = &list->add[list->n];
	uint32_t flags = a->ifa_flags;
	int left = (int)IFA_PAYLOAD(m);

	if (m->nlmsg_type != RTM_NEWADDR || (int)a->ifa_index != list->index || a->ifa_scope != RT_SCOPE_UNIVERSE)
		return;
	if (list->n == ADDRESSES_MAX) {
		list->too_many = true;
		return;
	}
	*q = request_new(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(q->addr));
	q->addr.ifa_family = a->ifa_family;
	q->addr.ifa_prefixlen = a->ifa_prefixlen;
	q->addr.ifa_scope = a->ifa_scope;
	for (const struct rtattr *t = IFA_RTA(a); RTA_OK(t, left); t = RTA_NEXT(t, left)) {
		if (t->rta_type == IFA_FLAGS && RTA_PAYLOAD(t) == sizeof(flags))
			memcpy(&flags, RTA_DATA(t), sizeof(flags));
		else if ((t->rta_type == IFA_LOCAL || t->rta_type == IFA_ADDRESS || t->rta_type == IFA_BROADCAST) &&
			 RTA_PAYLOAD(t) <= 16)
			add_attribute(q, t->rta_type, RTA_DATA(t), RTA_PAYLOAD(t));
	}
	if (!(flags & IFA_F_PERMANENT))
		return;
	flags &= IFA_F_NOPREFIXROUTE | IFA_F_NODAD;
	add_attribute(q, IFA_FLAGS, &flags, sizeof(flags));
	list->n++;
}

static int list_addresses(int sock, struct addresses *ret)
{
	struct request q = request_new(RTM_GETADDR, NLM_F_DUMP, sizeof(q.addr));

	return ask(sock, &q, keep_address, ret);
}

static int set_up(int sock, int index, bool up)
{
	struct request q = request_new(RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));

	q.link.ifi_index = index;
	q.link.ifi_flags = up ? IFF_UP : 0;
	q.link.ifi_change = IFF_UP;
	return ask(sock, &q, NULL, NULL);
}

/* Move and new name at once, so that a name that is taken on the host is no obstacle. */
static int change_namespace(int sock, int index, int netns_fd, const char *name)
{
	struct request q = request_new(RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));
	uint32_t fd = (uint32_t)netns_fd;

	q.link.ifi_index = index;
	add_attribute(&q, IFLA_IFNAME, name, strlen(name) + 1);
	add_attribute(&q, IFLA_NET_NS_FD, &fd, sizeof(fd));
	return ask(sock, &q, NULL, NULL);
}

/* The numbers of a namespace's devices; a namespace can't have more than matters here. */
struct indices {
	int known[1024], found;
	size_t n;
	bool searching;
};

static void note_index(const struct nlmsghdr *m, void *data)
{
	const struct ifinfomsg *link = NLMSG_DATA(m);
	struct indices *x = data;

	if (m->nlmsg_type != RTM_NEWLINK)
		return;
	if (!x->searching) {
		if (x->n < ARRAY_SIZE(x->known))
			x->known[x->n++] = link->ifi_index;
		return;
	}
	for (size_t i = 0; i < x->n; i++)
		if (x->known[i] == link->ifi_index)
			return;
	x->found = link->ifi_index;
}

static int list_links(int sock, struct indices *x)
{
	struct request q = request_new(RTM_GETLINK, NLM_F_DUMP, sizeof(q.link));

	return ask(sock, &q, note_index, x);
}

static int restore(int sock, int index, struct addresses *list)
{
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		list->add[i].addr.ifa_index = (uint32_t)index;
		r = ask(sock, &list->add[i], NULL, NULL);
	}
	return r;
}

static int move_device(const struct spec_net_device *d, int host, int inside, int netns_fd, struct error *err)
{
	static struct addresses list;
	const char *name = d->name ? d->name : d->host_name;
	struct indices links = {.n = 0};
	int r;

	list = (struct addresses){.index = (int)if_nametoindex(d->host_name)};
	if (list.index == 0)
		return error_errno(err, errno, "find the device");
	/* Before it is down: then the addresses of IPv6 are gone. */
	r = list_addresses(host, &list);
	if (r == 0 && list.too_many)
		return error_set(err, E2BIG, "has more than %d addresses", ADDRESSES_MAX);
	if (r == 0)
		r = list_links(inside, &links);
	if (r == 0)
		r = set_up(host, list.index, false);
	if (r < 0)
		return error_errno(err, r, "prepare the move");
	r = change_namespace(host, list.index, netns_fd, name);
	if (r < 0)
		return error_errno(err, r, "move it into the container as %s", name);
	/* Its number may be another one there, and its name, when that is a template ("eth%d"). */
	links.searching = true;
	r = list_links(inside, &links);
	if (r == 0 && links.found == 0)
		r = -ENODEV;
	if (r == 0)
		r = restore(inside, links.found, &list);
	if (r < 0)
		return error_errno(err, r, "give it its addresses in the container");
	r = set_up(inside, links.found, true);
	return r < 0 ? error_errno(err, r, "set it up in the container") : 0;
}

/* A socket belongs to the namespace that it was made in. */
static int open_inside(int netns_fd, int *ret, struct error *err)
{
	_cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int sock;

	if (own < 0 || setns(netns_fd, CLONE_NEWNET) < 0)
		return error_errno(err, errno, "enter the container's network namespace");
	sock = open_socket();
	if (setns(own, CLONE_NEWNET) < 0) {
		if (sock >= 0)
			close(sock);
		return error_errno(err, errno, "go back to the runtime's network namespace");
	}
	if (sock < 0)
		return error_errno(err, sock, "make a netlink socket in the container");
	*ret = sock;
	return 0;
}

int net_devices_move(const struct spec_linux *l, int netns_fd, pid_t pid, struct error *err)
{
	_cleanup_close_ int host = -1, inside = -1, own = -1;
	char path[48];
	int r;

	if (l->n_net_devices == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (netns_fd < 0)
		netns_fd = own = open(path, O_RDONLY | O_CLOEXEC);
	if (netns_fd < 0)
		return error_errno(err, errno, "linux.netDevices: open the container's network namespace");
	host = open_socket();
	if (host < 0)
		return error_errno(err, host, "linux.netDevices: make a netlink socket");
	r = open_inside(netns_fd, &inside, err);
	if (r < 0)
		return error_wrap(err, "linux.netDevices");
	for (size_t i = 0; i < l->n_net_devices; i++) {
		r = move_device(&l->net_devices[i], host, inside, netns_fd, err);
		if (r < 0)
			return error_wrap(err, "linux.netDevices: %s", l->net_devices[i].host_name);
	}
	return 0;
}

#pragma once

/*
 * Remote: which sockets are connected to another host. A process that waits on one of them waits for somebody
 * else, and is not stuck by itself. Loopback, and this host's own address at both ends, is no other host.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was read of one network namespace. */
typedef struct RemoteNamespace {
        char *name;       /* "net:[4026531840]" */
        uint64_t *inodes; /* ascending */
        size_t n_inodes;
} RemoteNamespace;

/* All zero is an empty one. Read once for each namespace. */
typedef struct RemoteSockets {
        RemoteNamespace *namespaces;
        size_t n_namespaces;
} RemoteSockets;

void remote_sockets_deinit(RemoteSockets *s);

/*
 * Is any of the socket inodes @inodes connected to another host? @piddirfd is the /proc directory of a
 * process that has them. Return: >0 yes, 0 no, or a negated errno.
 */
int remote_sockets_any(RemoteSockets *s, int piddirfd, const uint64_t *inodes, size_t n);

/* Pure: one line of /proc/net/tcp, tcp6, udp or udp6. Yields the inode if it is connected to another host,
 * else 0. */
uint64_t remote_line_parse(const char *line);

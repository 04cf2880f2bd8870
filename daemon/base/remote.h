#pragma once

/*
 * Remote: which sockets are connected to another host. A process that waits on one of them waits for somebody
 * else, and is not stuck by itself. Loopback, and this host's own address at both ends, is no other host.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REMOTE_PEER_MAX 64

typedef struct RemoteSocket {
        uint64_t inode;
        uint16_t local_port;
        bool waits;    /* something may still come: established, or being set up */
        bool accepted; /* it came in by a port that is listened on: a client's, else it is a dependency */
        char peer[REMOTE_PEER_MAX]; /* "192.0.2.7:25", "[2001:db8::2]:25" */
} RemoteSocket;

/* What was read of one network namespace. */
typedef struct RemoteNamespace {
        char *name;            /* "net:[4026531840]" */
        RemoteSocket *sockets; /* by inode, ascending */
        size_t n_sockets, allocated;
        uint16_t *listeners; /* ports */
        size_t n_listeners, listeners_allocated;
} RemoteNamespace;

/* All zero is an empty one. Read once for each namespace. */
typedef struct RemoteSockets {
        RemoteNamespace *namespaces;
        size_t n_namespaces;
} RemoteSockets;

void remote_sockets_deinit(RemoteSockets *s);

/*
 * The socket @inode, if it is connected to another host. @piddirfd is the /proc directory of a process that
 * has it. Return: >0 and *@ret (valid until deinit), 0 if it is not, or a negated errno.
 */
int remote_socket_find(RemoteSockets *s, int piddirfd, uint64_t inode, const RemoteSocket **ret);
/* Is any of the socket inodes @inodes connected to another host? Return: >0 yes, 0 no, or a negated errno. */
int remote_sockets_any(RemoteSockets *s, int piddirfd, const uint64_t *inodes, size_t n);

typedef enum RemoteLine {
        REMOTE_LINE_OTHER,  /* loopback, not connected, or no such line at all */
        REMOTE_LINE_PEER,   /* connected to another host: *@ret but for `accepted` */
        REMOTE_LINE_LISTEN, /* @ret's local_port is listened on */
} RemoteLine;

/* Pure: one line of /proc/net/tcp, tcp6, udp or udp6. */
RemoteLine remote_line_parse(const char *line, RemoteSocket *ret);

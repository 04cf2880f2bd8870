#pragma once

/*
 * Access: who may do what on the control socket. root acts; the configured group reads; nobody else is heard.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum Access {
        ACCESS_NONE,
        ACCESS_READ,
        ACCESS_ACT,
} Access;

/* The process at the other end of a socket, as the kernel knows it. */
typedef struct Peer {
        pid_t pid;
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* supplementary ones */
        size_t n_groups;
} Peer;

void peer_deinit(Peer *p);
/* SO_PEERCRED and SO_PEERGROUPS (the former shows only the primary group). Return: 0 or a negated errno. */
int peer_read(int fd, Peer *ret);
/* "uid 1000 pid 123". NULL on ENOMEM. */
char *peer_describe(const Peer *p);

/* @group: (gid_t)-1 if there is none. @self: the daemon's own uid acts as well (tests, a daemon that is not
 * root). */
Access access_of(const Peer *p, gid_t group, uid_t self);

/* May it be asked for by those who may only read? */
bool access_verb_reads(const char *verb);

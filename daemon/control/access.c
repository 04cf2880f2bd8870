/*
 * access - who may do what on the control socket
 *
 * Used by server.c when a connection comes in. The decision is pure; reading the peer asks the kernel alone,
 * never the user database, so it cannot block.
 */
#include "control/access.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define GROUPS_FIRST 64

void peer_deinit(Peer *p)
{
        free(p->groups);
        *p = (Peer){ 0 };
}

static int peer_groups(int fd, gid_t **ret, size_t *ret_n)
{
        socklen_t size = GROUPS_FIRST * sizeof(gid_t);

        for (;;) {
                gid_t *groups = malloc(size);

                if (!groups)
                        return err_origin(-ENOMEM);
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
                        *ret = groups;
                        *ret_n = size / sizeof(gid_t);
                        return 0;
                }
                free(groups);
                /* Too small: @size is what it takes. A kernel without it: the primary group must do. */
                if (errno == ENOPROTOOPT) {
                        *ret = NULL;
                        *ret_n = 0;
                        return 0;
                }
                if (errno != ERANGE)
                        return err_origin(-errno);
        }
}

int peer_read(int fd, Peer *ret)
{
        struct ucred cred;
        socklen_t size = sizeof(cred);
        Peer p = { 0 };
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return err_origin(-errno);
        p.pid = cred.pid;
        p.uid = cred.uid;
        p.gid = cred.gid;
        r = peer_groups(fd, &p.groups, &p.n_groups);
        if (r < 0)
                return r;
        *ret = p;
        return 0;
}

char *peer_describe(const Peer *p)
{
        char *text;

        return asprintf(&text, "uid %u pid %d", (unsigned)p->uid, (int)p->pid) < 0 ? NULL : text;
}

Access access_of(const Peer *p, gid_t group, uid_t self)
{
        if (p->uid == 0 || p->uid == self)
                return ACCESS_ACT;
        if (group == (gid_t)-1)
                return ACCESS_NONE;
        if (p->gid == group)
                return ACCESS_READ;
        for (size_t i = 0; i < p->n_groups; i++)
                if (p->groups[i] == group)
                        return ACCESS_READ;
        return ACCESS_NONE;
}

bool access_verb_reads(const char *verb)
{
        static const char *const verbs[] = { "status", "explain", "watch", "metrics" };

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (strcmp(verbs[i], verb) == 0)
                        return true;
        return false;
}

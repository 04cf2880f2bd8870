/*
 * remote - sockets that are connected to another host, from /proc/PID/net
 *
 * Called by act/procinfo and by the sampler of processes, in a worker. Guarantees: each network namespace
 * is read once per collection, however many processes share it; what is in those files is parsed by shape,
 * and a line of another shape is passed over.
 *
 * Diagnostics: negated errnos; a family that the kernel does not have is no error. Test:
 * tests/unit/test_remote.c.
 */
#include "base/remote.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* About 100,000 sockets. More are cut off: what is beyond is taken for local. */
#define TABLE_MAX (16 * 1024 * 1024)

/* An address as the kernel prints it: words of 32 bits in the host's order. Return: 4 or 16 bytes, or 0. */
static size_t address_parse(const char *text, uint8_t ret[16])
{
        size_t len = strlen(text);

        if (len != 8 && len != 32)
                return 0;
        for (size_t i = 0; i < len / 8; i++) {
                char word[9];
                uint32_t value;

                memcpy(word, text + 8 * i, 8);
                word[8] = 0;
                value = (uint32_t)strtoul(word, NULL, 16);
                memcpy(ret + 4 * i, &value, 4);
        }
        return len / 2;
}

static bool is_here(const uint8_t *a, size_t len)
{
        static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF }, nothing[16] = { 0 };
        static const uint8_t loopback[16] = { [15] = 1 };

        if (len == 16 && memcmp(a, mapped, 12) == 0) {
                a += 12;
                len = 4;
        }
        if (memcmp(a, nothing, len) == 0)
                return true;
        return len == 4 ? a[0] == 127 : memcmp(a, loopback, 16) == 0;
}

/* As people write it. */
static void peer_format(const uint8_t *address, size_t len, unsigned port, char ret[REMOTE_PEER_MAX])
{
        char text[INET6_ADDRSTRLEN] = "?";

        (void)inet_ntop(len == 4 ? AF_INET : AF_INET6, address, text, sizeof(text));
        snprintf(ret, REMOTE_PEER_MAX, len == 4 ? "%s:%u" : "[%s]:%u", text, port);
}

/* States of TCP, of which UDP uses the first for a connected socket. */
enum { STATE_ESTABLISHED = 0x01, STATE_SYN_SENT = 0x02, STATE_SYN_RECV = 0x03, STATE_LISTEN = 0x0A };

RemoteLine remote_line_parse(const char *line, RemoteSocket *ret)
{
        char local_text[33], peer_text[33];
        unsigned local_port, peer_port, state;
        uint8_t local[16], peer[16];
        uint64_t inode;
        size_t len;

        if (sscanf(line,
                   " %*[0-9]: %32[0-9A-Fa-f]:%4x %32[0-9A-Fa-f]:%4x %2x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64,
                   local_text, &local_port, peer_text, &peer_port, &state, &inode) != 6)
                return REMOTE_LINE_OTHER;
        *ret = (RemoteSocket){ .inode = inode, .local_port = (uint16_t)local_port };
        len = address_parse(local_text, local);
        if (len == 0 || address_parse(peer_text, peer) != len)
                return REMOTE_LINE_OTHER;
        if (state == STATE_LISTEN)
                return REMOTE_LINE_LISTEN;
        if (is_here(peer, len) || memcmp(local, peer, len) == 0 || inode == 0)
                return REMOTE_LINE_OTHER;
        ret->waits = state == STATE_ESTABLISHED || state == STATE_SYN_SENT || state == STATE_SYN_RECV;
        peer_format(peer, len, peer_port, ret->peer);
        return REMOTE_LINE_PEER;
}

/* Room for one more. Return: the array, or NULL on ENOMEM (the old one stays). */
static void *reserve(void *array, size_t n, size_t *allocated, size_t size)
{
        size_t grown = *allocated == 0 ? 64 : *allocated * 2;
        void *bigger;

        if (n < *allocated)
                return array;
        bigger = reallocarray(array, grown, size);
        if (bigger)
                *allocated = grown;
        return bigger;
}

static int line_take(RemoteNamespace *ns, const char *line)
{
        RemoteSocket socket, *sockets;
        uint16_t *ports;

        switch (remote_line_parse(line, &socket)) {
        case REMOTE_LINE_OTHER:
                return 0;
        case REMOTE_LINE_PEER:
                sockets = reserve(ns->sockets, ns->n_sockets, &ns->allocated, sizeof(*sockets));
                if (!sockets)
                        return err_origin(-ENOMEM);
                ns->sockets = sockets;
                sockets[ns->n_sockets++] = socket;
                return 0;
        case REMOTE_LINE_LISTEN:
                ports = reserve(ns->listeners, ns->n_listeners, &ns->listeners_allocated, sizeof(*ports));
                if (!ports)
                        return err_origin(-ENOMEM);
                ns->listeners = ports;
                ports[ns->n_listeners++] = socket.local_port;
                return 0;
        }
        return err_origin(-EINVAL);
}

static int table_read(int piddirfd, const char *name, RemoteNamespace *ns)
{
        _cleanup_(freep) char *text = NULL;
        char *line, *rest;
        int r;

        r = file_read_virtual(piddirfd, name, TABLE_MAX, &text, NULL);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return err_trace(r);
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                r = line_take(ns, line);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int socket_compare(const void *a, const void *b)
{
        uint64_t x = ((const RemoteSocket *)a)->inode, y = ((const RemoteSocket *)b)->inode;

        return (x > y) - (x < y);
}

static bool is_listened_on(const RemoteNamespace *ns, uint16_t port)
{
        for (size_t i = 0; i < ns->n_listeners; i++)
                if (ns->listeners[i] == port)
                        return true;
        return false;
}

static int namespace_read(int piddirfd, RemoteNamespace *ns)
{
        static const char *const tables[] = { "net/tcp", "net/tcp6", "net/udp", "net/udp6" };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                r = table_read(piddirfd, tables[i], ns);
                if (r < 0)
                        return err_trace(r);
        }
        for (size_t i = 0; i < ns->n_sockets; i++)
                ns->sockets[i].accepted = is_listened_on(ns, ns->sockets[i].local_port);
        if (ns->n_sockets > 0)
                qsort(ns->sockets, ns->n_sockets, sizeof(RemoteSocket), socket_compare);
        return 0;
}

static void namespace_deinit(RemoteNamespace *ns)
{
        free(ns->name);
        free(ns->sockets);
        free(ns->listeners);
}

void remote_sockets_deinit(RemoteSockets *s)
{
        for (size_t i = 0; i < s->n_namespaces; i++)
                namespace_deinit(&s->namespaces[i]);
        free(s->namespaces);
        *s = (RemoteSockets){};
}

/* The namespace of a process, read if it has not been. */
static int namespace_find(RemoteSockets *s, int piddirfd, const RemoteNamespace **ret)
{
        RemoteNamespace *grown, ns = { 0 };
        char name[NAME_MAX];
        ssize_t len;
        int r;

        len = readlinkat(piddirfd, "ns/net", name, sizeof(name) - 1);
        if (len < 0)
                return err_origin(-errno);
        name[len] = 0;
        for (size_t i = 0; i < s->n_namespaces; i++)
                if (strcmp(s->namespaces[i].name, name) == 0) {
                        *ret = s->namespaces + i;
                        return 0;
                }

        grown = reallocarray(s->namespaces, s->n_namespaces + 1, sizeof(RemoteNamespace));
        if (!grown)
                return err_origin(-ENOMEM);
        s->namespaces = grown;
        r = namespace_read(piddirfd, &ns);
        if (r == 0 && !(ns.name = strdup(name)))
                r = err_origin(-ENOMEM);
        if (r < 0) {
                namespace_deinit(&ns);
                return err_trace(r);
        }
        s->namespaces[s->n_namespaces] = ns;
        *ret = s->namespaces + s->n_namespaces++;
        return 0;
}

int remote_socket_find(RemoteSockets *s, int piddirfd, uint64_t inode, const RemoteSocket **ret)
{
        const RemoteSocket wanted = { .inode = inode };
        const RemoteNamespace *ns;
        int r = namespace_find(s, piddirfd, &ns);

        if (r < 0)
                return err_trace(r);
        *ret = ns->n_sockets == 0
                       ? NULL
                       : bsearch(&wanted, ns->sockets, ns->n_sockets, sizeof(wanted), socket_compare);
        return *ret != NULL;
}

int remote_sockets_any(RemoteSockets *s, int piddirfd, const uint64_t *inodes, size_t n)
{
        const RemoteSocket *found;
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = remote_socket_find(s, piddirfd, inodes[i], &found);
        return r < 0 ? err_trace(r) : r;
}

/*
 * remote - sockets that are connected to another host, from /proc/PID/net
 *
 * Called by act/procinfo, in a worker. Guarantees: each network namespace is read once per collection,
 * however many processes share it; what is in those files is parsed by shape, and a line of another shape is
 * passed over.
 *
 * Diagnostics: negated errnos; a family that the kernel does not have is no error. Test:
 * tests/unit/test_remote.c.
 */
#include "act/remote.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* About 100,000 sockets. More are cut off: what is beyond is taken for local. */
#define TABLE_MAX (16 * 1024 * 1024)

void remote_sockets_deinit(RemoteSockets *s)
{
        for (size_t i = 0; i < s->n_namespaces; i++) {
                free(s->namespaces[i].name);
                free(s->namespaces[i].inodes);
        }
        free(s->namespaces);
        *s = (RemoteSockets){};
}

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

uint64_t remote_line_parse(const char *line)
{
        char local_text[33], peer_text[33];
        uint8_t local[16], peer[16];
        uint64_t inode;
        size_t len;

        if (sscanf(line,
                   " %*[0-9]: %32[0-9A-Fa-f]:%*x %32[0-9A-Fa-f]:%*x %*x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64,
                   local_text, peer_text, &inode) != 3)
                return 0;
        len = address_parse(local_text, local);
        if (len == 0 || address_parse(peer_text, peer) != len)
                return 0;
        if (is_here(peer, len) || memcmp(local, peer, len) == 0)
                return 0;
        return inode;
}

static int table_read(int piddirfd, const char *name, RemoteNamespace *ns)
{
        _cleanup_(freep) char *text = NULL;
        size_t allocated = ns->n_inodes;
        char *line, *rest;
        int r;

        r = file_read_virtual(piddirfd, name, TABLE_MAX, &text, NULL);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return err_trace(r);
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                uint64_t inode = remote_line_parse(line);

                if (inode == 0)
                        continue;
                if (ns->n_inodes == allocated) {
                        size_t grown = allocated == 0 ? 64 : allocated * 2;
                        uint64_t *p = reallocarray(ns->inodes, grown, sizeof(uint64_t));

                        if (!p)
                                return err_origin(-ENOMEM);
                        ns->inodes = p;
                        allocated = grown;
                }
                ns->inodes[ns->n_inodes++] = inode;
        }
        return 0;
}

static int inode_compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
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
        if (ns->n_inodes > 0)
                qsort(ns->inodes, ns->n_inodes, sizeof(uint64_t), inode_compare);
        return 0;
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
                free(ns.inodes);
                return err_trace(r);
        }
        s->namespaces[s->n_namespaces] = ns;
        *ret = s->namespaces + s->n_namespaces++;
        return 0;
}

int remote_sockets_any(RemoteSockets *s, int piddirfd, const uint64_t *inodes, size_t n)
{
        const RemoteNamespace *ns;
        int r;

        if (n == 0)
                return 0;
        r = namespace_find(s, piddirfd, &ns);
        if (r < 0)
                return err_trace(r);
        for (size_t i = 0; i < n && ns->n_inodes > 0; i++)
                if (bsearch(inodes + i, ns->inodes, ns->n_inodes, sizeof(uint64_t), inode_compare))
                        return 1;
        return 0;
}

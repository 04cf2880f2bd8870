/*
 * address - literals of IPv4 and IPv6 with a port, and local sockets
 *
 * Used by what probes connect with (dial.c). getaddrinfo does the parsing, scope ids included
 * ("[fe80::1%eth0]:25"), with AI_NUMERICHOST and AI_NUMERICSERV, so that it never asks anybody. Test:
 * tests/unit/test_address.c.
 */
#include "observe/address.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <netdb.h>
#include <string.h>
#include <sys/un.h>

static inline void addrinfo_freep(struct addrinfo **a)
{
        if (*a)
                freeaddrinfo(*a);
}

int address_parse(const char *text, Address *ret)
{
        static const struct addrinfo hints = {
                .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                .ai_family = AF_UNSPEC,
                .ai_socktype = SOCK_STREAM,
        };
        _cleanup_(addrinfo_freep) struct addrinfo *found = NULL;
        _cleanup_(freep) char *host = NULL;
        const char *colon = strrchr(text, ':'), *begin = text, *end = colon;

        if (!colon || colon == text || !colon[1])
                return -EINVAL;
        if (*text == '[' && colon[-1] == ']') {
                begin++;
                end--;
        } else if (memchr(text, ':', (size_t)(colon - text))) {
                return -EINVAL; /* IPv6 without brackets: where does the port begin? */
        }
        host = strndup(begin, (size_t)(end - begin));
        if (!host)
                return err_origin(-ENOMEM);
        if (getaddrinfo(host, colon + 1, &hints, &found) != 0 || found->ai_addrlen > sizeof(ret->storage))
                return -EINVAL;
        /* [127.0.0.1]:25 and the like: brackets are for IPv6. */
        if ((begin != text) != (found->ai_family == AF_INET6))
                return -EINVAL;
        memcpy(&ret->storage, found->ai_addr, found->ai_addrlen);
        ret->len = found->ai_addrlen;
        return 0;
}

int address_of_path(const char *path, Address *ret)
{
        struct sockaddr_un *local = (struct sockaddr_un *)&ret->storage;

        if (strlen(path) >= sizeof(local->sun_path))
                return -ENAMETOOLONG;
        *ret = (Address){ .len = sizeof(*local) };
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, path, strlen(path));
        return 0;
}

int address_connect(const Address *a)
{
        _cleanup_(closep) int fd =
                socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return err_origin(-errno);
        if (connect(fd, (const struct sockaddr *)&a->storage, a->len) < 0 && errno != EINPROGRESS)
                return -errno;
        return TAKE_FD(fd);
}

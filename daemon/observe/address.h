#pragma once

/*
 * Address: "127.0.0.1:25", "[::1]:25" or the path of a local socket to a socket address. Names are not looked
 * up: a resolver may block, and a probe that fails because DNS does says nothing of the service.
 */

#include <sys/socket.h>

typedef struct Address {
        struct sockaddr_storage storage;
        socklen_t len;
} Address;

/* Return: 0, or -EINVAL. */
int address_parse(const char *text, Address *ret);
/* The socket @path of the local host. Return: 0, or -ENAMETOOLONG. */
int address_of_path(const char *path, Address *ret);
/* A non-blocking socket that is being connected to @a. Return: the descriptor, or a negated errno; -EAGAIN if
 * the local socket has no room for one more that waits. */
int address_connect(const Address *a);

#pragma once

/*
 * Address: "127.0.0.1:25" or "[::1]:25" to a socket address. Names are not looked up: a resolver may block,
 * and a probe that fails because DNS does says nothing of the service.
 */

#include <sys/socket.h>

typedef struct Address {
        struct sockaddr_storage storage;
        socklen_t len;
} Address;

/* Return: 0, or -EINVAL. */
int address_parse(const char *text, Address *ret);
/* A non-blocking socket that is being connected to @a. Return: the descriptor, or a negated errno. */
int address_connect(const Address *a);

#pragma once

/*
 * Canary: messages that unjamd itself sends through a service to see whether they arrive.
 *
 * Each bears a header line "X-Unjamd-Canary: TOKEN". The token is a nonce and a keyed digest of it, so that
 * every canary that this host's unjamd ever made is known by its token alone: also after a kill -9, without a
 * list of what is under way, and nobody else's mail can be taken for one. Pure: the nonce is an argument.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANARY_KEY_SIZE   32
#define CANARY_NONCE_SIZE 16
#define CANARY_TOKEN_SIZE 65 /* 64 digits and NUL */
#define CANARY_HEADER     "X-Unjamd-Canary: "
#define CANARY_LOOK_SIZE  ((size_t)64 * 1024) /* a canary's header is within so many bytes of its file */

typedef struct CanaryKey {
        uint8_t bytes[CANARY_KEY_SIZE];
} CanaryKey;

void canary_token(const CanaryKey *key, const uint8_t nonce[CANARY_NONCE_SIZE], char ret[CANARY_TOKEN_SIZE]);
/* Was @token made with @key? */
bool canary_is_ours(const CanaryKey *key, const char *token);
/*
 * The first token after a header's name anywhere in these bytes (a message, or a queue file of any format),
 * not verified. Return: whether there is one.
 */
bool canary_find(const void *bytes, size_t len, char ret[CANARY_TOKEN_SIZE]);
/*
 * The same for a message as it is delivered: only in its header block, at the beginning of a line. A bounce
 * that quotes a canary is none.
 */
bool canary_find_header(const char *message, size_t len, char ret[CANARY_TOKEN_SIZE]);
/*
 * The message with this token, without From and To, which the command that submits it adds or does not need;
 * its last line is the token. NULL on ENOMEM.
 */
char *canary_message(const char *service, const char *token);
/* Does @message, with @token in its header, end with what a canary ends with, and nothing behind it? */
bool canary_ends(const char *message, size_t len, const char *token);

/*
 * canary - the tokens and the text of messages that unjamd sends itself
 *
 * The canary probe makes and finds them, the spool knows them when one is suspected. A token is 16 bytes of
 * nonce and 16 of a keyed digest of it, in hex: all of it survives whatever a mail server does to a header.
 *
 * Test: tests/unit/test_canary.c.
 */
#include "model/canary.h"

#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DIGITS (CANARY_TOKEN_SIZE - 1)

void canary_token(const CanaryKey *key, const uint8_t nonce[CANARY_NONCE_SIZE], char ret[CANARY_TOKEN_SIZE])
{
        uint8_t mac[crypto_auth_BYTES];

        crypto_auth(mac, nonce, CANARY_NONCE_SIZE, key->bytes);
        text_hex(ret, nonce, CANARY_NONCE_SIZE);
        text_hex(ret + 2 * CANARY_NONCE_SIZE, mac, CANARY_NONCE_SIZE);
}

bool canary_is_ours(const CanaryKey *key, const char *token)
{
        uint8_t bytes[2 * CANARY_NONCE_SIZE];
        char wanted[CANARY_TOKEN_SIZE];

        if (strlen(token) != DIGITS || text_unhex(token, bytes, sizeof(bytes)) < 0)
                return false;
        canary_token(key, bytes, wanted);
        return strcmp(wanted, token) == 0;
}

/* The token at @text, if one is there. */
static bool token_take(const char *text, size_t len, char ret[CANARY_TOKEN_SIZE])
{
        if (len < DIGITS)
                return false;
        memcpy(ret, text, DIGITS);
        ret[DIGITS] = '\0';
        return strspn(ret, "0123456789abcdef") == DIGITS;
}

bool canary_find(const void *bytes, size_t len, char ret[CANARY_TOKEN_SIZE])
{
        const char *at = bytes, *end = at + len;

        while ((at = memmem(at, (size_t)(end - at), CANARY_HEADER, strlen(CANARY_HEADER)))) {
                at += strlen(CANARY_HEADER);
                if (token_take(at, (size_t)(end - at), ret))
                        return true;
        }
        return false;
}

/* The end of the line at @line, behind its newline. */
static const char *line_end(const char *line, const char *end)
{
        const char *newline = memchr(line, '\n', (size_t)(end - line));

        return newline ? newline + 1 : end;
}

bool canary_find_header(const char *message, size_t len, char ret[CANARY_TOKEN_SIZE])
{
        const char *end = message + len, *next;
        size_t header = strlen(CANARY_HEADER);

        for (const char *line = message; line < end; line = next) {
                next = line_end(line, end);
                if (*line == '\n' || *line == '\r')
                        return false;
                if ((size_t)(next - line) > header && strncasecmp(line, CANARY_HEADER, header) == 0)
                        return token_take(line + header, (size_t)(next - line) - header, ret);
        }
        return false;
}

char *canary_message(const char *service, const char *token)
{
        char *text;

        if (asprintf(&text,
                     "Subject: unjamd looks whether mail of %s arrives\n"
                     "Message-ID: <%s@unjamd.invalid>\n"
                     "Auto-Submitted: auto-generated\n" CANARY_HEADER "%s\n"
                     "\n"
                     "unjamd sends this to itself and removes it when it has arrived. It may be deleted.\n"
                     "%s\n",
                     service, token, token, token) < 0)
                return NULL;
        return text;
}

bool canary_ends(const char *message, size_t len, const char *token)
{
        while (len > 0 && strchr("\r\n \t", message[len - 1]))
                len--;
        return len >= DIGITS && memcmp(message + len - DIGITS, token, DIGITS) == 0;
}

/*
 * known - the list of culprits' files
 *
 * Kept by act/spool_known.c, read by observe/arrivals.c as well. Pure, of bounded size; cannot fail but for
 * want of memory.
 * Test: tests/unit/test_known.c.
 */
#include "base/known.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN 64

void known_add(Known *k, uint64_t size, const uint8_t digest[SHA256_SIZE])
{
        size_t at;

        if (size < SIZE_MIN)
                return;
        for (at = 0; at < k->n; at++)
                if (k->at[at].size == size && memcmp(k->at[at].digest, digest, SHA256_SIZE) == 0)
                        break;
        if (at == k->n && k->n < KNOWN_MAX)
                k->n++;
        else if (at == k->n)
                at = 0;
        memmove(k->at + at, k->at + at + 1, (k->n - at - 1) * sizeof(k->at[0]));
        k->at[k->n - 1].size = size;
        memcpy(k->at[k->n - 1].digest, digest, SHA256_SIZE);
}

static void line_read(Known *k, const char *line)
{
        uint8_t digest[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        uint64_t size;

        if (sscanf(line, "%" SCNu64 " %64[0-9a-f]", &size, hex) == 2 && strlen(hex) == sizeof(hex) - 1 &&
            text_unhex(hex, digest, sizeof(digest)) == 0)
                known_add(k, size, digest);
}

void known_parse(Known *k, char *text)
{
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                line_read(k, line);
}

char *known_format(const Known *k)
{
        char *text = malloc(k->n * KNOWN_LINE_MAX + 1);
        size_t len = 0;

        if (!text)
                return NULL;
        text[0] = '\0';
        for (size_t i = 0; i < k->n; i++) {
                char hex[2 * SHA256_SIZE + 1];

                len += (size_t)snprintf(text + len, KNOWN_LINE_MAX + 1, "%" PRIu64 " %s\n", k->at[i].size,
                                        text_hex(hex, k->at[i].digest, SHA256_SIZE));
        }
        return text;
}

bool known_has_size(const Known *k, uint64_t size)
{
        for (size_t i = 0; i < k->n; i++)
                if (k->at[i].size == size)
                        return true;
        return false;
}

bool known_has(const Known *k, uint64_t size, const uint8_t digest[SHA256_SIZE])
{
        for (size_t i = 0; i < k->n; i++)
                if (k->at[i].size == size && memcmp(k->at[i].digest, digest, SHA256_SIZE) == 0)
                        return true;
        return false;
}

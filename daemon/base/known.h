#pragma once

/*
 * Known: size and digest of the files of messages that were culprits once, as they stand in HOLD/culprits.
 */

#include "base/file.h"

#include <stdbool.h>

#define KNOWN_MAX 256
/* A line of the list: SIZE SHA256. */
#define KNOWN_LINE_MAX (20 + 1 + 2 * SHA256_SIZE + 1)
#define KNOWN_FILE     "culprits"

typedef struct Known {
        size_t n;
        struct {
                uint64_t size;
                uint8_t digest[SHA256_SIZE];
        } at[KNOWN_MAX]; /* the oldest first */
} Known;

/* The newest; an old one makes room. Files of less than 64 bytes are not taken: too many are alike. */
void known_add(Known *k, uint64_t size, const uint8_t digest[SHA256_SIZE]);
/* The lines of @text, which is taken apart; what is no such line is skipped. */
void known_parse(Known *k, char *text);
/* A new string. NULL on ENOMEM. */
char *known_format(const Known *k);
/* Is there one of this size at all? */
bool known_has_size(const Known *k, uint64_t size);
bool known_has(const Known *k, uint64_t size, const uint8_t digest[SHA256_SIZE]);

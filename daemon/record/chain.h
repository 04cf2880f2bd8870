#pragma once

/*
 * Chain: the links between the lines of the audit trail. Pure: bytes in, digests out.
 *
 * A line is one JSON object without white space between its tokens. Its digest is the SHA-256 of the line's
 * bytes without its digest member and the comma that goes with it, so it can be checked with nothing but sed
 * and sha256sum.
 */

#include <stddef.h>
#include <stdint.h>

/* Hex digits of a SHA-256, and what the first record of all has for "prev". */
#define CHAIN_HEX  64
#define CHAIN_ZERO "0000000000000000000000000000000000000000000000000000000000000000"

typedef struct ChainLink {
        uint64_t seq;
        char prev[CHAIN_HEX + 1];
        char hash[CHAIN_HEX + 1]; /* as the line says it; see chain_digest() for what it should be */
} ChainLink;

/* Where a member of the outermost object lies: its value, and the cut that takes the whole member out. */
typedef struct ChainMember {
        size_t value, value_len;
        size_t cut, cut_len;
} ChainMember;

/* Finds a member of the outermost object. Return: 0, -ENOENT if it has none of that name, -EBADMSG if it is
 * no line. */
int chain_member(const char *line, size_t len, const char *name, ChainMember *ret);

/* The digest of @line without its member @name. Return: 0, or as chain_member(). */
int chain_digest(const char *line, size_t len, const char *name, char ret[CHAIN_HEX + 1]);

/* Reads "seq", "prev" and "hash". Return: 0, or -EBADMSG. The hash is not checked. */
int chain_parse(const char *line, size_t len, ChainLink *ret);

/* chain_parse(), and the hash is what it should be. Return: 0, or -EBADMSG. */
int chain_check(const char *line, size_t len, ChainLink *ret);

/*
 * chain - the links between the lines of the audit trail
 *
 * Used by audit.c (writes lines), verify.c (checks them) and snapshot.c (whose files carry a digest of the
 * same kind). The line is scanned as bytes and never re-serialised, so that what is checked is exactly what
 * is on the disk. Anything that is no compact JSON object is -EBADMSG; nothing is allocated, nothing is kept.
 */
#include "record/chain.h"

#include "base/error.h"
#include "base/text.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

/* Past the closing quote of the string that begins at @at. Return: the offset, 0 if it does not end. */
static size_t skip_string(const char *line, size_t len, size_t at)
{
        if (at >= len || line[at] != '"')
                return 0;
        for (at++; at < len; at++) {
                if (line[at] == '\\')
                        at++;
                else if (line[at] == '"')
                        return at + 1;
        }
        return 0;
}

/* Past the value that begins at @at: at the comma or brace that follows it. Return: the offset, 0 if it does
 * not end. */
static size_t skip_value(const char *line, size_t len, size_t at)
{
        size_t start = at, depth = 0;

        while (at < len) {
                switch (line[at]) {
                case '"':
                        at = skip_string(line, len, at);
                        if (at == 0)
                                return 0;
                        continue;
                case '{':
                case '[':
                        depth++;
                        break;
                case '}':
                case ']':
                        if (depth == 0)
                                return at > start ? at : 0;
                        depth--;
                        break;
                case ',':
                        if (depth == 0)
                                return at > start ? at : 0;
                        break;
                }
                at++;
        }
        return 0;
}

int chain_member(const char *line, size_t len, const char *name, ChainMember *ret)
{
        size_t at = 1, name_len = strlen(name);

        if (len < 2 || line[0] != '{' || line[len - 1] != '}')
                return -EBADMSG;
        while (at < len - 1) {
                size_t key = at, colon = skip_string(line, len, at), end;

                if (colon == 0 || colon >= len || line[colon] != ':')
                        return -EBADMSG;
                end = skip_value(line, len, colon + 1);
                if (end == 0)
                        return -EBADMSG;
                if (colon - key == name_len + 2 && memcmp(line + key + 1, name, name_len) == 0) {
                        bool comma_after = line[end] == ',', comma_before = line[key - 1] == ',';

                        ret->value = colon + 1;
                        ret->value_len = end - colon - 1;
                        ret->cut = !comma_after && comma_before ? key - 1 : key;
                        ret->cut_len = end + (comma_after ? 1 : 0) - ret->cut;
                        return 0;
                }
                if (line[end] == '}')
                        return end == len - 1 ? -ENOENT : -EBADMSG;
                at = end + 1;
        }
        return len == 2 ? -ENOENT : -EBADMSG;
}

int chain_digest(const char *line, size_t len, const char *name, char ret[CHAIN_HEX + 1])
{
        crypto_hash_sha256_state state;
        uint8_t digest[crypto_hash_sha256_BYTES];
        ChainMember m;
        int r;

        r = chain_member(line, len, name, &m);
        if (r < 0)
                return r;
        crypto_hash_sha256_init(&state);
        crypto_hash_sha256_update(&state, (const unsigned char *)line, m.cut);
        crypto_hash_sha256_update(&state, (const unsigned char *)line + m.cut + m.cut_len,
                                  len - m.cut - m.cut_len);
        crypto_hash_sha256_final(&state, digest);
        text_hex(ret, digest, sizeof(digest));
        return 0;
}

static int member_number(const char *line, size_t len, const char *name, uint64_t *ret)
{
        ChainMember m;
        uint64_t n = 0;

        if (chain_member(line, len, name, &m) < 0 || m.value_len == 0 || m.value_len > 19)
                return -EBADMSG;
        for (size_t i = 0; i < m.value_len; i++) {
                char c = line[m.value + i];

                if (c < '0' || c > '9')
                        return -EBADMSG;
                n = n * 10 + (uint64_t)(c - '0');
        }
        *ret = n;
        return 0;
}

static int member_digest(const char *line, size_t len, const char *name, char ret[CHAIN_HEX + 1])
{
        ChainMember m;

        if (chain_member(line, len, name, &m) < 0 || m.value_len != CHAIN_HEX + 2 || line[m.value] != '"')
                return -EBADMSG;
        for (size_t i = 0; i < CHAIN_HEX; i++)
                if (!strchr("0123456789abcdef", line[m.value + 1 + i]) || !line[m.value + 1 + i])
                        return -EBADMSG;
        memcpy(ret, line + m.value + 1, CHAIN_HEX);
        ret[CHAIN_HEX] = '\0';
        return 0;
}

int chain_parse(const char *line, size_t len, ChainLink *ret)
{
        ChainLink link = { 0 };

        if (member_number(line, len, "seq", &link.seq) < 0 ||
            member_digest(line, len, "prev", link.prev) < 0 ||
            member_digest(line, len, "hash", link.hash) < 0)
                return -EBADMSG;
        *ret = link;
        return 0;
}

int chain_check(const char *line, size_t len, ChainLink *ret)
{
        char digest[CHAIN_HEX + 1];
        ChainLink link;

        if (chain_parse(line, len, &link) < 0 || chain_digest(line, len, "hash", digest) < 0 ||
            strcmp(digest, link.hash) != 0)
                return -EBADMSG;
        *ret = link;
        return 0;
}

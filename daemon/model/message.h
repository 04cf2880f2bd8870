#pragma once

/*
 * Messages: all files of one id in one store.
 *
 * Roster is the compact table of every message an incident has seen (16 bytes and its id each); the search,
 * placement and ledger speak of messages by their index in it. Message is the full record with its files,
 * made only for suspects and culprits.
 */

#include "base/text.h"
#include "model/words.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

typedef struct MessageFile {
        char *path; /* absolute, where it was in its store; bytes */
        FileType type;
        uint64_t size;
        mode_t mode; /* permission bits, 07777 */
        uid_t uid;
        gid_t gid;
        struct timespec mtime;
        uint64_t inode;
        bool has_sha256; /* only regular files have one */
        uint8_t sha256[32];
} MessageFile;

/* A file in the server's own hold. */
typedef struct MessageWhere {
        char *path; /* absolute; bytes */
        uint64_t inode;
} MessageWhere;

typedef struct Message {
        char *id; /* bytes, NUL-terminated (no file name holds a NUL) */
        char *store;
        MessageFile *files;
        size_t n_files;
        double weight;
        char **evidence; /* why it is suspected: "held_open", "named_in_log", "odd_kind" ... */
        bool maybe_repeated;
        bool native; /* in quarantine, but in the server's own hold: */
        MessageWhere *where;
        size_t n_where;
        char *canary; /* the token of a canary in it, not verified; NULL: none. Not part of the record */
} Message;

void message_deinit(Message *m);
/* It lies in no hold of the server (any more). */
void message_clear_where(Message *m);
/* Copies @path. Return: 0 or -ENOMEM. */
int message_add_where(Message *m, const char *path, uint64_t inode);
/* The record of CONTRACT.md. NULL on ENOMEM. */
json_t *message_to_json(const Message *m);
/* Return: 0, -EINVAL if it is no message record, -ENOMEM. */
int message_from_json(const json_t *j, Message *ret);

/* Where a message is, as the last inventory saw it; a message being moved by a crashed run can be in two. */
typedef enum Place {
        PLACE_STORE = 1 << 0,
        PLACE_HOLD = 1 << 1,
        PLACE_QUARANTINE = 1 << 2,
} Place;

/* What an incident knows of a message, for ledger and record. */
typedef enum MessageFlag {
        MESSAGE_BEFORE = 1 << 0,   /* was there when the incident opened */
        MESSAGE_ARRIVED = 1 << 1,  /* came later */
        MESSAGE_WAS_HELD = 1 << 2, /* has been in hold */
        MESSAGE_CONSUMED = 1 << 3, /* gone while the service ran */
        MESSAGE_LOST = 1 << 4,     /* gone while it did not: an alert */
        MESSAGE_REPEATED = 1 << 5, /* in flight at a kill or crash: the server may repeat it */
        MESSAGE_CULPRIT = 1 << 6,
        MESSAGE_SUSPECT = 1 << 7, /* held open, or odd: suspects first */
        MESSAGE_NAMED = 1 << 8,   /* a log line names it: orders trials, nothing more */
        MESSAGE_IGNORED = 1 << 9, /* waits rightly (stall.ignore) */
        MESSAGE_CANARY = 1 << 10, /* unjamd's own: never suspected */
        MESSAGE_KNOWN = 1 << 11,  /* as a culprit, by the digest of a file: orders trials, nothing more */
} MessageFlag;

typedef struct RosterEntry {
        uint32_t id;        /* offset into the arena */
        uint32_t hash_next; /* index + 1 of the next with the same hash, 0: end */
        uint16_t id_len;
        uint8_t store;
        uint8_t place;  /* Place bits */
        uint16_t flags; /* MessageFlag bits */
        uint16_t pass;  /* the number of the inventory that saw it last */
} RosterEntry;

typedef struct Roster {
        RosterEntry *entries;
        size_t n, allocated;
        char *arena;
        size_t arena_len, arena_allocated;
        uint32_t *buckets;
        size_t n_buckets;
        uint16_t pass;
} Roster;

void roster_deinit(Roster *r);
/* Finds or adds; *@ret is its index. Return: 0, -ENOMEM, -EOVERFLOW past UINT32_MAX - 1 messages or 64 KiB of
 * id. */
int roster_add(Roster *r, unsigned store, const char *id, size_t len, uint32_t *ret);
#define ROSTER_E_NONE 1
int roster_find(const Roster *r, unsigned store, const char *id, size_t len, uint32_t *ret);
static inline const char *roster_id(const Roster *r, uint32_t i, size_t *ret_len)
{
        if (ret_len)
                *ret_len = r->entries[i].id_len;
        return r->arena + r->entries[i].id; /* NUL-terminated */
}

/* A set of roster indices. All zero is an empty one. */
typedef struct MessageSet {
        uint64_t *bits;
        size_t n_words;
} MessageSet;

void message_set_deinit(MessageSet *s);
int message_set_add(MessageSet *s, uint32_t i);
void message_set_remove(MessageSet *s, uint32_t i);
bool message_set_has(const MessageSet *s, uint32_t i);
size_t message_set_count(const MessageSet *s);
void message_set_clear(MessageSet *s);
int message_set_copy(MessageSet *dst, const MessageSet *src);

/* Promise 10. All counts of messages; before + arrived equals the sum of the rest. */
typedef struct Ledger {
        uint64_t before, arrived, untouched, restored, quarantined, consumed, held, unaccounted;
} Ledger;
/* From flags and places of a roster whose last inventory is fresh. */
Ledger ledger_of(const Roster *r);
json_t *ledger_to_json(const Ledger *l);

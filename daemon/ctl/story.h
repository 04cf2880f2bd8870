#pragma once

/*
 * Stories: what the audit trail tells of incidents. Read from the files, so they can be told while the daemon
 * is down.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Takes one record, parsed. Return: 0, or a negated errno, which ends the reading. */
typedef int (*RecordHandler)(void *userdata, json_t *record);

/*
 * Hands over the records of the trail at @path, oldest first, whose line contains @needle (NULL: all). Lines
 * that are no JSON are left out: `audit verify` is there to judge them. Return: 0, a negated errno, or what
 * @handler returned.
 */
int records_read(const char *path, const char *needle, RecordHandler handler, void *userdata);

/* A string member of a record, or of its data; NULL if it has none. */
const char *record_string(const json_t *record, const char *name);
/* The member of data, or else of the record itself. Borrowed; NULL if it has none. */
json_t *record_member(const json_t *record, const char *name);

typedef struct Story Story;
struct Story {
        char *incident;
        char *service;
        json_t *opened;   /* the time of the first record; string */
        json_t *close;    /* the record "incident.closed", NULL while it is open */
        json_t *state;    /* string: the last state it went to */
        json_t *culprits; /* array of message records */
        json_int_t trials, crashes;
        json_t *records; /* array: all of them; only if asked for */
};

typedef struct Stories {
        Story *list; /* oldest first */
        size_t n;
} Stories;

void stories_deinit(Stories *s);
/* All incidents of @service (NULL: of all). Return: 0 or a negated errno. */
int stories_read(const char *path, const char *service, Stories *ret);
/*
 * The one incident @id ("last": the youngest), with all its records. A beginning that fits only one will do.
 * Return: 0, -ENOENT, -EEXIST if several fit, or another errno.
 */
int story_read(const char *path, const char *id, Story *ret);
void story_deinit(Story *s);

/* As `incident list --json` has it. NULL on ENOMEM. */
json_t *story_summary(const Story *s);
/* How it is: the result, or the state it is in. */
const char *story_word(const Story *s);

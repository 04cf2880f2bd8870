#pragma once

/*
 * Live: the whole of unjamd minus systemd: the real engine, recorder, actuator, spool and guard on a real
 * directory, with a manager and a mail server that only pretend, in virtual time.
 *
 * What outlives unjamd (the server, the clock, what is known of each message) lies in shared memory. Each
 * life of unjamd is a process of its own: live_run() forks it, so that a test may end it anywhere.
 *
 * The server delivers message by message: it unlinks the files. Poison makes it crash or hang. Two stores:
 * "q" is flat, in In and Out; "x" has messages of two files, NAME-H (last) and NAME-D.
 */

#include "base/clock.h"
#include "live/calls.h"
#include "model/settings.h"

#include <limits.h>
#include <sys/stat.h>

#define LIVE_MESSAGES 40
#define LIVE_FILES    2

typedef enum LivePoison {
        LIVE_GOOD,
        LIVE_CRASHES,
        LIVE_HANGS,
} LivePoison;

typedef struct LiveFile {
        char path[64]; /* below the root, in its store */
        struct stat st;
} LiveFile;

typedef struct LiveMessage {
        char id[24];
        unsigned store;
        LiveFile files[LIVE_FILES]; /* the control file first */
        unsigned n_files;
        LivePoison poison;
        unsigned delivered;
        bool deleted; /* an operator wanted that */
} LiveMessage;

typedef enum LiveRequest {
        LIVE_NOTHING,
        LIVE_RELEASE, /* what is in quarantine, after it was mended */
        LIVE_DELETE,
        LIVE_RESTORE, /* what is held */
} LiveRequest;

/* The server's own hold, spool/held, and what comes of its commands. */
typedef enum LiveNative {
        LIVE_NO_NATIVE,
        LIVE_NATIVE_WORKS,
        LIVE_NATIVE_FAILS, /* it says so, and has done nothing */
        LIVE_NATIVE_HANGS, /* it is killed at its limit, after it has done its work */
} LiveNative;

typedef struct LiveConfig {
        unsigned n_messages; /* in store q */
        unsigned n_second;   /* in store x */
        unsigned restarts, max_trials;
        bool sees_inflight;
        bool dies_at_start; /* until the rebuildable file is purged */
        bool always_dies;
        bool syncs;          /* the server syncs what it does to the disk */
        bool fallback;       /* the directories hold something that is no message: no exchange */
        LiveRequest request; /* once the incident has closed */
        LiveNative native;
} LiveConfig;

typedef struct Live {
        LiveConfig config;
        char root[PATH_MAX / 4];
        usec_t now; /* virtual, monotonic */

        LiveMessage messages[LIVE_MESSAGES];
        unsigned n_messages;

        /* The server. */
        bool up, starting, hung, failed;
        unsigned life;
        usec_t server_at;  /* it does something; USEC_INFINITY: nothing */
        unsigned inflight; /* index + 1 */
        unsigned starts, deaths;

        /* unjamd. */
        unsigned lives;
        bool requested;      /* the operator has asked, and has an answer */
        char asked_for[256]; /* the incident or the message in quarantine; "" as long as nothing was asked */
        unsigned long calls; /* of the last life, of the armed kinds */
        bool fired;
        char wrong[256]; /* a promise that was broken; "" if none */
} Live;

typedef enum LiveEnd {
        LIVE_DONE,    /* nothing more to do */
        LIVE_KILLED,  /* by calls */
        LIVE_OVERDUE, /* hours of its time went by, and it is not done */
        LIVE_BROKEN,  /* it died by itself, or hung in real time */
} LiveEnd;

/* A tree in a fresh directory below @dir, the server running. The caller's, until live_free(). */
Live *live_new(const LiveConfig *config, const char *dir);
void live_free(Live *l);
void live_poison(Live *l, const char *id, LivePoison poison);
LiveMessage *live_message(Live *l, const char *id);

/* One life of unjamd, with @calls armed (NULL: none). */
LiveEnd live_run(Live *l, const Calls *calls);
/* The host starts again: the server comes up, unless it is guarded. */
void live_boot(Live *l);

/* ---- what must be true ---- */

typedef enum LivePlace {
        LIVE_GONE,
        LIVE_STORE,
        LIVE_HOLD,
        LIVE_QUARANTINE,
        LIVE_HELD,  /* by the server */
        LIVE_HALF,  /* of its files, some are in hold and some in quarantine */
        LIVE_SPLIT, /* some are in the store, and some are not */
} LivePlace;

/*
 * Looks at every file below the root: each file of each message in exactly one place, unchanged, but for
 * those that were delivered or deleted; nothing that nobody knows. @places gets where each message is. Fills
 * @wrong and returns false if that is not so.
 */
bool live_look(Live *l, LivePlace places[LIVE_MESSAGES], char wrong[256]);
/*
 * The audit trail: verifies with its head; every incident that was opened was closed (if @closed), the last
 * ledger adds up. @result gets how the last one ended.
 */
bool live_trail(Live *l, bool closed, char result[32], char wrong[256]);

/* ---- inside of a life (live_life.c) ---- */

void live_life(Live *l, const Calls *calls) __attribute__((noreturn));

/* ---- the server (live_server.c) ---- */

void server_start(Live *l);
void server_stop(Live *l);
/* Its own command: "hold", "release" or "delete", and the id. Return: the exit status. */
int server_command(Live *l, char *const *argv);
/* What it does at server_at. Return: did anything change that unjamd could see? */
bool server_turn(Live *l);

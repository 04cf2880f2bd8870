#pragma once

/*
 * Actuator: what the engine can do to the world for one service.
 *
 * perform() begins one action and calls done() exactly once from the event loop, later or at once. At most
 * one action of an actuator is under way. Every action can be repeated: it looks at the world first and does
 * what is missing, so that after a crash "perform it again" and "find out whether it happened" are the same
 * thing.
 *
 * Implementations: service_actuator (real), null_actuator (observe mode: reads like the real one, answers
 * RESULT_OBSERVED to what would change anything), fake_actuator (tests/fake).
 */

#include "model/evidence.h"
#include "model/message.h"
#include "model/words.h"

#include <jansson.h>

typedef struct Actuator Actuator;

#define STORE_ALL SIZE_MAX

typedef struct Action {
        ActionKind kind;
        uint64_t seq;         /* unique in the incident */
        const char *incident; /* its id: names the folder in hold and the marker file */
        size_t store;         /* SET_ASIDE: store index or STORE_ALL */
        bool with_causes;     /* COLLECT: run the cause checks too */
        bool core;    /* COLLECT: a process of it dumped core; the journal's word of that may come late */
        bool healthy; /* COLLECT: the service is healthy now; its cause checks are the baseline */
        const MessageSet *set; /* PLACE: held afterwards, all others released. QUARANTINE: these. RESTORE: but
                                  for these */
        bool spare_canaries;   /* PLACE: canaries of @set stay in their store, and get MESSAGE_CANARY */
        Roster *roster; /* read and updated by inventories; the actuator's while the action is under way */
        bool native;    /* RESTORE: culprits of the incident go into the server's own hold, where that is
                           configured. RELEASE: it is said to be there, which is why the service may run */
        bool again; /* RELEASE, DELETE: it may have been done already; that nothing is there any more is no
                       failure */
        const char *quarantine; /* RELEASE, DELETE: the quarantine id; with @target for `release --to` */
        const char *target;     /* CATCH: the path of the file that has arrived */
        json_t *data;           /* QUARANTINE: object id -> why (for message.json); borrowed */
} Action;

/* The counts of an inventory, for the record. */
typedef struct Inventory {
        uint64_t in_store, in_hold, in_quarantine, vanished, arrived;
} Inventory;

typedef struct Outcome {
        ActionKind kind;
        uint64_t seq;
        ResultKind result;
        Reason reason;          /* why it failed, where there is a word for it */
        const char *detail;     /* UTF-8, for the record; NULL: nothing to add */
        bool alive;             /* COLLECT, STOP: something of the service lives */
        const char *invocation; /* START: of the run that was started, or NULL */
        json_t *data; /* record data of this outcome (pids killed, files moved ...); borrowed, may be NULL */
        const Evidence *evidence;  /* COLLECT; borrowed */
        const CauseResult *causes; /* COLLECT with_causes; borrowed */
        size_t n_causes;
        bool has_inventory;
        Inventory inventory;
        const Message *messages; /* QUARANTINE, PLACE of few, RESTORE (those that the server holds now): full
                                    records with digests; borrowed */
        size_t n_messages;
        json_t *stores; /* of a SET_ASIDE before: those whose manifest is made now, or NULL; borrowed */
        const char *const *message_ids; /* QUARANTINE, RESTORE: the quarantine ID of each of @messages */
} Outcome;

typedef void (*OutcomeHandler)(void *userdata, const Outcome *o);

typedef struct ActuatorOps {
        /* Return: 0, or a negated errno if the action could not even begin (done() is not called then). */
        int (*perform)(Actuator *a, const Action *action, OutcomeHandler done, void *userdata);
        /* Progress of the action under way, in messages or files; 0 of 0 if it has none. */
        void (*progress)(Actuator *a, uint64_t *ret_done, uint64_t *ret_total);
        /*
         * Asks the action under way to end between two slices, if it moves messages: it then has failed, with
         * REASON_INTERRUPTED. What was moved stays moved, and the action can be repeated.
         */
        void (*interrupt)(Actuator *a);
        /*
         * Maps an absolute path (of an open file, or named by a source) to a message. Return: 0 with
         * *@ret_store and the id inside @path, or ACTUATOR_E_NONE. Paths inside hold count as the store's.
         */
        int (*resolve)(Actuator *a, const char *path, size_t *ret_store, const char **ret_id,
                       size_t *ret_len);
        Actuator *(*free)(Actuator *a);
} ActuatorOps;

#define ACTUATOR_E_NONE 1

struct Actuator {
        const ActuatorOps *ops;
};

static inline int actuator_perform(Actuator *a, const Action *action, OutcomeHandler done, void *userdata)
{
        return a->ops->perform(a, action, done, userdata);
}
static inline void actuator_progress(Actuator *a, uint64_t *ret_done, uint64_t *ret_total)
{
        a->ops->progress(a, ret_done, ret_total);
}
static inline void actuator_interrupt(Actuator *a)
{
        a->ops->interrupt(a);
}
static inline int actuator_resolve(Actuator *a, const char *path, size_t *ret_store, const char **ret_id,
                                   size_t *ret_len)
{
        return a->ops->resolve(a, path, ret_store, ret_id, ret_len);
}
static inline Actuator *actuator_free(Actuator *a)
{
        return a ? a->ops->free(a) : NULL;
}

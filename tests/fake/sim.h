#pragma once

/*
 * Sim: a mail service, its stores, an actuator and a recorder in memory, in virtual time; and the real engine
 * on them.
 *
 * The service works off the messages in its stores one after the other, `each` apart. Poison makes it crash
 * or hang. The actuator moves messages between places as the real one promises to. Nothing waits: sim_run()
 * jumps from one moment at which something happens to the next.
 */

#include "engine.h"

typedef enum Poison {
        POISON_NONE,
        POISON_CRASH,
        POISON_HANG,
        POISON_PAIR, /* crashes if another one with the same poison is in the stores too */
} Poison;

typedef struct SimMessage {
        char id[16];
        unsigned store;
        Poison poison;
        uint8_t place; /* Place, 0: consumed */
        unsigned delivered;
        bool arrived;
} SimMessage;

typedef struct SimConfig {
        size_t n_messages;     /* in store 0, numbered m0, m1 ... */
        usec_t each;           /* to deliver one */
        usec_t start_time;     /* until it is up */
        bool dies_at_start;    /* whatever the stores hold */
        bool starts_never_end; /* start job hangs */
        bool stop_hangs;       /* SIGTERM is ignored */
        bool unkillable;
        bool bad_state;     /* dies at start until it is purged */
        bool sees_inflight; /* evidence shows the file that is held open */
        bool veto;          /* a cause check says no */
        bool stranger;      /* moving is refused */
        unsigned n_stores;  /* 1 or 2 */
        bool rebuildable;
        Mode mode;
        unsigned max_per_hour, max_trials;
        unsigned arrivals_per_day; /* arrival_quarantine, 0: off */
        bool looks;                /* somebody looks at the host when asked */
} SimConfig;

typedef struct Sim Sim;

Sim *sim_new(const SimConfig *config);
void sim_free(Sim *s);

void sim_poison(Sim *s, size_t message, Poison poison, unsigned store);
/* Mail that arrives: into the store. */
size_t sim_arrive(Sim *s, unsigned store);
/* Runs until nothing is left to happen or @until (monotonic, counted from 0) is reached. */
void sim_run(Sim *s, usec_t until);
/* Until an incident.closed record exists (or @limit). Return: whether. */
bool sim_run_closed(Sim *s, usec_t limit);
usec_t sim_now(const Sim *s);

/* unjamd dies here and now, and is started again. */
void sim_crash(Sim *s);
/* Dies at the @n-th moment from now at which a commit or action begins or ends (0: never). */
void sim_crash_at(Sim *s, unsigned n);
/* The service is killed by somebody, if it runs, just after the @n-th such moment from now (0: never). */
void sim_kill_at(Sim *s, unsigned n);
/* How many such moments there were so far. */
unsigned sim_moments(const Sim *s);
/* Commits fail from now on with this errno (0: they work again). */
void sim_fail_commits(Sim *s, int error);
/* The progress source says that the file of this message is a known culprit's. */
void sim_known_arrives(Sim *s, size_t message);
/* What a log source reports. */
void sim_log(Sim *s, const LogEntry *entry);
/* From now on there is this condition of the host (REASON_NONE: none any more); the service dies of it. */
void sim_condition(Sim *s, Reason reason, bool kills);
/* The service dies, for no fault of any message; what its manager says of it, NULL: "signal". */
void sim_die(Sim *s, const char *result);
/* Somebody else starts it again, if it does not run. */
void sim_start(Sim *s);
/* An operator stops the service. */
void sim_operator_stop(Sim *s);

/* The action under way, or ACTION_NONE. */
ActionKind sim_acting(const Sim *s);
bool sim_canaries(const Sim *s);  /* may they be sent, as the engine says? */
unsigned sim_looks(const Sim *s); /* at the host, that were asked for */

const SimMessage *sim_message(const Sim *s, size_t i);
size_t sim_n_messages(const Sim *s);
bool sim_running(const Sim *s);
bool sim_looks_closely(const Sim *s); /* the engine wants the processes looked at */
unsigned sim_acts(const Sim *s);      /* actions that changed the world */

/* The audit trail: the number of records of this kind, the last one. */
size_t sim_count(const Sim *s, AuditEvent event);
const json_t *sim_last(const Sim *s, AuditEvent event);
const json_t *sim_records(const Sim *s);
/* A request as root; the reply's body (borrowed until the next), NULL if there was none yet. */
const json_t *sim_ask(Sim *s, const char *verb, json_t *args, bool *ret_ok);

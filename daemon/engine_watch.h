#pragma once

/*
 * The engine's rooms share this: one Watch per service. Private to engine*.c.
 *
 *      engine.c          facts in, time, start and stop
 *      engine_step.c     event -> step -> commit -> run: the write-ahead order
 *      engine_outcome.c  what an action or a trial came to -> event
 *      engine_search.c   suspects, the search, who is to be held
 *      engine_memory.c   what survives unjamd: written down, read back
 *      engine_condition.c    what of the host explains a failure
 *      engine_flap.c     what is worth no incident of its own
 *      engine_record.c   audit records, alerts, what watchers are told
 *      engine_log.c      gaps in the logs, and messages that they name
 *      engine_sources.c  what the sources are told
 *      engine_control.c  an operator's requests
 *      engine_metrics.c  figures for those who ask
 */

#include "decide/flap.h"
#include "decide/isolate.h"
#include "decide/recovery.h"
#include "decide/trial.h"
#include "diagnose/diagnosis.h"
#include "engine.h"
#include "model/counters.h"
#include "model/memory.h"

#define HISTORY_MAX 64  /* entries that `explain` can show */
#define NOTE_MAX    160 /* bytes of each */
#define QUEUE_MAX   16

typedef struct Watch Watch;

/* Why something was done, or not: what `explain` shows. */
typedef struct HistoryEntry {
        usec_t wall;
        Reason reason;
        char *text;
} HistoryEntry;

/* A message that a log line named, by a rule's captures. */
#define NAMED_MAX 64
typedef struct NamedMessage {
        usec_t wall; /* said last; 0: this place is free */
        char *id;
        pid_t pid; /* 0: none */
        size_t rule;
        char text[160];
} NamedMessage;

/* An operator's request that needs an action of its own, or the machine's help. */
typedef struct Operation {
        ActionKind kind; /* ACTION_NONE: none; RELEASE, DELETE, RESTORE, COLLECT (check), START (embedded) */
        bool queued;     /* it waits until the open incident has closed */
        bool direct;     /* it is done beside the machine: promise 2 allows it at any moment */
        bool again;      /* an unjamd before had begun it: it may have been done */
        bool native; /* release, delete: the server holds it, so its own command does that while it runs */
        char *quarantine; /* release: the quarantine id */
        char *target;     /* release --to; catch: the file */
        char *incident;   /* restore: the incident whose hold is meant */
} Operation;

/* Known culprits that were caught on arrival within a day. */
typedef struct ArrivalCount {
        usec_t since; /* wall: of the first */
        unsigned n;
        bool told; /* that there are no more to be caught */
} ArrivalCount;

/* A commit under way: kept whole until it is durable, to be tried again if the disk is full. */
typedef struct Pending {
        bool active;
        bool failed; /* it is waiting to be tried again at @retry_at */
        usec_t retry_at;
        bool under_way; /* the recorder has not answered */
        Incident next;
        Step step;
        json_t *records; /* array of {"event": ..., "members": {...}} */
} Pending;

struct Watch {
        Engine *engine;
        size_t index;
        const ServiceSettings *settings;
        ServicePorts ports;
        Ladder ladder;

        Incident incident;
        Diagnosis *diagnosis;
        Finding finding; /* the last one that said something */
        Pending pending;
        bool acting;           /* the actuator has an action of ours */
        usec_t counted_at;     /* monotonic: its progress was first seen; 0: not yet */
        uint64_t counted_from; /* ... and what it was */
        bool fresh;            /* the roster's places are those of this life of unjamd */
        bool refreshing;       /* an inventory is taken first; then comes: */
        Step deferred;
        Event *queue; /* QUEUE_MAX of the engine's */
        size_t n_queue;
        usec_t put_off; /* monotonic: when what is queued is tried again; 0: nothing was put off */
        bool shutdown;  /* the host goes down: nothing more is begun */

        Trial trial;
        bool watching;
        bool missed;       /* @finding came after the last trial, with the incident still open */
        usec_t started;    /* monotonic: the last START */
        usec_t patience;   /* the longest delivery seen in this incident */
        uint64_t released; /* messages that were in the stores at that START and should move */
        uint64_t reported; /* bits by store: whose progress this trial has heard of */
        char invocation[64];

        Roster roster;
        MessageSet suspects; /* in flight, odd, or named; of this incident */
        MessageSet tried;    /* suspects that were held in a trial that failed all the same */
        MessageSet held;     /* what the last PLACE was asked to hold */
        Isolate *search;
        uint32_t *candidates; /* search index -> roster index */
        uint32_t *search_of;  /* roster index -> search index + 1, 0: no candidate */
        size_t n_search_of;
        size_t n_candidates;
        uint64_t *inflight; /* bits by search index: of the trial that just failed */
        size_t n_words;
        bool memory_dirty;
        Memory memory;                                           /* what the log of this generation says */
        uint64_t memory_generation, memory_length, memory_first; /* the log's, its first block's */
        uint64_t n_quarantined;                                  /* in the quarantine of all its stores */
        json_t *culprits;                                        /* message records, for incident.closed */
        json_t *records; /* audit records that wait for the next commit */

        json_t *why; /* of the culprits that are being quarantined */
        Operation operation;
        char **arrivals; /* paths of known culprits that wait for their turn, or NULL */
        ArrivalCount arrival;
        /* RESTORE of an operator: whose hold is meant, until the incident closes. */
        char returning[INCIDENT_ID_MAX];
        ControlReply *reply; /* of the operation, or NULL: nobody waits for it */
        ControlReply *ack;   /* who waits for the commit under way, or NULL */
        bool resuming;       /* EVENT_RESUMED waits for the first word of the manager */
        usec_t resume_at;    /* ... but not longer than this (monotonic) */
        RunState run;        /* the manager's last word */
        bool canaries;       /* may be sent */
        bool waiting, look;  /* what the source of processes was told last */
        Reason waits_for;    /* a condition of the host, told once; REASON_NONE */
        Flaps flaps;
        bool held_back; /* @finding is a fault that opened no incident */
        bool gated;     /* a start has failed, and it is being looked at whether the host explains it: */
        Event gate;
        usec_t failed_at;    /* monotonic: a trial has failed, and the same; 0: none */
        usec_t look_due;     /* ask again then */
        bool first_start;    /* embedded: this unjamd has started it once */
        usec_t check_at;     /* monotonic: the next baseline of cause checks; 0: as soon as it is healthy */
        usec_t paused_until; /* monotonic; 0: not paused */
        usec_t since;        /* wall: the last change of state */
        usec_t down_since;   /* wall: when the service was last seen to be down, for outage_ms; 0: it is up */
        uint64_t outage;     /* usec of this incident so far */
        HistoryEntry *history; /* oldest first */
        NamedMessage *named;   /* NAMED_MAX of them; NULL: none was named yet */
        unsigned recording;    /* commits of gaps that have not answered */
        size_t n_history;
        Counters counters;        /* of the records that are on disk */
        uint64_t record_failures; /* commits that were refused */
        usec_t recoveries[16];    /* wall times of the last incidents that acted, for max_per_hour */
};

struct Engine {
        Settings *settings;
        EnginePorts ports;
        Watch *watches;
        Event *queues; /* of all watches: memory that is hardly ever touched, so kept together */
        size_t n_watches;
        Now now; /* of this call */
};

/* engine.c */
void engine_enter(Engine *e); /* reads the clock: at the start of each call from outside */
void engine_leave(Engine *e); /* asks for the next wake-up */
void watch_begin_trial(Watch *w);
void watch_judge(Watch *w);
void watch_incident_id(const Watch *w, char buf[INCIDENT_ID_MAX]);

/* engine_arrival.c */
void watch_take_arrival(Watch *w, const char *path);
/* Begins with the next one, if nothing else is under way. */
void watch_next_arrival(Watch *w);
/* What a CATCH came to. Return: 0 or -ENOMEM. */
int watch_record_caught(Watch *w, const Outcome *o);

/* engine_sources.c */
/* A trial is watched now, or no longer. */
void watch_set_watching(Watch *w, bool on);
void watch_tell_sources(Watch *w);

/* engine_step.c */
void watch_event(Watch *w, const Event *ev);
void watch_unpause(Watch *w);
/* The last finding, when nobody listened to it: diagnosis says it only once. */
void watch_tell_missed(Watch *w);
/* The same, if it is a fault. */
void watch_tell_fault(Watch *w);
/* Does what a step that is on record names. */
void watch_run(Watch *w, const Step *step);
void watch_commit_retry(Watch *w);
/* The word for which a move was interrupted, out of the queue. Return: is there one? */
bool watch_take_word(Watch *w, Event *ret);
/* Commits the records that wait and then performs @kind, beside the machine (an operator's operation). */
void watch_commit_operation(Watch *w, ActionKind kind);

/* engine_outcome.c */
void watch_perform(Watch *w, ActionKind kind, const Step *step);
void watch_trial_ended(Watch *w);

/* engine_search.c */
void watch_suspect(Watch *w, uint32_t message, MessageFlag flag);
/* What has turned out to be a canary is no suspect any more. */
void watch_spare_canaries(Watch *w);
uint64_t watch_fresh_suspects(Watch *w);
int watch_plan(Watch *w, Event *ret);
int watch_feed(Watch *w, bool failed);
/* Adds a roster entry to the candidates' map (of a search that is read back). Return: 0 or -ENOMEM. */
int watch_add_candidate(Watch *w, uint32_t message);
/* Whom the action is to hold. Return: 0 or -ENOMEM; *@ret is the Watch's. */
int watch_who_is_held(Watch *w, ActionKind kind, bool keep_open, const MessageSet **ret);
void watch_mark_culprits(Watch *w);
/* Why the culprits are blamed: object "id" -> members that a message record gets. NULL on ENOMEM. */
json_t *watch_why(const Watch *w);
void watch_forget_search(Watch *w);
/* Finds or adds what @path belongs to. Return: 0, ACTUATOR_E_NONE, or a negated errno. */
int watch_resolve(Watch *w, const char *path, uint32_t *ret);

/* engine_memory.c */
/* What is different since the last commit, for the log. Return: 0 or -ENOMEM. */
int watch_memory(Watch *w, MemoryWrite *ret);
/* The commit has failed: nobody knows what the log says, so the next one begins a new one. */
void watch_memory_lost(Watch *w);
json_t *watch_snapshot(const Watch *w, const Incident *i);
int watch_load(Watch *w, bool *ret_resume);
void watch_forget_incident(Watch *w);

/* engine_condition.c */
/* What is worth telling though it is no symptom. */
void watch_take_warning(Watch *w);
/*
 * Adds the services of this configuration that @w depends on, and that are down, to what a source saw of the
 * host.
 */
void watch_take_conditions(Watch *w, Observation *o, Condition *list);
/* A symptom that names its cause. */
void watch_explain_symptom(Watch *w, const Symptom *s);
/* The service is at fault, and @reason forbids to act: that is told once, until it has ended. */
void watch_wait(Watch *w, Reason reason);
/*
 * Something that has just failed may not be the fault of the mail. True: it is not known yet, or a condition
 * lasts; ask again with the next fact or tick. False: *@ret_explained tells whether a condition explained it.
 */
bool watch_is_explained(Watch *w, bool *ret_explained);
/* A START has failed: the event follows when it is known what it means. */
void watch_gate(Watch *w, const Event *ev);
void watch_gate_again(Watch *w);

/* engine_flap.c */
/* A fault that is to open no incident becomes a symptom. */
void watch_hold_back(Watch *w, Event *ev);
/* When the one that was held back is told after all, if it lasts; USEC_INFINITY: there is none. */
usec_t watch_held_until(const Watch *w);
/* Time has passed. */
void watch_tell_held(Watch *w);

/* engine_record.c */
/* done, total and, if it can be told, remaining_ms of the action under way; NULL if it counts nothing. */
json_t *watch_progress(Watch *w);
/* Appends a record to those that wait for the next commit. @members is stolen, NULL on error
 * means -ENOMEM. */
int watch_record(Watch *w, AuditEvent event, json_t *members);
int watch_record_symptom(Watch *w, const Symptom *s);
json_t *watch_closed_members(Watch *w);
void watch_alert(Watch *w, AlertKind kind, const char *text);
void watch_publish(Watch *w, const char *event, json_t *members);
void watch_note(Watch *w, Reason reason, const char *format, ...) __attribute__((format(printf, 3, 4)));
void watch_forget_notes(Watch *w);
/* A message record of a roster entry without its files. */
json_t *watch_message_brief(const Watch *w, uint32_t message);
json_t *watch_text_id(const char *id, size_t len);

/* engine_metrics.c */
/* Records that have become durable: array of {"event", "members"}. */
void watch_count(Watch *w, const json_t *records);
void engine_answer_metrics(Engine *e, ControlReply *reply);

/* engine_log.c */
void watch_take_log(Watch *w, const LogEntry *entry);
/*
 * Was it said before the last start began, as by processes that were just being stopped? It says nothing of
 * the run that is watched now.
 */
bool watch_log_is_late(const Watch *w, const LogEntry *entry);
/* After an inventory: those of its messages that the log has named lately. */
void watch_mark_named(Watch *w);
void watch_forget_named(Watch *w);

/* engine_control.c */
void watch_operation_ended(Watch *w, const Outcome *o);
void watch_operation_begin(Watch *w);
/* Goes on with one that an unjamd before had not ended. */
void watch_operation_resume(Watch *w);
/* The commit that somebody waits for has ended. */
void watch_acknowledge(Watch *w, bool recorded);
/* An operation of unjamd's own, beside the machine: START of an embedded service, COLLECT as baseline of its
 * checks. */
void watch_operate_itself(Watch *w, ActionKind kind);
void watch_operation_clear(Watch *w);

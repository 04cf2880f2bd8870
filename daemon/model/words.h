#pragma once

/*
 * The words of unjamd: every enum that a person or a program may see, with its string. The strings are public
 * (audit, configuration, unjamctl); they are defined in words.c and nowhere else.
 */

#include "base/table.h"

#include <stdbool.h>

typedef enum Mode {
        MODE_OBSERVE, /* everything but the acting */
        MODE_ACT,
        _MODE_MAX,
        _MODE_INVALID = -EINVAL,
} Mode;
DECLARE_STRING_TABLE(mode, Mode);

typedef enum State {
        STATE_HEALTHY,
        STATE_SUSPECT,
        STATE_DIAGNOSING,
        STATE_STOPPING,
        STATE_KILLING,
        STATE_RESTARTING,
        STATE_SETTING_ASIDE,
        STATE_PURGING,
        STATE_BASELINE,
        STATE_ISOLATING,
        STATE_QUARANTINING,
        STATE_RESTORING,
        STATE_VERIFYING,
        STATE_ESCALATED,
        STATE_PAUSED,
        _STATE_MAX,
        _STATE_INVALID = -EINVAL,
} State;
DECLARE_STRING_TABLE(state, State);

typedef enum SymptomKind {
        SYMPTOM_START_FAILED,
        SYMPTOM_START_HUNG,
        SYMPTOM_CRASHED,
        SYMPTOM_CRASH_LOOP,
        SYMPTOM_STOP_HUNG,
        SYMPTOM_UNRESPONSIVE,
        SYMPTOM_STALLED,
        SYMPTOM_EVENT,
        _SYMPTOM_KIND_MAX,
        _SYMPTOM_KIND_INVALID = -EINVAL,
} SymptomKind;
DECLARE_STRING_TABLE(symptom_kind, SymptomKind);

typedef enum CauseKind {
        CAUSE_NOT_CONFIGURED,
        CAUSE_STARTUP_ACCOUNT,
        CAUSE_ADDRESS_SPACE,
        CAUSE_NETWORK_IDENTITY,
        CAUSE_ADMINISTRATOR_ADDRESS,
        CAUSE_REBUILDABLE_STATE,
        CAUSE_STUCK_MESSAGES,
        CAUSE_STALE_LOCK,
        CAUSE_PERMISSIONS,
        CAUSE_DISK_FULL,
        CAUSE_DISK_STUCK,
        CAUSE_DEPENDENCY_DOWN,
        CAUSE_OPERATOR_STOP,
        CAUSE_MAINTENANCE,
        CAUSE_OTHER_SUPERVISOR,
        CAUSE_MEMORY_PRESSURE,
        CAUSE_OUT_OF_MEMORY,
        _CAUSE_KIND_MAX,
        _CAUSE_KIND_INVALID = -EINVAL,
} CauseKind;
DECLARE_STRING_TABLE(cause_kind, CauseKind);

typedef enum CauseEffect {
        EFFECT_VETO,   /* escalate, touch nothing */
        EFFECT_REMEDY, /* a rung of the ladder cures it */
        EFFECT_NOTE,   /* recorded only */
        _CAUSE_EFFECT_MAX,
        _CAUSE_EFFECT_INVALID = -EINVAL,
} CauseEffect;
DECLARE_STRING_TABLE(cause_effect, CauseEffect);

typedef enum ManagerKind {
        MANAGER_SYSTEMD,
        MANAGER_EMBEDDED,
        MANAGER_COMMAND,
        _MANAGER_KIND_MAX,
        _MANAGER_KIND_INVALID = -EINVAL,
} ManagerKind;
DECLARE_STRING_TABLE(manager_kind, ManagerKind);

typedef enum ProbeKind {
        PROBE_SMTP,
        PROBE_LMTP,
        PROBE_TCP,
        PROBE_UNIX,
        PROBE_EXEC,
        PROBE_HEARTBEAT,
        PROBE_CANARY,
        _PROBE_KIND_MAX,
        _PROBE_KIND_INVALID = -EINVAL,
} ProbeKind;
DECLARE_STRING_TABLE(probe_kind, ProbeKind);

typedef enum RuleSource {
        RULE_SOURCE_JOURNAL,
        RULE_SOURCE_FILE,
        _RULE_SOURCE_MAX,
        _RULE_SOURCE_INVALID = -EINVAL,
} RuleSource;
DECLARE_STRING_TABLE(rule_source, RuleSource);

/* The "event" member of an audit record. */
typedef enum AuditEvent {
        AUDIT_DAEMON_STARTED,
        AUDIT_DAEMON_STOPPED,
        AUDIT_CONFIG_LOADED,
        AUDIT_CONFIG_REJECTED,
        AUDIT_INCIDENT_OPENED,
        AUDIT_INCIDENT_CLOSED,
        AUDIT_SYMPTOM,
        AUDIT_EVIDENCE,
        AUDIT_CAUSE,
        AUDIT_STATE,
        AUDIT_INTENT,
        AUDIT_OUTCOME,
        AUDIT_TRIAL_STARTED,
        AUDIT_TRIAL_FINISHED,
        AUDIT_STORE_HELD,
        AUDIT_MESSAGE_HELD,
        AUDIT_MESSAGE_CLEARED,
        AUDIT_MESSAGE_QUARANTINED,
        AUDIT_MESSAGE_RELEASED,
        AUDIT_MESSAGE_DELETED,
        AUDIT_OPERATOR,
        AUDIT_ALERT,
        _AUDIT_EVENT_MAX,
        _AUDIT_EVENT_INVALID = -EINVAL,
} AuditEvent;
DECLARE_STRING_TABLE(audit_event, AuditEvent);

/* What unjamd does to the world; the "action" member of intents and outcomes. */
typedef enum ActionKind {
        ACTION_NONE,
        ACTION_COLLECT,    /* evidence of every process, last log lines, inventory; with cause checks if asked
                              for. Reads only */
        ACTION_GUARD,      /* nobody else starts the service: marker, drop-ins, triggers stopped */
        ACTION_STOP,       /* stop job within stop_timeout, then proof that nothing of the service lives */
        ACTION_KILL,       /* the kill ladder, then the same proof */
        ACTION_PLACE,      /* messages into hold or back into their stores, as the action's set says; then an
                              inventory */
        ACTION_SET_ASIDE,  /* a whole store (or all) into hold by exchange; then an inventory */
        ACTION_PURGE,      /* rebuildable files into the incident's folder; rebuild commands */
        ACTION_START,      /* start, tracked until up, failed or start_timeout */
        ACTION_WATCH,      /* not an act: watch the trial to its outcome */
        ACTION_PLAN,       /* not an act: ask the search for the next trial */
        ACTION_QUARANTINE, /* culprits from hold into quarantine */
        ACTION_RESTORE, /* everything that is held goes back, but for the action's set; then an inventory */
        ACTION_UNGUARD, /* undo ACTION_GUARD */
        ACTION_CLOSE,   /* not an act: last inventory, ledger, close the record */
        ACTION_RELEASE, /* operator: a quarantined message back to its store */
        ACTION_DELETE,  /* operator: a quarantined message deleted */
        ACTION_CATCH,   /* a known culprit has arrived: into the server's own hold, while it runs */
        _ACTION_KIND_MAX,
        _ACTION_KIND_INVALID = -EINVAL,
} ActionKind;
DECLARE_STRING_TABLE(action_kind, ActionKind);

/* The "result" member of an outcome. */
typedef enum ResultKind {
        RESULT_DONE,
        RESULT_FAILED,
        RESULT_TIMEOUT,
        RESULT_OBSERVED, /* observe mode: it would have been done */
        RESULT_UNKNOWN,  /* nobody can tell whether it was done */
        _RESULT_KIND_MAX,
        _RESULT_KIND_INVALID = -EINVAL,
} ResultKind;
DECLARE_STRING_TABLE(result_kind, ResultKind);

/* How an incident closed. */
typedef enum CloseResult {
        CLOSE_RECOVERED,
        CLOSE_ESCALATED,
        CLOSE_OBSERVED,
        _CLOSE_RESULT_MAX,
        _CLOSE_RESULT_INVALID = -EINVAL,
} CloseResult;
DECLARE_STRING_TABLE(close_result, CloseResult);

/* Why something was done, or not done; the "reason" member, and what `unjamctl explain` shows. */
typedef enum Reason {
        REASON_NONE,
        REASON_SYMPTOM,         /* a symptom was seen */
        REASON_CONFIRMED,       /* it is confirmed as a fault */
        REASON_SYMPTOM_CLEARED, /* it went away by itself */
        REASON_CLAIM_ONLY,      /* only a log line says so; a second fact is missing */
        REASON_UNIT_RESTARTS,   /* the unit's own Restart= is at work and not yet looping */
        REASON_NEXT_RUNG,       /* the next rung of the ladder */
        REASON_EVIDENCE,        /* evidence points there */
        REASON_REMEDY,          /* a cause check names this cure */
        REASON_STOPPED,         /* nothing of the service lives */
        REASON_STOP_TIMEOUT,    /* the stop did not end */
        REASON_PROCESSES_LEFT,  /* the stop ended, but processes of the service live */
        REASON_ACTION_DONE,
        REASON_ACTION_FAILED,
        REASON_TRIAL_HEALTHY,
        REASON_TRIAL_FAILED,
        REASON_TRIAL_VOID, /* somebody interfered; the trial is repeated */
        REASON_CULPRITS_FOUND,
        REASON_HEALTHY, /* healthy through its settle or verify time */
        REASON_OBSERVE_MODE,
        REASON_VETO, /* a cause check forbids to act */
        REASON_BUDGET_TIME,
        REASON_BUDGET_TRIALS,
        REASON_BUDGET_HOUR,   /* max_per_hour recoveries were spent */
        REASON_UNKILLABLE,    /* a process survives SIGKILL (state D) */
        REASON_STRANGER,      /* a process that is not of the service holds a file of the store */
        REASON_INTERRUPTED,   /* ended between two slices, for an operator's word */
        REASON_NOT_A_MESSAGE, /* all stores empty and still failing */
        REASON_SEARCH_GAVE_UP,
        REASON_RECORD_UNAVAILABLE, /* the record cannot be written */
        REASON_OPERATOR,           /* asked for by an operator */
        REASON_OPERATOR_STOP,
        REASON_MASKED,
        REASON_SHUTDOWN,
        REASON_OTHER_SUPERVISOR,
        REASON_NEED_DAEMON_RELOAD, /* another unit waits for a daemon-reload that is not ours to make */
        REASON_NETWORK_FILESYSTEM,
        REASON_RENAME_REFUSED, /* mount or sandbox forbids a rename into hold */
        REASON_KNOWN_CULPRIT,  /* it has the bytes of one that was a culprit */
        REASON_ARRIVAL_LIMIT,  /* arrival_quarantine.per_day messages were caught on arrival already */
        REASON_NATIVE_REFUSED, /* the server's own hold did not take a culprit: it is in our quarantine */
        REASON_INTENT_UNKNOWN, /* after a crash, nobody can tell whether an action happened */
        REASON_RESUMED,        /* unjamd was restarted in the middle */
        REASON_CLOCK_JUMP,
        REASON_SLOW,          /* a probe is answered, but slowly */
        REASON_CHILD_DIED,    /* a process of it was killed by a signal, and the service goes on */
        REASON_WAITS_NETWORK, /* the silent processes wait for another host */
        REASON_WAITS_DISK,    /* ... for a disk */
        REASON_PRESSURE,      /* ... for CPU or memory that the host is short of */
        REASON_FROZEN,        /* the control group is frozen */
        REASON_EVIDENCE_GAP,  /* what a log said at some time is not known */
        REASON_FLAPPING,      /* the same trouble again, soon after its incident has closed */
        REASON_DISK_FULL,
        REASON_DEPENDENCY_DOWN,
        REASON_MAINTENANCE,     /* a package manager, or an operator with an editor, is at work on it */
        REASON_MEMORY_PRESSURE, /* the whole host waits for memory */
        REASON_UNEXPECTED,      /* an empty cell of the state table: a bug of ours */
        _REASON_MAX,
        _REASON_INVALID = -EINVAL,
} Reason;
DECLARE_STRING_TABLE(reason, Reason);
/* A sentence for people. Never NULL. */
const char *reason_describe(Reason r);

/* What a process is about that seems to do nothing, or what it does instead. The first three are hangs. */
typedef enum ProcessVerdict {
        PROCESS_WORKING,  /* or nobody can tell yet */
        PROCESS_DEADLOCK, /* no CPU time, no I/O, no context switch */
        PROCESS_SPIN,     /* CPU burns, and it leads nowhere */
        PROCESS_STOPPED,  /* by a signal or a tracer */
        PROCESS_DISK,     /* it waits for a disk */
        PROCESS_PRESSURE, /* the host, or its control group, is short of CPU or memory */
        PROCESS_NETWORK,  /* it waits for another host */
        PROCESS_FROZEN,   /* its control group is frozen */
        _PROCESS_VERDICT_MAX,
        _PROCESS_VERDICT_INVALID = -EINVAL,
} ProcessVerdict;
DECLARE_STRING_TABLE(process_verdict, ProcessVerdict);
bool process_verdict_is_hang(ProcessVerdict v);
/* Why nothing is done about silence that has this reason; REASON_NONE if silence has none. */
Reason process_verdict_excuse(ProcessVerdict v);

typedef enum FileType {
        FILE_REGULAR,
        FILE_DIRECTORY,
        FILE_FIFO,
        FILE_SOCKET,
        FILE_SYMLINK,
        FILE_DEVICE,
        _FILE_TYPE_MAX,
        _FILE_TYPE_INVALID = -EINVAL,
} FileType;
DECLARE_STRING_TABLE(file_type, FileType);

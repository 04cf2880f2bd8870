/*
 * words - every string of the public vocabulary
 *
 * The tables below are the only place where a word of the audit trail, the configuration, the snapshot or
 * unjamctl is spelled. Everybody calls X_to_string() and X_from_string(); an unknown word is X_INVALID and is
 * for the caller to report. A value without a word breaks the build here or the test that walks every table
 * (test_words.c).
 */
#include "model/words.h"

#include <assert.h>

static const char *const mode_table[] = {
        [MODE_OBSERVE] = "observe",
        [MODE_ACT] = "act",
};
static_assert(sizeof(mode_table) / sizeof(mode_table[0]) == _MODE_MAX, "a word is missing");
DEFINE_STRING_TABLE(mode, Mode, mode_table)

static const char *const state_table[] = {
        [STATE_HEALTHY] = "healthy",
        [STATE_SUSPECT] = "suspect",
        [STATE_DIAGNOSING] = "diagnosing",
        [STATE_STOPPING] = "stopping",
        [STATE_KILLING] = "killing",
        [STATE_RESTARTING] = "restarting",
        [STATE_SETTING_ASIDE] = "setting_aside",
        [STATE_PURGING] = "purging",
        [STATE_BASELINE] = "baseline",
        [STATE_ISOLATING] = "isolating",
        [STATE_QUARANTINING] = "quarantining",
        [STATE_RESTORING] = "restoring",
        [STATE_VERIFYING] = "verifying",
        [STATE_ESCALATED] = "escalated",
        [STATE_PAUSED] = "paused",
};
static_assert(sizeof(state_table) / sizeof(state_table[0]) == _STATE_MAX, "a word is missing");
DEFINE_STRING_TABLE(state, State, state_table)

static const char *const symptom_kind_table[] = {
        [SYMPTOM_START_FAILED] = "start_failed", [SYMPTOM_START_HUNG] = "start_hung",
        [SYMPTOM_CRASHED] = "crashed",           [SYMPTOM_CRASH_LOOP] = "crash_loop",
        [SYMPTOM_STOP_HUNG] = "stop_hung",       [SYMPTOM_UNRESPONSIVE] = "unresponsive",
        [SYMPTOM_STALLED] = "stalled",           [SYMPTOM_EVENT] = "event",
};
static_assert(sizeof(symptom_kind_table) / sizeof(symptom_kind_table[0]) == _SYMPTOM_KIND_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(symptom_kind, SymptomKind, symptom_kind_table)

static const char *const cause_kind_table[] = {
        [CAUSE_NOT_CONFIGURED] = "not_configured",
        [CAUSE_STARTUP_ACCOUNT] = "startup_account",
        [CAUSE_ADDRESS_SPACE] = "address_space",
        [CAUSE_NETWORK_IDENTITY] = "network_identity",
        [CAUSE_ADMINISTRATOR_ADDRESS] = "administrator_address",
        [CAUSE_REBUILDABLE_STATE] = "rebuildable_state",
        [CAUSE_STUCK_MESSAGES] = "stuck_messages",
        [CAUSE_STALE_LOCK] = "stale_lock",
        [CAUSE_PERMISSIONS] = "permissions",
        [CAUSE_DISK_FULL] = "disk_full",
        [CAUSE_DISK_STUCK] = "disk_stuck",
        [CAUSE_DEPENDENCY_DOWN] = "dependency_down",
        [CAUSE_OPERATOR_STOP] = "operator_stop",
        [CAUSE_MAINTENANCE] = "maintenance",
        [CAUSE_OTHER_SUPERVISOR] = "other_supervisor",
        [CAUSE_MEMORY_PRESSURE] = "memory_pressure",
        [CAUSE_OUT_OF_MEMORY] = "out_of_memory",
};
static_assert(sizeof(cause_kind_table) / sizeof(cause_kind_table[0]) == _CAUSE_KIND_MAX, "a word is missing");
DEFINE_STRING_TABLE(cause_kind, CauseKind, cause_kind_table)

static const char *const cause_effect_table[] = {
        [EFFECT_VETO] = "veto",
        [EFFECT_REMEDY] = "remedy",
        [EFFECT_NOTE] = "note",
};
static_assert(sizeof(cause_effect_table) / sizeof(cause_effect_table[0]) == _CAUSE_EFFECT_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(cause_effect, CauseEffect, cause_effect_table)

static const char *const manager_kind_table[] = {
        [MANAGER_SYSTEMD] = "systemd",
        [MANAGER_EMBEDDED] = "embedded",
        [MANAGER_COMMAND] = "command",
};
static_assert(sizeof(manager_kind_table) / sizeof(manager_kind_table[0]) == _MANAGER_KIND_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(manager_kind, ManagerKind, manager_kind_table)

static const char *const probe_kind_table[] = {
        [PROBE_SMTP] = "smtp",     [PROBE_LMTP] = "lmtp", [PROBE_TCP] = "tcp",
        [PROBE_UNIX] = "unix",     [PROBE_EXEC] = "exec", [PROBE_HEARTBEAT] = "heartbeat",
        [PROBE_CANARY] = "canary",
};
static_assert(sizeof(probe_kind_table) / sizeof(probe_kind_table[0]) == _PROBE_KIND_MAX, "a word is missing");
DEFINE_STRING_TABLE(probe_kind, ProbeKind, probe_kind_table)

static const char *const rule_source_table[] = {
        [RULE_SOURCE_JOURNAL] = "journal",
        [RULE_SOURCE_FILE] = "file",
};
static_assert(sizeof(rule_source_table) / sizeof(rule_source_table[0]) == _RULE_SOURCE_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(rule_source, RuleSource, rule_source_table)

static const char *const audit_event_table[] = {
        [AUDIT_DAEMON_STARTED] = "daemon.started",
        [AUDIT_DAEMON_STOPPED] = "daemon.stopped",
        [AUDIT_CONFIG_LOADED] = "config.loaded",
        [AUDIT_CONFIG_REJECTED] = "config.rejected",
        [AUDIT_INCIDENT_OPENED] = "incident.opened",
        [AUDIT_INCIDENT_CLOSED] = "incident.closed",
        [AUDIT_SYMPTOM] = "symptom",
        [AUDIT_EVIDENCE] = "evidence",
        [AUDIT_CAUSE] = "cause",
        [AUDIT_STATE] = "state",
        [AUDIT_INTENT] = "intent",
        [AUDIT_OUTCOME] = "outcome",
        [AUDIT_TRIAL_STARTED] = "trial.started",
        [AUDIT_TRIAL_FINISHED] = "trial.finished",
        [AUDIT_STORE_HELD] = "store.held",
        [AUDIT_MESSAGE_HELD] = "message.held",
        [AUDIT_MESSAGE_CLEARED] = "message.cleared",
        [AUDIT_MESSAGE_QUARANTINED] = "message.quarantined",
        [AUDIT_MESSAGE_RELEASED] = "message.released",
        [AUDIT_MESSAGE_DELETED] = "message.deleted",
        [AUDIT_OPERATOR] = "operator",
        [AUDIT_ALERT] = "alert",
};
static_assert(sizeof(audit_event_table) / sizeof(audit_event_table[0]) == _AUDIT_EVENT_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(audit_event, AuditEvent, audit_event_table)

static const char *const action_kind_table[] = {
        [ACTION_NONE] = "none",           [ACTION_COLLECT] = "collect", [ACTION_GUARD] = "guard",
        [ACTION_STOP] = "stop",           [ACTION_KILL] = "kill",       [ACTION_PLACE] = "place",
        [ACTION_SET_ASIDE] = "set_aside", [ACTION_PURGE] = "purge",     [ACTION_START] = "start",
        [ACTION_WATCH] = "watch",         [ACTION_PLAN] = "plan",       [ACTION_QUARANTINE] = "quarantine",
        [ACTION_RESTORE] = "restore",     [ACTION_UNGUARD] = "unguard", [ACTION_CLOSE] = "close",
        [ACTION_RELEASE] = "release",     [ACTION_DELETE] = "delete",   [ACTION_CATCH] = "catch",
};
static_assert(sizeof(action_kind_table) / sizeof(action_kind_table[0]) == _ACTION_KIND_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(action_kind, ActionKind, action_kind_table)

static const char *const result_kind_table[] = {
        [RESULT_DONE] = "done",         [RESULT_FAILED] = "failed",   [RESULT_TIMEOUT] = "timeout",
        [RESULT_OBSERVED] = "observed", [RESULT_UNKNOWN] = "unknown",
};
static_assert(sizeof(result_kind_table) / sizeof(result_kind_table[0]) == _RESULT_KIND_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(result_kind, ResultKind, result_kind_table)

static const char *const close_result_table[] = {
        [CLOSE_RECOVERED] = "recovered",
        [CLOSE_ESCALATED] = "escalated",
        [CLOSE_OBSERVED] = "observed",
};
static_assert(sizeof(close_result_table) / sizeof(close_result_table[0]) == _CLOSE_RESULT_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(close_result, CloseResult, close_result_table)

static const char *const reason_table[] = {
        [REASON_NONE] = "none",
        [REASON_SYMPTOM] = "symptom",
        [REASON_CONFIRMED] = "confirmed",
        [REASON_SYMPTOM_CLEARED] = "symptom_cleared",
        [REASON_CLAIM_ONLY] = "claim_only",
        [REASON_UNIT_RESTARTS] = "unit_restarts",
        [REASON_NEXT_RUNG] = "next_rung",
        [REASON_EVIDENCE] = "evidence",
        [REASON_REMEDY] = "remedy",
        [REASON_STOPPED] = "stopped",
        [REASON_STOP_TIMEOUT] = "stop_timeout",
        [REASON_PROCESSES_LEFT] = "processes_left",
        [REASON_ACTION_DONE] = "action_done",
        [REASON_ACTION_FAILED] = "action_failed",
        [REASON_TRIAL_HEALTHY] = "trial_healthy",
        [REASON_TRIAL_FAILED] = "trial_failed",
        [REASON_TRIAL_VOID] = "trial_void",
        [REASON_CULPRITS_FOUND] = "culprits_found",
        [REASON_HEALTHY] = "healthy",
        [REASON_OBSERVE_MODE] = "observe_mode",
        [REASON_VETO] = "veto",
        [REASON_BUDGET_TIME] = "budget_time",
        [REASON_BUDGET_TRIALS] = "budget_trials",
        [REASON_BUDGET_HOUR] = "budget_hour",
        [REASON_UNKILLABLE] = "unkillable",
        [REASON_STRANGER] = "stranger",
        [REASON_INTERRUPTED] = "interrupted",
        [REASON_NOT_A_MESSAGE] = "not_a_message",
        [REASON_SEARCH_GAVE_UP] = "search_gave_up",
        [REASON_RECORD_UNAVAILABLE] = "record_unavailable",
        [REASON_OPERATOR] = "operator",
        [REASON_OPERATOR_STOP] = "operator_stop",
        [REASON_MASKED] = "masked",
        [REASON_SHUTDOWN] = "shutdown",
        [REASON_OTHER_SUPERVISOR] = "other_supervisor",
        [REASON_NEED_DAEMON_RELOAD] = "need_daemon_reload",
        [REASON_NETWORK_FILESYSTEM] = "network_filesystem",
        [REASON_RENAME_REFUSED] = "rename_refused",
        [REASON_KNOWN_CULPRIT] = "known_culprit",
        [REASON_ARRIVAL_LIMIT] = "arrival_limit",
        [REASON_NATIVE_REFUSED] = "native_refused",
        [REASON_INTENT_UNKNOWN] = "intent_unknown",
        [REASON_RESUMED] = "resumed",
        [REASON_CLOCK_JUMP] = "clock_jump",
        [REASON_FLAPPING] = "flapping",
        [REASON_DISK_FULL] = "disk_full",
        [REASON_DEPENDENCY_DOWN] = "dependency_down",
        [REASON_MAINTENANCE] = "maintenance",
        [REASON_MEMORY_PRESSURE] = "memory_pressure",
        [REASON_SLOW] = "slow",
        [REASON_CHILD_DIED] = "child_died",
        [REASON_WAITS_NETWORK] = "waits_network",
        [REASON_WAITS_DISK] = "waits_disk",
        [REASON_PRESSURE] = "pressure",
        [REASON_FROZEN] = "frozen",
        [REASON_EVIDENCE_GAP] = "evidence_gap",
        [REASON_UNEXPECTED] = "unexpected",
};
static_assert(sizeof(reason_table) / sizeof(reason_table[0]) == _REASON_MAX, "a word is missing");
DEFINE_STRING_TABLE(reason, Reason, reason_table)

/* One sentence each, for `unjamctl explain` and for alerts: no jargon of ours, nothing that needs a look at
 * the source. */
static const char *const reason_sentences[] = {
        [REASON_NONE] = "There was nothing to do.",
        [REASON_SYMPTOM] = "A symptom was seen.",
        [REASON_CONFIRMED] = "The symptom is confirmed as a fault.",
        [REASON_SYMPTOM_CLEARED] = "The symptom went away by itself.",
        [REASON_CLAIM_ONLY] = "Only a log line says so; a second fact from the service itself is missing.",
        [REASON_UNIT_RESTARTS] =
                "The service manager restarts the service by itself, and it is not looping yet.",
        [REASON_NEXT_RUNG] = "The gentler step did not help, so the next one is taken.",
        [REASON_EVIDENCE] = "The evidence points at these messages.",
        [REASON_REMEDY] = "A cause check names this step as the cure.",
        [REASON_STOPPED] = "Nothing of the service runs any more.",
        [REASON_STOP_TIMEOUT] = "The service did not stop within its stop_timeout.",
        [REASON_PROCESSES_LEFT] = "The stop ended, but processes of the service still live.",
        [REASON_ACTION_DONE] = "The step before was done.",
        [REASON_ACTION_FAILED] = "The step before failed.",
        [REASON_TRIAL_HEALTHY] = "The service stayed healthy with the mail that was released.",
        [REASON_TRIAL_FAILED] = "The service failed with the mail that was released.",
        [REASON_TRIAL_VOID] = "Somebody else interfered with the trial, so it is repeated.",
        [REASON_CULPRITS_FOUND] = "The messages that are to blame are known.",
        [REASON_HEALTHY] = "The service stayed healthy for as long as was asked for.",
        [REASON_OBSERVE_MODE] = "The mode is \"observe\": unjamd only says what it would have done.",
        [REASON_VETO] =
                "A cause check found a fault that no step of unjamd can cure, so no mail was touched.",
        [REASON_BUDGET_TIME] = "The recovery took longer than max_time allows.",
        [REASON_BUDGET_TRIALS] = "The recovery used all of its max_trials starts.",
        [REASON_BUDGET_HOUR] = "There were max_per_hour recoveries within the last hour already.",
        [REASON_UNKILLABLE] = "A process survives SIGKILL; it waits inside the kernel, mostly for a disk.",
        [REASON_INTERRUPTED] = "It was ended between two messages because an operator has spoken; what was "
                               "moved stays moved.",
        [REASON_STRANGER] = "A process that does not belong to the service holds a file of the store open.",
        [REASON_NOT_A_MESSAGE] = "The service fails with all stores empty, so no message is to blame.",
        [REASON_SEARCH_GAVE_UP] = "The search for the culprit did not come to a clear answer.",
        [REASON_RECORD_UNAVAILABLE] =
                "The record cannot be written, and without a record unjamd does not act.",
        [REASON_OPERATOR] = "An operator asked for it.",
        [REASON_OPERATOR_STOP] = "An operator stopped the service.",
        [REASON_MASKED] = "The unit is masked.",
        [REASON_SHUTDOWN] = "The host is going down.",
        [REASON_OTHER_SUPERVISOR] = "Another supervisor looks after the same service.",
        [REASON_NEED_DAEMON_RELOAD] =
                "Another unit waits for a daemon-reload that is not for unjamd to make.",
        [REASON_NETWORK_FILESYSTEM] =
                "A store is on a network or cluster filesystem, which is only observed.",
        [REASON_RENAME_REFUSED] = "A mount or the sandbox forbids to rename mail into the hold directory.",
        [REASON_KNOWN_CULPRIT] = "A message has arrived with the bytes of one that was a culprit.",
        [REASON_ARRIVAL_LIMIT] =
                "As many messages as arrival_quarantine.per_day allows were caught on arrival within a day.",
        [REASON_NATIVE_REFUSED] =
                "The server's own hold did not take a culprit: it stays in unjamd's quarantine.",
        [REASON_INTENT_UNKNOWN] = "After an interruption nobody can tell whether a step was carried out.",
        [REASON_RESUMED] = "unjamd was restarted in the middle of the incident and goes on from there.",
        [REASON_CLOCK_JUMP] =
                "The clock jumped or the host was asleep, so silence means nothing for a while.",
        [REASON_FLAPPING] =
                "The same trouble comes and goes, and the incident about it is closed; another one "
                "is opened only if it lasts.",
        [REASON_DISK_FULL] =
                "A file system that the service or unjamd needs is full; recovery waits for room.",
        [REASON_DEPENDENCY_DOWN] = "A service that this one depends on is down; recovery waits for it.",
        [REASON_MAINTENANCE] =
                "The package manager or an operator is at work on the service; recovery waits.",
        [REASON_MEMORY_PRESSURE] = "The whole host waits for memory, so silence and slowness mean nothing.",
        [REASON_SLOW] =
                "A probe is answered, but more slowly than its `slow`; that is a warning and no fault.",
        [REASON_CHILD_DIED] =
                "A process of the service was killed by a signal, but the service itself goes on.",
        [REASON_WAITS_NETWORK] =
                "The service is silent because it waits for another host, so it is not hung and no mail is "
                "touched.",
        [REASON_WAITS_DISK] = "The service is silent because it waits for a disk, so it is not hung and no "
                              "mail is touched.",
        [REASON_PRESSURE] = "The host or the control group of the service is short of CPU or memory, which "
                            "explains the silence.",
        [REASON_FROZEN] = "The control group of the service is frozen, so somebody wants it to be silent.",
        [REASON_EVIDENCE_GAP] = "Part of a log could not be looked at, so what it said there is not known.",
        [REASON_UNEXPECTED] = "Something happened that unjamd does not expect in this state; this is a bug.",
};
static_assert(sizeof(reason_sentences) / sizeof(reason_sentences[0]) == _REASON_MAX, "a sentence is missing");

const char *reason_describe(Reason r)
{
        if ((int)r < 0 || r >= _REASON_MAX)
                return "The reason is not known.";
        return reason_sentences[r];
}

static const char *const process_verdict_table[] = {
        [PROCESS_WORKING] = "working", [PROCESS_DEADLOCK] = "deadlock", [PROCESS_SPIN] = "spin",
        [PROCESS_STOPPED] = "stopped", [PROCESS_DISK] = "disk",         [PROCESS_PRESSURE] = "pressure",
        [PROCESS_NETWORK] = "network", [PROCESS_FROZEN] = "frozen",
};
static_assert(sizeof(process_verdict_table) / sizeof(process_verdict_table[0]) == _PROCESS_VERDICT_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(process_verdict, ProcessVerdict, process_verdict_table)

bool process_verdict_is_hang(ProcessVerdict v)
{
        return v == PROCESS_DEADLOCK || v == PROCESS_SPIN || v == PROCESS_STOPPED;
}

Reason process_verdict_excuse(ProcessVerdict v)
{
        switch (v) {
        case PROCESS_DISK:
                return REASON_WAITS_DISK;
        case PROCESS_PRESSURE:
                return REASON_PRESSURE;
        case PROCESS_NETWORK:
                return REASON_WAITS_NETWORK;
        case PROCESS_FROZEN:
                return REASON_FROZEN;
        case PROCESS_WORKING:
        case PROCESS_DEADLOCK:
        case PROCESS_SPIN:
        case PROCESS_STOPPED:
        case _PROCESS_VERDICT_MAX:
        case _PROCESS_VERDICT_INVALID:
                break;
        }
        return REASON_NONE;
}

static const char *const file_type_table[] = {
        [FILE_REGULAR] = "file",  [FILE_DIRECTORY] = "directory", [FILE_FIFO] = "fifo",
        [FILE_SOCKET] = "socket", [FILE_SYMLINK] = "symlink",     [FILE_DEVICE] = "device",
};
static_assert(sizeof(file_type_table) / sizeof(file_type_table[0]) == _FILE_TYPE_MAX, "a word is missing");
DEFINE_STRING_TABLE(file_type, FileType, file_type_table)

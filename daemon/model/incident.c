/*
 * incident - the machine's memory as JSON
 *
 * incident_to_json() and incident_from_json() are exact inverses; every member is asked for when reading, so
 * that a file of another version or a damaged one is refused (the engine then escalates instead of guessing).
 *
 * Monotonic times do not survive a reboot: `deadline` is not written, resuming sets it anew.
 *
 * Test: tests/unit/test_recovery.c
 */
#include "model/incident.h"

#include <string.h>

static const char *const rungs[_RUNG_MAX] = {
        [RUNG_NONE] = "none",     [RUNG_RESTART] = "restart",   [RUNG_SUSPECTS] = "suspects",
        [RUNG_PURGE] = "purge",   [RUNG_BASELINE] = "baseline", [RUNG_ISOLATE] = "isolate",
        [RUNG_FINISH] = "finish", [RUNG_GIVE_UP] = "give_up",   [RUNG_RETURN] = "return",
};
DEFINE_STRING_TABLE(rung, Rung, rungs)

static const char *const helds[_HELD_MAX] = {
        [HELD_NOTHING] = "nothing",
        [HELD_SUSPECTS] = "suspects",
        [HELD_STORE] = "store",
};
DEFINE_STRING_TABLE(held, Held, helds)

json_t *incident_to_json(const Incident *i)
{
        return json_pack(
                "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:b, s:b, s:b, "
                "s:b, s:b, s:b, s:b,"
                " s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I}",
                "id", i->id, "state", state_to_string(i->state), "paused_from",
                state_to_string(i->paused_from), "rung", rung_to_string(i->rung), "last_rung",
                rung_to_string(i->last_rung), "held", held_to_string(i->held), "store", (json_int_t)i->store,
                "aside", (json_int_t)i->aside, "reason", reason_to_string(i->reason), "symptom",
                symptom_kind_to_string(i->symptom), "result", close_result_to_string(i->result), "why",
                reason_to_string(i->why), "action", action_kind_to_string(i->action), "pending", i->pending,
                "seq", (json_int_t)i->seq, "guarded", i->guarded, "dead", i->dead, "was_running",
                i->was_running, "purged", i->purged, "release", i->release, "failing", i->failing, "planned",
                i->planned, "restarts", (json_int_t)i->restarts, "trials", (json_int_t)i->trials, "crashes",
                (json_int_t)i->crashes, "rounds", (json_int_t)i->rounds, "opened", (json_int_t)i->opened,
                "failing_after", (json_int_t)i->failing_after, "hang", i->hang, "n_suspects",
                (json_int_t)i->n_suspects, "n_culprits", (json_int_t)i->n_culprits);
}

/* The strings of a record, read into an incident. Return: 0 or -EINVAL. */
static int incident_words(Incident *i, const char *const words[9])
{
        i->state = state_from_string(words[0]);
        i->paused_from = state_from_string(words[1]);
        i->rung = rung_from_string(words[2]);
        i->last_rung = rung_from_string(words[3]);
        i->held = held_from_string(words[4]);
        i->reason = reason_from_string(words[5]);
        i->symptom = symptom_kind_from_string(words[6]);
        i->result = close_result_from_string(words[7]);
        i->why = reason_from_string(words[8]);
        if ((int)i->state < 0 || (int)i->paused_from < 0 || (int)i->rung < 0 || (int)i->last_rung < 0 ||
            (int)i->held < 0 || (int)i->reason < 0 || (int)i->symptom < 0 || (int)i->result < 0 ||
            (int)i->why < 0)
                return -EINVAL;
        return 0;
}

int incident_from_json(const json_t *j, Incident *ret)
{
        Incident i = { 0 };
        const char *id = NULL, *words[9] = { NULL }, *action = NULL;
        json_int_t store = 0, aside = 0, seq = 0, counts[4] = { 0 }, opened = 0, after = 0, suspects = 0,
                   culprits = 0;
        int pending = 0, guarded = 0, dead = 0, running = 0, purged = 0, release = 0, failing = 0,
            planned = 0, hang = 0;

        if (json_unpack((json_t *)j,
                        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:b, "
                        "s:b, s:b, s:b, s:b, s:b, s:b,"
                        " s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I}",
                        "id", &id, "state", &words[0], "paused_from", &words[1], "rung", &words[2],
                        "last_rung", &words[3], "held", &words[4], "store", &store, "aside", &aside, "reason",
                        &words[5], "symptom", &words[6], "result", &words[7], "why", &words[8], "action",
                        &action, "pending", &pending, "seq", &seq, "guarded", &guarded, "dead", &dead,
                        "was_running", &running, "purged", &purged, "release", &release, "failing", &failing,
                        "planned", &planned, "restarts", &counts[0], "trials", &counts[1], "crashes",
                        &counts[2], "rounds", &counts[3], "opened", &opened, "failing_after", &after, "hang",
                        &hang, "n_suspects", &suspects, "n_culprits", &culprits) < 0)
                return -EINVAL;
        if (strlen(id) >= sizeof(i.id) || incident_words(&i, words) < 0)
                return -EINVAL;
        memcpy(i.id, id, strlen(id) + 1);
        i.action = action_kind_from_string(action);
        if ((int)i.action < 0 || store < 0 || aside < 0 || seq < 0 || opened < 0 || after < 0)
                return -EINVAL;
        i.store = (size_t)store;
        i.aside = (size_t)aside;
        i.seq = (uint64_t)seq;
        i.pending = pending;
        i.guarded = guarded;
        i.dead = dead;
        i.was_running = running;
        i.planned = planned;
        i.purged = purged;
        i.release = release;
        i.failing = failing;
        i.hang = hang;
        i.restarts = (unsigned)counts[0];
        i.trials = (unsigned)counts[1];
        i.crashes = (unsigned)counts[2];
        i.rounds = (unsigned)counts[3];
        i.opened = (usec_t)opened;
        i.failing_after = (usec_t)after;
        i.n_suspects = (uint64_t)suspects;
        i.n_culprits = (uint64_t)culprits;
        *ret = i;
        return 0;
}

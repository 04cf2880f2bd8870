/*
 * engine_arrival - a culprit of old arrives while all is well: into the server's own hold with it
 *
 * One at a time, beside the machine, in the way of an operator's release: intent on record, the server's own
 * command (act/task_native.c), outcome. Not while an incident is open: there it weighs more in the search,
 * and that is all. recovery.arrival_quarantine.per_day bounds it: a list of culprits may be wrong, or be made
 * to be. The count is in the snapshot, so that a restart does not begin it anew; when it is reached, people
 * are told once, and `explain` says of each message after that why it was left alone.
 *
 * Test: tests/scenario/test_arrival_scenario.c
 */
#include "engine_watch.h"

#include "base/text.h"
#include "model/json.h"

#include <stdlib.h>
#include <string.h>

/* Files that wait for their turn; what comes beyond is mail like any other. */
#define WAITING_MAX 256

/* May one more be caught today? */
static bool is_allowed(Watch *w)
{
        ArrivalCount *c = &w->arrival;
        usec_t now = w->engine->now.wall;

        if (now >= usec_add(c->since, USEC_PER_DAY) || now < c->since)
                *c = (ArrivalCount){ .since = now };
        return c->n < w->settings->recovery.arrival_per_day;
}

static void refuse(Watch *w, const char *path)
{
        watch_note(w, REASON_ARRIVAL_LIMIT, "left alone: %s", path);
        if (w->arrival.told)
                return;
        w->arrival.told = true;
        watch_alert(w, ALERT_GENERAL,
                    "known culprits keep arriving: arrival_quarantine.per_day is reached, others pass");
        watch_commit_operation(w, ACTION_NONE);
}

/* Takes the first path that waits. */
static char *waiting_pop(Watch *w)
{
        char *path = w->arrivals[0];
        size_t n = strv_length(w->arrivals);

        memmove(w->arrivals, w->arrivals + 1, n * sizeof(*w->arrivals));
        return path;
}

static bool is_free(const Watch *w)
{
        return w->operation.kind == ACTION_NONE && !w->pending.active && !w->acting && !w->put_off &&
               !w->resuming && !w->shutdown && w->incident.state == STATE_HEALTHY && w->run == RUN_RUNNING;
}

void watch_next_arrival(Watch *w)
{
        while (w->arrivals && w->arrivals[0] && is_free(w)) {
                char *path = waiting_pop(w);

                if (!is_allowed(w)) {
                        refuse(w, path);
                        free(path);
                        continue;
                }
                w->arrival.n++;
                w->operation = (Operation){ .kind = ACTION_CATCH, .target = path };
                watch_operation_begin(w);
        }
}

void watch_take_arrival(Watch *w, const char *path)
{
        /* No server's id has bytes that are no text: who names a file so, means to trick somebody. */
        if (!w->settings->recovery.arrival || w->incident.state != STATE_HEALTHY ||
            !text_is_utf8(path, strlen(path)) || strv_contains(w->arrivals, path) ||
            strv_length(w->arrivals) >= WAITING_MAX)
                return;
        if (strv_append(&w->arrivals, path) < 0)
                watch_note(w, REASON_ACTION_FAILED, "out of memory: a known culprit was left alone");
}

int watch_record_caught(Watch *w, const Outcome *o)
{
        int r = 0;

        for (size_t k = 0; r == 0 && k < o->n_messages; k++) {
                json_t *m = message_to_json(&o->messages[k]);

                if (m && o->message_ids && o->message_ids[k] &&
                    json_set(m, "quarantine", json_string(o->message_ids[k])) < 0) {
                        json_decref(m);
                        m = NULL;
                }
                if (m)
                        watch_publish(w, "message",
                                      json_pack("{s:s, s:O}", "text", "quarantined", "message", m));
                r = watch_record(w, AUDIT_MESSAGE_QUARANTINED, m ? json_pack("{s:o}", "data", m) : NULL);
                if (r < 0)
                        break;
                watch_alert(
                        w, ALERT_QUARANTINED,
                        "a known culprit has arrived and was quarantined: see `unjamctl quarantine list`");
                w->n_quarantined++;
        }
        if (r == 0 && (o->result == RESULT_FAILED || o->result == RESULT_TIMEOUT))
                watch_note(w, o->reason, "%s: %s", action_kind_to_string(o->kind),
                           o->detail ? o->detail : result_kind_to_string(o->result));
        return r;
}

/*
 * engine_flap - a fault that is worth no incident of its own
 *
 * A service that flaps is in one incident, not in hundreds: decide/flap.h says which fault is held back. It
 * is a symptom then (state suspect, reason flapping), told once, and a fault after all if it lasts until
 * the time of quiet is over. Nothing is held back from an operator.
 *
 * Test: tests/scenario/test_flap_scenario.c
 */
#include "engine_watch.h"

static bool is_power_of_two(unsigned n)
{
        return (n & (n - 1)) == 0;
}

/* Told at the first one; noted for `explain` at the second, fourth, eighth ... */
static void tell_held(Watch *w)
{
        unsigned n = flaps_held(&w->flaps, w->finding.symptom.kind);
        usec_t until = flaps_until(&w->flaps, w->finding.symptom.kind);
        char text[320], length[32];

        if (!is_power_of_two(n))
                return;
        usec_format(length, sizeof(length),
                    usec_sub(until, w->engine->now.mono) / USEC_PER_SEC * USEC_PER_SEC);
        snprintf(text, sizeof(text),
                 "the same trouble as in incident %s, %u time%s since: no new incident unless it lasts, or "
                 "comes "
                 "again after %s of quiet; `unjamctl recover %s` begins one now",
                 w->incident.id, n, n == 1 ? "" : "s", length, w->settings->name);
        watch_note(w, REASON_FLAPPING, "%s", text);
        if (n == 1)
                watch_alert(w, ALERT_GENERAL, text);
}

void watch_hold_back(Watch *w, Event *ev)
{
        bool idle = w->incident.state == STATE_HEALTHY || w->incident.state == STATE_SUSPECT;

        w->held_back = ev->kind == EVENT_FAULT && idle &&
                       flaps_hold(&w->flaps, w->finding.symptom.kind, w->engine->now.mono);
        if (!w->held_back)
                return;
        tell_held(w);
        *ev = (Event){ .kind = EVENT_SUSPECTED, .reason = REASON_FLAPPING };
}

usec_t watch_held_until(const Watch *w)
{
        return w->held_back ? flaps_until(&w->flaps, w->finding.symptom.kind) : USEC_INFINITY;
}

void watch_tell_held(Watch *w)
{
        if (watch_held_until(w) > w->engine->now.mono)
                return;
        w->held_back = false;
        watch_tell_fault(w);
}

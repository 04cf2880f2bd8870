/*
 * ledger - where every message went
 *
 * Promise 10: an incident closes with before + arrived = untouched + restored + quarantined + consumed + held
 * + unaccounted. It holds by construction: each entry of the roster is counted exactly once on either side. A
 * message that a crashed move left in two places counts where it is safest; the next resume moves it there.
 * Cannot fail. Test: tests/unit/test_ledger.c.
 */
#include "model/json.h"
#include "model/message.h"

static uint64_t *ledger_column(Ledger *l, const RosterEntry *e)
{
        if (e->place & PLACE_QUARANTINE)
                return &l->quarantined;
        if (e->place & PLACE_HOLD)
                return &l->held;
        if (e->place & PLACE_STORE)
                return e->flags & MESSAGE_WAS_HELD ? &l->restored : &l->untouched;
        if (e->flags & MESSAGE_CONSUMED)
                return &l->consumed;
        return &l->unaccounted;
}

Ledger ledger_of(const Roster *r)
{
        Ledger l = {};

        for (size_t i = 0; i < r->n; i++) {
                const RosterEntry *e = r->entries + i;

                /* What was not there when the incident opened has arrived, whatever else is known of it. */
                if (e->flags & MESSAGE_BEFORE)
                        l.before++;
                else
                        l.arrived++;
                ++*ledger_column(&l, e);
        }
        return l;
}

json_t *ledger_to_json(const Ledger *l)
{
        json_t *j = json_object();

        if (!j)
                return NULL;
        if (json_set(j, "before", json_integer((json_int_t)l->before)) < 0 ||
            json_set(j, "arrived", json_integer((json_int_t)l->arrived)) < 0 ||
            json_set(j, "untouched", json_integer((json_int_t)l->untouched)) < 0 ||
            json_set(j, "restored", json_integer((json_int_t)l->restored)) < 0 ||
            json_set(j, "quarantined", json_integer((json_int_t)l->quarantined)) < 0 ||
            json_set(j, "consumed", json_integer((json_int_t)l->consumed)) < 0 ||
            json_set(j, "held", json_integer((json_int_t)l->held)) < 0 ||
            json_set(j, "unaccounted", json_integer((json_int_t)l->unaccounted)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

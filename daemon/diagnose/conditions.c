/*
 * conditions - what of the host explains a fault
 *
 * The diagnosis asks before it says that a service is at fault, and as long as it is held back. Where no
 * source has ever reported, nothing is known and nothing is waited for.
 *
 * A condition is known by its id. Those of the last look while the service was healthy are remembered as long
 * as they last; an id that was missing from one look since is a new occurrence. Ids that do not fit the table
 * are forgotten, so that they count as new: that errs on the side of waiting. Test:
 * tests/unit/test_conditions.c.
 */
#include "diagnose/conditions.h"

#include "base/text.h"
#include "diagnose/symptom.h"

#include <stdio.h>
#include <string.h>

#define RECHECK   (5 * USEC_PER_SEC) /* while a fault is held back */
#define LOOK_WAIT (2 * USEC_PER_SEC) /* a disk that does not answer must not keep a recovery for ever */

static bool is_listed(const ConditionsStatus *status, uint64_t id)
{
        for (size_t i = 0; i < status->n; i++)
                if (text_hash(status->list[i].id) == id)
                        return true;
        return false;
}

static bool was_healthy_with(const Conditions *c, const char *id)
{
        for (size_t i = 0; i < c->n_healthy; i++)
                if (c->healthy[i] == text_hash(id))
                        return true;
        return false;
}

/* Those of a healthy time that are over are forgotten; while it is healthy, all that are there are noted. */
static void baseline_update(Conditions *c, const ConditionsStatus *status, bool healthy)
{
        size_t n = 0;

        for (size_t i = 0; i < c->n_healthy; i++)
                if (is_listed(status, c->healthy[i]))
                        c->healthy[n++] = c->healthy[i];
        c->n_healthy = n;
        for (size_t i = 0; healthy && i < status->n && c->n_healthy < CONDITIONS_MAX; i++)
                if (!was_healthy_with(c, status->list[i].id))
                        c->healthy[c->n_healthy++] = text_hash(status->list[i].id);
}

void conditions_feed(Conditions *c, const ConditionsStatus *status, bool healthy, usec_t mono)
{
        c->looked_after = true;
        c->seen = mono;
        baseline_update(c, status, healthy);
        c->reason = REASON_NONE;
        for (size_t i = 0; i < status->n && c->reason == REASON_NONE; i++) {
                if (was_healthy_with(c, status->list[i].id))
                        continue;
                c->reason = status->list[i].reason;
                text_copy(c->text, sizeof(c->text), status->list[i].text);
        }
}

bool conditions_take_wanted(Conditions *c)
{
        bool wanted = c->wanted;

        c->wanted = false;
        return wanted;
}

void conditions_want(Conditions *c, usec_t mono)
{
        if (!c->looked_after || (c->asked > c->seen && usec_add(c->asked, LOOK_WAIT) > mono))
                return;
        c->wanted = true;
        c->asked = mono;
}

bool conditions_known(Conditions *c, usec_t since, usec_t mono, usec_t *ret_due)
{
        *ret_due = USEC_INFINITY;
        if (!c->looked_after)
                return true;
        if (c->seen >= since && usec_add(c->seen, RECHECK) > mono) {
                *ret_due = usec_add(c->seen, RECHECK);
                return true;
        }
        if (c->asked < since || c->asked <= c->seen) {
                c->wanted = true;
                c->asked = mono;
        }
        *ret_due = usec_add(c->asked, LOOK_WAIT);
        return *ret_due <= mono;
}

void conditions_no_fault(Conditions *c)
{
        c->fault_since = 0;
}

void conditions_pause(Conditions *c, Reason reason, usec_t until)
{
        c->pause_reason = reason;
        c->pause_until = until;
}

Explains conditions_hold(Conditions *c, usec_t settle, usec_t mono, Reason *ret, usec_t *ret_due)
{
        *ret = c->pause_reason;
        *ret_due = c->pause_until;
        if (c->pause_until > mono)
                return EXPLAINS_IT;
        if (!c->fault_since)
                c->fault_since = mono;
        *ret = REASON_NONE;
        if (!conditions_known(c, c->fault_since, mono, ret_due))
                return EXPLAINS_LOOKING;
        if (c->reason != REASON_NONE) {
                *ret = c->held = c->reason;
                return EXPLAINS_IT;
        }
        if (c->held == REASON_NONE)
                return EXPLAINS_NOTHING;
        /* Whoever starts the service again now has the settle time to do so. */
        conditions_pause(c, c->held, usec_add(mono, settle));
        c->held = REASON_NONE;
        c->fault_since = 0;
        *ret = c->pause_reason;
        *ret_due = c->pause_until;
        return EXPLAINS_NO_MORE;
}

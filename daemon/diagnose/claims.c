/*
 * claims - event rules over time
 *
 * A rule with count and within fires when so many entries matched within the time; then counting begins anew.
 * An entry that its `unless` matches takes back what the rule has said: the count, and the claim that is
 * open. A rule that fires makes a claim, one per rule; one that fires again while its claim is open only
 * keeps it alive, so a server that logs the same line all day is one finding. A claim that nothing confirms
 * is forgotten after ten minutes. The diagnosis looks for the second fact. Fails only for a rule that does
 * not exist. Test: tests/unit/test_claims.c.
 */
#include "diagnose/claims.h"

#include "base/error.h"
#include "diagnose/symptom.h"

#include <stdio.h>
#include <stdlib.h>

int claims_init(Claims *c, const ServiceSettings *service)
{
        *c = (Claims){ .service = service };
        c->claims = calloc(service->n_rules > 0 ? service->n_rules : 1, sizeof(c->claims[0]));
        if (!c->claims)
                return err_origin(-ENOMEM);
        for (; c->n < service->n_rules; c->n++)
                if (event_window_init(&c->claims[c->n].window, service->rules[c->n].count) < 0) {
                        claims_deinit(c);
                        return err_origin(-ENOMEM);
                }
        return 0;
}

void claims_deinit(Claims *c)
{
        for (size_t i = 0; i < c->n; i++)
                event_window_deinit(&c->claims[i].window);
        free(c->claims);
        *c = (Claims){};
}

void claims_clear(Claims *c)
{
        for (size_t i = 0; i < c->n; i++) {
                Claim *claim = c->claims + i;

                event_window_clear(&claim->window);
                *claim = (Claim){ .window = claim->window };
        }
}

static Symptom claim_symptom(const Claims *c, const LogEntry *entry, const Now *now)
{
        const RuleSettings *rule = c->service->rules + entry->rule;
        char tail[48];
        Symptom s;

        snprintf(tail, sizeof(tail), "rule/%s", rule->name ? rule->name : "");
        s = symptom_make(c->service, rule->symptom, tail, entry->wall > 0 ? entry->wall : now->wall);
        s.claimed = true;
        text_copy(s.rule, sizeof(s.rule), rule->name);
        symptom_detail(&s, "rule %s", rule->name ? rule->name : "");
        if (rule->count > 1)
                symptom_add_detail(&s, ", %u times", rule->count);
        if (entry->pid > 0)
                symptom_add_detail(&s, ", pid %d", (int)entry->pid);
        symptom_add_detail(&s, ": %s", entry->text ? entry->text : "");
        return s;
}

static void claim_match(Claims *c, const LogEntry *entry, usec_t moved, const Now *now)
{
        const RuleSettings *rule = c->service->rules + entry->rule;
        Claim *claim = c->claims + entry->rule;

        event_window_add(&claim->window, now->mono);
        if (!event_window_reached(&claim->window, rule->count, rule->within, now->mono))
                return;
        event_window_clear(&claim->window);
        claim->last = now->mono;
        if (!claim->open) {
                claim->open = true;
                claim->confirmed = claim->recorded = false;
                claim->since = now->mono;
                claim->symptom = claim_symptom(c, entry, now);
        } else if (moved >= claim->since) {
                /* Mail has moved since: what is said now is to be judged from now on. */
                claim->since = now->mono;
        }
}

int claims_feed(Claims *c, const LogEntry *entry, usec_t moved, const Now *now, usec_t *quiet)
{
        if (entry->kind != LOG_GAP && entry->rule >= c->n)
                return err_origin(-EINVAL);
        switch (entry->kind) {
        case LOG_MATCHES:
                claim_match(c, entry, moved, now);
                break;
        case LOG_CANCELS:
                event_window_clear(&c->claims[entry->rule].window);
                if (c->claims[entry->rule].open)
                        *quiet = now->mono;
                c->claims[entry->rule].open = false;
                break;
        case LOG_GAP:
                break; /* what could not be read claims nothing */
        }
        return 0;
}

usec_t claims_expire(Claims *c, usec_t mono, bool *ret_closed)
{
        usec_t next = USEC_INFINITY;

        *ret_closed = false;
        for (size_t i = 0; i < c->n; i++) {
                Claim *claim = c->claims + i;
                usec_t end = usec_add(claim->last, CLAIM_LIFETIME);

                if (!claim->open)
                        continue;
                if (end <= mono) {
                        claim->open = false;
                        *ret_closed = true;
                } else if (end < next)
                        next = end;
        }
        return next;
}

Claim *claims_first(const Claims *c)
{
        Claim *found = NULL;

        for (size_t i = 0; i < c->n; i++) {
                Claim *claim = c->claims + i;

                if (claim->open && claim->confirmed)
                        return claim;
                if (claim->open && !found)
                        found = claim;
        }
        return found;
}

/*
 * journal_interest - which entries of the journal a service wants
 *
 * Made by the journal's sources, one for each service. The matches that are made of them leave the work to
 * the journal's own index: only entries of the services' units, and where every rule of a service names a
 * field's value, only those that have it. Fails with ENOMEM, or EINVAL for a rule that can't be compiled.
 *
 * Tests: tests/unit/test_journal.c.
 */
#include "observe/journal_interest.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>

/* "Suppressed N messages from UNIT" */
#define MESSAGE_SUPPRESSED "a596d6fe7bfa4994828e72309e95d61e"

int journal_interest_new(JournalInterest **ret, char *const *units, const ServiceSettings *settings,
                         Settings *owner, char **ret_error)
{
        JournalInterest *i = calloc(1, sizeof(*i));

        if (!i)
                return err_origin(-ENOMEM);
        i->n_ref = 1;
        i->owner = owner ? settings_ref(owner) : NULL;
        i->units = strv_copy(units);
        int r = i->units || !units ? rules_new(&i->rules, settings->rules, settings->n_rules, ret_error)
                                   : -ENOMEM;
        if (r < 0) {
                journal_interest_unref(i);
                return err_trace(r);
        }
        *ret = i;
        return 0;
}

JournalInterest *journal_interest_ref(JournalInterest *i)
{
        i->n_ref++;
        return i;
}

JournalInterest *journal_interest_unref(JournalInterest *i)
{
        if (!i || --i->n_ref > 0)
                return NULL;
        rules_free(i->rules);
        strv_free(i->units);
        settings_unref(i->owner);
        free(i);
        return NULL;
}

static int match_add(sd_journal *j, const char *field, const char *value)
{
        _cleanup_(freep) char *match = NULL;
        int r;

        if (asprintf(&match, "%s=%s", field, value) < 0) {
                match = NULL;
                return err_origin(-ENOMEM);
        }
        r = sd_journal_add_match(j, match, 0);
        return r < 0 ? err_origin(r) : 0;
}

/* One term: an entry of one of the units (matches of one field are alternatives), with @rule's field if it is
 * not NULL. */
static int term_add(sd_journal *j, char *const *units, const RuleSettings *rule)
{
        int r = 0;

        for (; r >= 0 && *units; units++)
                r = match_add(j, "_SYSTEMD_UNIT", *units);
        if (r >= 0 && rule)
                r = match_add(j, rule->field, rule->equals);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        return r < 0 ? err_trace(r) : 0;
}

/* If every rule asks for a field's value, the journal's own index finds the entries that have it. */
static bool interest_is_narrow(const JournalInterest *i)
{
        for (size_t k = 0; k < rules_count(i->rules); k++) {
                const RuleSettings *s = rules_settings(i->rules, k);

                if (s->source == RULE_SOURCE_JOURNAL && (!s->field || !s->equals || s->unless))
                        return false;
        }
        return true;
}

static int interest_add_matches(sd_journal *j, const JournalInterest *i)
{
        if (!interest_is_narrow(i))
                return err_trace(term_add(j, i->units, NULL));
        for (size_t k = 0; k < rules_count(i->rules); k++) {
                const RuleSettings *s = rules_settings(i->rules, k);
                int r = s->source == RULE_SOURCE_JOURNAL ? term_add(j, i->units, s) : 0;

                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

int journal_matches_set(sd_journal *j, JournalInterest *const *interests, size_t n)
{
        bool any = false;
        int r = 0;

        sd_journal_flush_matches(j);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (strv_length(interests[i]->units) == 0)
                        continue;
                any = true;
                r = interest_add_matches(j, interests[i]);
        }
        if (r < 0)
                return err_trace(r);
        /* Without any match everything would match. */
        if (!any)
                return err_trace(match_add(j, "_SYSTEMD_UNIT", ""));
        /* Anybody may write that id; who wrote it is looked at when such an entry is there. */
        return err_trace(match_add(j, "MESSAGE_ID", MESSAGE_SUPPRESSED));
}

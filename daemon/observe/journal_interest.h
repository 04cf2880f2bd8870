#pragma once

/* JournalInterest: what one service wants of the journal, and the matches that all of them make together. */

#include "model/rules.h"
#include "model/settings.h"

#include <systemd/sd-journal.h>

/* What a service wants of the journal. Referenced by its source and by turns; counted in the loop only. */
typedef struct JournalInterest {
        unsigned n_ref;
        char **units;
        Rules *rules;     /* used in turns only */
        uint64_t limited; /* rules_limited() that were told; likewise */
        Settings *owner;  /* keeps the rules' settings alive */
        void *source;     /* NULL once that has gone */
} JournalInterest;

/* Of @units and @rules copies and compilations are made. *@ret_error as rules_new(). */
int journal_interest_new(JournalInterest **ret, char *const *units, const ServiceSettings *settings,
                         Settings *owner, char **ret_error);
JournalInterest *journal_interest_ref(JournalInterest *i);
JournalInterest *journal_interest_unref(JournalInterest *i);

/*
 * Sets the matches of @j: what any of the interests wants, and journald's own word that it has suppressed
 * entries. Return: 0 or a negated errno.
 */
int journal_matches_set(sd_journal *j, JournalInterest *const *interests, size_t n);

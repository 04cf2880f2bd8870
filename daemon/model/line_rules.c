/*
 * line_rules - event rules on blocks of lines
 *
 * Called by the readers of log files, in a worker's thread. The prefilter names the few lines that are worth
 * asking PCRE2 about, and for which rules; a line's ends are looked for only there. Rules of which the
 * prefilter knows nothing ("blind") are asked about every line.
 *
 * What is found does not depend on the prefilter: it is what each pattern matches on each line alone. Fails
 * with ENOMEM only. Test: tests/unit/test_line_rules.c.
 */
#include "model/line_rules.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "model/prefilter.h"

#include <stdlib.h>
#include <string.h>

/* One pattern of a rule: its match, or its unless. The unless of a rule comes first. */
typedef struct LinePattern {
        size_t rule;
        bool unless, blind;
} LinePattern;

struct LineRules {
        Rules *rules;
        Prefilter *filter;
        LinePattern *patterns;
        size_t n;
        bool any_blind;
        bool *candidates; /* of the present line */
        /* The block, and the present line in it. */
        PrefilterScan scan;
        const char *block;
        size_t len, line_max;
        size_t hint;       /* the prefilter's next place */
        bool *hinted;      /* its patterns */
        size_t start, end; /* of the line; without its newline */
        size_t next;       /* where the line after it starts */
        size_t at;         /* the next pattern to ask; @n: none */
        size_t cancelled;  /* the rule that this line has cancelled, or SIZE_MAX */
};

static bool rule_is_of(const RuleSettings *s, const char *path)
{
        /* A line has no fields but its text. */
        return s->source == RULE_SOURCE_FILE && streq_null(s->path, path) && s->match && !s->field;
}

static int patterns_collect(LineRules *l, const char *path)
{
        _cleanup_(freep) const char **texts = calloc(2 * rules_count(l->rules) + 1, sizeof(*texts));
        int r;

        l->patterns = calloc(2 * rules_count(l->rules) + 1, sizeof(*l->patterns));
        if (!texts || !l->patterns)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < rules_count(l->rules); i++) {
                const RuleSettings *s = rules_settings(l->rules, i);

                if (!rule_is_of(s, path))
                        continue;
                if (s->unless) {
                        texts[l->n] = s->unless;
                        l->patterns[l->n++] = (LinePattern){ .rule = i, .unless = true };
                }
                texts[l->n] = s->match;
                l->patterns[l->n++] = (LinePattern){ .rule = i };
        }
        r = prefilter_new(&l->filter, texts, l->n);
        for (size_t i = 0; r == 0 && i < l->n; i++)
                l->any_blind |= l->patterns[i].blind = prefilter_is_blind(l->filter, i);
        return r;
}

int line_rules_new(LineRules **ret, Rules *rules, const char *path)
{
        _cleanup_(line_rules_freep) LineRules *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return err_origin(-ENOMEM);
        l->rules = rules;
        r = patterns_collect(l, path);
        if (r < 0)
                return err_trace(r);
        l->candidates = calloc(l->n + 1, sizeof(*l->candidates));
        l->hinted = calloc(l->n + 1, sizeof(*l->hinted));
        if (!l->candidates || !l->hinted)
                return err_origin(-ENOMEM);
        *ret = TAKE_PTR(l);
        return 0;
}

LineRules *line_rules_free(LineRules *l)
{
        if (!l)
                return NULL;
        prefilter_free(l->filter);
        free(l->patterns);
        free(l->candidates);
        free(l->hinted);
        free(l);
        return NULL;
}

static void hint_next(LineRules *l)
{
        memset(l->hinted, 0, l->n);
        l->hint = prefilter_next(&l->scan, l->hinted);
}

void line_rules_begin(LineRules *l, const void *block, size_t len, size_t line_max)
{
        l->block = block;
        l->len = len;
        l->line_max = line_max;
        l->next = 0;
        l->at = l->n;
        prefilter_begin(&l->scan, l->filter, block, len);
        hint_next(l);
}

/* The line around @at becomes the present one. */
static void line_take(LineRules *l, size_t from, size_t at)
{
        const char *before = at > from ? memrchr(l->block + from, '\n', at - from) : NULL;
        const char *after = memchr(l->block + at, '\n', l->len - at);

        l->start = before ? (size_t)(before + 1 - l->block) : from;
        l->end = after ? (size_t)(after - l->block) : l->len;
        l->next = l->end + 1;
        l->at = 0;
        l->cancelled = SIZE_MAX;
        for (size_t i = 0; i < l->n; i++)
                l->candidates[i] = l->patterns[i].blind;
        while (l->hint <= l->end && l->hint < l->len) {
                for (size_t i = 0; i < l->n; i++)
                        l->candidates[i] |= l->hinted[i];
                hint_next(l);
        }
}

/* Goes on to the next line that is worth a look. Return: is there one? */
static bool line_next(LineRules *l)
{
        if (l->next >= l->len || (!l->any_blind && l->hint >= l->len))
                return false;
        line_take(l, l->next, l->any_blind ? l->next : l->hint);
        return true;
}

/* Asks the patterns of the present line that are left. Return: 0, LINE_RULES_E_END, or -ENOMEM. */
static int line_ask(LineRules *l, LineHit *ret)
{
        size_t whole = l->end - l->start, len = whole < l->line_max ? whole : l->line_max;

        while (l->at < l->n) {
                const LinePattern *p = &l->patterns[l->at];
                int r = RULES_E_NONE;

                if (l->candidates[l->at++] && l->cancelled != p->rule)
                        r = rules_match_line(l->rules, p->rule, p->unless, l->block + l->start, len);
                if (r < 0)
                        return err_trace(r);
                if (r > 0)
                        continue;
                if (p->unless)
                        l->cancelled = p->rule;
                *ret = (LineHit){ p->rule, p->unless, l->start, whole };
                return 0;
        }
        return LINE_RULES_E_END;
}

int line_rules_next(LineRules *l, LineHit *ret)
{
        int r = LINE_RULES_E_END;

        if (l->n == 0)
                return LINE_RULES_E_END;
        while ((r = line_ask(l, ret)) == LINE_RULES_E_END)
                if (!line_next(l))
                        return LINE_RULES_E_END;
        return r;
}

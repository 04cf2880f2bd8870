/*
 * rules - event rules on log entries
 *
 * The engine compiles a service's rules; the log sources show them each entry of the service and hand on
 * those that match. A rule asks for a field with a value, for a pattern, or for both:
 *
 *     field = "EVENT_ID"; equals = "4037";    the field has exactly this value
 *     match = "...";                          the entry's text matches
 *     field = "UNIT_STATE"; match = "...";    the field matches
 *     field = ..; equals = ..; match = ..;    the field has this value, and the text matches
 *
 * A rule that asks for nothing would match every line and is refused. A line that drives a pattern into a
 * limit counts as no match and is counted. Runs in the loop's thread. Test: tests/unit/test_rules.c.
 */
#include "model/rules.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "model/pattern.h"
#include "model/prefilter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX   (64 * 1024)
#define CAPTURE_MAX 255 /* NAME_MAX */
#define ASKED_OFTEN 1000

/* Made for a pattern that is asked often: what it must contain is looked for first. It takes 12 KiB. */
typedef struct Filter {
        unsigned asked;
        Prefilter *filter; /* NULL: not made (yet) */
} Filter;

struct Rules {
        const RuleSettings *settings;
        size_t n;
        Pattern **patterns; /* NULL where a rule has no match */
        Pattern **unless;   /* NULL where a rule has none */
        Filter *filters;    /* of @patterns */
        uint64_t limited;
};

static int rule_refuse(char **ret_error, const RuleSettings *s, const char *what)
{
        if (ret_error && asprintf(ret_error, "%s: %s", s->name ? s->name : "event", what) < 0)
                *ret_error = NULL;
        return err_origin(-EINVAL);
}

static int pattern_compile(Pattern **ret, const RuleSettings *s, const char *pattern, char **ret_error)
{
        _cleanup_(freep) char *what = NULL;
        int r;

        if (!pattern)
                return 0;
        r = pattern_new(ret, pattern, PATTERN_TEXT, &what);
        return r == -EINVAL ? rule_refuse(ret_error, s, what) : err_trace(r);
}

static int rule_compile(Rules *rules, size_t i, char **ret_error)
{
        const RuleSettings *s = rules->settings + i;
        int r;

        if (!s->field && !s->match)
                return rule_refuse(ret_error, s, "it would match every line; give it a field or a match");
        if (s->equals && !s->field)
                return rule_refuse(ret_error, s, "equals without a field");
        r = pattern_compile(&rules->patterns[i], s, s->match, ret_error);
        return r < 0 ? err_trace(r) : err_trace(pattern_compile(&rules->unless[i], s, s->unless, ret_error));
}

int rules_new(Rules **ret, const RuleSettings *settings, size_t n, char **ret_error)
{
        _cleanup_(rules_freep) Rules *r = NULL;

        if (ret_error)
                *ret_error = NULL;
        r = calloc(1, sizeof(*r));
        if (!r)
                return err_origin(-ENOMEM);
        r->settings = settings;
        r->patterns = calloc(n > 0 ? n : 1, sizeof(r->patterns[0]));
        r->unless = calloc(n > 0 ? n : 1, sizeof(r->unless[0]));
        r->filters = calloc(n > 0 ? n : 1, sizeof(r->filters[0]));
        if (!r->patterns || !r->unless || !r->filters)
                return err_origin(-ENOMEM);
        while (r->n < n) {
                int k = rule_compile(r, r->n++, ret_error);

                if (k < 0)
                        return err_trace(k);
        }
        *ret = TAKE_PTR(r);
        return 0;
}

Rules *rules_free(Rules *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; r->patterns && i < r->n; i++)
                pattern_free(r->patterns[i]);
        for (size_t i = 0; r->unless && i < r->n; i++)
                pattern_free(r->unless[i]);
        for (size_t i = 0; r->filters && i < r->n; i++)
                prefilter_free(r->filters[i].filter);
        free(r->patterns);
        free(r->unless);
        free(r->filters);
        free(r);
        return NULL;
}

static bool rule_wants(const RuleSettings *s, RuleSource source, const char *path)
{
        switch (source) {
        case RULE_SOURCE_JOURNAL:
                return s->source == source;
        case RULE_SOURCE_FILE:
                return s->source == source && streq_null(s->path, path);
        case _RULE_SOURCE_MAX:
        case _RULE_SOURCE_INVALID:
                break;
        }
        return false;
}

bool rules_want(const Rules *r, RuleSource source, const char *path)
{
        for (size_t i = 0; i < r->n; i++)
                if (rule_wants(r->settings + i, source, path))
                        return true;
        return false;
}

static int value_match(Rules *r, const Pattern *p, const void *value, size_t len)
{
        int k;

        k = pattern_match(p, value, len < VALUE_MAX ? len : VALUE_MAX);
        if (k == PATTERN_E_LIMIT)
                r->limited++;
        if (k < 0)
                return err_trace(k);
        return k > 0 ? RULES_E_NONE : 0;
}

/* Can the match of rule @i be anywhere in @value? */
static bool filter_passes(Rules *r, size_t i, const void *value, size_t len)
{
        Filter *f = &r->filters[i];
        const char *text = r->settings[i].match;
        PrefilterScan scan;
        bool found = false;

        if (f->asked < ASKED_OFTEN && ++f->asked == ASKED_OFTEN && prefilter_new(&f->filter, &text, 1) < 0)
                f->filter = NULL; /* it is asked without, then */
        if (!f->filter || prefilter_is_blind(f->filter, 0))
                return true;
        prefilter_begin(&scan, f->filter, value, len);
        return prefilter_next(&scan, &found) < len;
}

/* Return: 0 it matches, RULES_E_NONE, or a negated errno. */
static int rule_match(Rules *r, size_t i, const RuleEntry *entry)
{
        const RuleSettings *s = r->settings + i;
        const char *text = "MESSAGE";
        const void *value;
        size_t len;
        int k;

        if (s->field) {
                k = entry->get_field(entry->userdata, s->field, &value, &len);
                if (k < 0)
                        return err_trace(k);
                if (k > 0)
                        return RULES_E_NONE;
                if (s->equals && (len != strlen(s->equals) || memcmp(value, s->equals, len) != 0))
                        return RULES_E_NONE;
                if (!s->equals)
                        text = s->field;
        }
        if (!r->patterns[i])
                return 0;
        k = entry->get_field(entry->userdata, text, &value, &len);
        if (k < 0)
                return err_trace(k);
        return k > 0 || !filter_passes(r, i, value, len) ? RULES_E_NONE
                                                         : value_match(r, r->patterns[i], value, len);
}

int rules_match(Rules *r, const RuleEntry *entry, size_t from, size_t *ret)
{
        for (size_t i = from; i < r->n; i++) {
                int k;

                if (!rule_wants(r->settings + i, entry->source, entry->path))
                        continue;
                k = rule_match(r, i, entry);
                if (k < 0)
                        return err_trace(k);
                if (k == 0) {
                        *ret = i;
                        return 0;
                }
        }
        return RULES_E_NONE;
}

int rules_cancel(Rules *r, const RuleEntry *entry, size_t from, size_t *ret)
{
        for (size_t i = from; i < r->n; i++) {
                const void *value;
                size_t len;
                int k;

                if (!r->unless[i] || !rule_wants(r->settings + i, entry->source, entry->path))
                        continue;
                k = entry->get_field(entry->userdata, "MESSAGE", &value, &len);
                if (k == 0)
                        k = value_match(r, r->unless[i], value, len);
                if (k < 0)
                        return err_trace(k);
                if (k == 0) {
                        *ret = i;
                        return 0;
                }
        }
        return RULES_E_NONE;
}

int rules_match_line(Rules *r, size_t i, bool unless, const void *line, size_t len)
{
        const Pattern *p = unless ? r->unless[i] : r->patterns[i];
        int k;

        if (!p)
                return RULES_E_NONE;
        k = pattern_match(p, line, len);
        if (k == PATTERN_E_LIMIT)
                r->limited++;
        if (k < 0)
                return err_trace(k);
        return k > 0 ? RULES_E_NONE : 0;
}

static int capture_id(const Pattern *p, const char *text, size_t len, char **ret)
{
        PatternSpan span;
        int k = pattern_match_group(p, text, len, "id", &span);

        if (k != 0)
                return k < 0 ? err_trace(k) : 0;
        /* No name of a message is longer or has a NUL. */
        if (span.len > CAPTURE_MAX || memchr(text + span.start, '\0', span.len))
                return 0;
        *ret = strndup(text + span.start, span.len);
        return *ret ? 0 : err_origin(-ENOMEM);
}

static int capture_pid(const Pattern *p, const char *text, size_t len, pid_t *ret)
{
        PatternSpan span;
        long long pid = 0;
        int k = pattern_match_group(p, text, len, "pid", &span);

        if (k != 0)
                return k < 0 ? err_trace(k) : 0;
        for (size_t i = 0; i < span.len && pid >= 0; i++) {
                char c = text[span.start + i];

                pid = c >= '0' && c <= '9' && pid <= INT32_MAX ? pid * 10 + (c - '0') : -1;
        }
        if (pid > 0 && pid <= INT32_MAX)
                *ret = (pid_t)pid;
        return 0;
}

int rules_capture(Rules *r, size_t i, const void *text, size_t len, RuleCapture *ret)
{
        const RuleSettings *s = r->settings + i;
        int k = 0;

        *ret = (RuleCapture){};
        if (!r->patterns[i] || !s->captures)
                return 0;
        if (strv_contains(s->captures, "pid"))
                k = capture_pid(r->patterns[i], text, len, &ret->pid);
        if (k == 0 && strv_contains(s->captures, "id"))
                k = capture_id(r->patterns[i], text, len, &ret->id);
        return err_trace(k);
}

size_t rules_count(const Rules *r)
{
        return r->n;
}

const RuleSettings *rules_settings(const Rules *r, size_t i)
{
        return r->settings + i;
}

uint64_t rules_limited(const Rules *r)
{
        return r->limited;
}

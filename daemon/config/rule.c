/*
 * rule - the lists `events`, `causes`, `crash_windows` and `leftovers` of a service
 *
 * Called by the reader of services. Patterns are compiled here to find what is wrong with them, and again by
 * those who match them (model/rules, observe, act).
 *
 * A rule without a symptom is a plain "event", a check without an effect is a "note": what is left out must
 * not lead to harm. Test: tests/unit/test_config_rule.c.
 */
#include "config/parts.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/pattern.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

DEFINE_WORDS(rule_source, RuleSource)
DEFINE_WORDS(symptom_kind, SymptomKind)
DEFINE_WORDS(cause_kind, CauseKind)
DEFINE_WORDS(cause_effect, CauseEffect)

/* Journal fields are upper case; those that begin with "_" are set by the journal itself. */
static void field_read(Loader *l, const config_setting_t *s, void *target)
{
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
        RuleSettings *rule = target;
        const char *text = config_setting_get_string(s);

        if (!text || text[0] == '\0' || text[strspn(text, allowed)] != '\0' || strlen(text) > 64) {
                loader_fault(l, s,
                             "field: is no journal field; write its name in capitals such as \"EVENT_ID\"");
                return;
        }
        rule->field = strdup(text);
        if (!rule->field)
                loader_fail(l, -ENOMEM);
}

/* Which named groups of `match` are evidence. That they are there is checked when the whole rule is known. */
static void captures_read(Loader *l, const config_setting_t *s, void *target)
{
        RuleSettings *rule = target;
        char **names = words_read(l, s);

        for (size_t i = 0; names && names[i]; i++)
                if (strcmp(names[i], "id") != 0 && strcmp(names[i], "pid") != 0) {
                        loader_fault(l, s, "captures: \"%s\" is unknown; write \"id\" or \"pid\"", names[i]);
                        strv_free(names);
                        return;
                }
        strv_free(rule->captures);
        rule->captures = names;
}

const Key event_keys[] = {
        PLAIN("name", KEY_NAME, RuleSettings, name),
        WORD("source", RuleSettings, source, rule_source_words),
        PLAIN("path", KEY_PATH, RuleSettings, path),
        CUSTOM("field", field_read),
        PLAIN("equals", KEY_STRING, RuleSettings, equals),
        PLAIN("match", KEY_TEXT_PATTERN, RuleSettings, match),
        PLAIN("unless", KEY_TEXT_PATTERN, RuleSettings, unless),
        RANGE("count", KEY_COUNT, RuleSettings, count, 1, 100000),
        RANGE("within", KEY_TIME, RuleSettings, within, USEC_PER_MSEC, 30 * USEC_PER_DAY),
        CUSTOM("captures", captures_read),
        WORD("symptom", RuleSettings, symptom, symptom_kind_words),
        {},
};

/* Each captured group must stand once in the pattern. */
static void captures_check(Loader *l, const config_setting_t *group, const RuleSettings *rule)
{
        _cleanup_(pattern_freep) Pattern *p = NULL;
        int r;

        if (!rule->captures)
                return;
        if (!rule->match) {
                loader_require(l, group, "match", "match = \"... (?<id>...)\" beside captures");
                return;
        }
        r = pattern_new(&p, rule->match, PATTERN_TEXT, NULL);
        if (r < 0) {
                loader_fail(l, r);
                return;
        }
        for (size_t i = 0; rule->captures[i]; i++)
                if (pattern_count_groups(p, rule->captures[i]) == 0)
                        loader_fault(l, setting_member(group, "captures"),
                                     "captures: match has no group \"%s\"; write (?<%s>...) in match",
                                     rule->captures[i], rule->captures[i]);
}

/* A line of a file has no fields, and an entry of the journal no path. */
static void source_check(Loader *l, const config_setting_t *group, const RuleSettings *rule)
{
        if (rule->source != RULE_SOURCE_FILE) {
                loader_forbid(l, group, "path", "is for source = \"file\"");
                return;
        }
        loader_require(l, group, "path", "path = \"/var/log/mail.log\" beside source = \"file\"");
        loader_forbid(l, group, "field", "is for source = \"journal\"");
        loader_forbid(l, group, "equals", "is for source = \"journal\"");
}

/* A rule that asks for nothing would match every entry. */
static void event_read(Loader *l, const config_setting_t *group, void *item)
{
        RuleSettings *rule = item;
        bool has_equals, has_match;

        *rule = (RuleSettings){
                .source = RULE_SOURCE_JOURNAL,
                .count = 1,
                .within = USEC_PER_MIN,
                .symptom = SYMPTOM_EVENT,
        };
        keys_read(l, group, event_keys, rule);
        if (!config_setting_is_group(group))
                return;
        loader_require(l, group, "name", "name = \"...\"");
        has_equals = config_setting_get_member(group, "equals");
        has_match = config_setting_get_member(group, "match");
        if (!has_equals && !has_match)
                loader_fault(
                        l, group,
                        "match: is missing; write match = \"...\", or field = \"...\" and equals = \"...\"");
        if (has_equals && rule->source == RULE_SOURCE_JOURNAL)
                loader_require(l, group, "field", "field = \"...\" beside equals");
        source_check(l, group, rule);
        captures_check(l, group, rule);
}

/* The contract words it as "exit 0 or `match`": the default may be written down. */
static void expect_read(Loader *l, const config_setting_t *s, void *target)
{
        const char *text = config_setting_get_string(s);
        bool zero = config_setting_type(s) == CONFIG_TYPE_INT && config_setting_get_int(s) == 0;

        (void)target;
        if (!zero && !(text && strcmp(text, "exit 0") == 0))
                loader_fault(
                        l, s,
                        "expect: only \"exit 0\" can be expected; write match = \"...\" for what the output "
                        "must be");
}

const Key cause_keys[] = {
        WORD("cause", CauseSettings, cause, cause_kind_words),
        PLAIN("command", KEY_ARGV, CauseSettings, command),
        CUSTOM("expect", expect_read),
        PLAIN("match", KEY_TEXT_PATTERN, CauseSettings, match),
        RANGE("timeout", KEY_TIME, CauseSettings, timeout, 10 * USEC_PER_MSEC, 10 * USEC_PER_MIN),
        WORD("effect", CauseSettings, effect, cause_effect_words),
        PLAIN("advice", KEY_STRING, CauseSettings, advice),
        {},
};

static void cause_read(Loader *l, const config_setting_t *group, void *item)
{
        CauseSettings *cause = item;

        /* A check that nobody gave an effect only informs. */
        *cause = (CauseSettings){
                .cause = _CAUSE_KIND_INVALID,
                .timeout = 10 * USEC_PER_SEC,
                .effect = EFFECT_NOTE,
        };
        keys_read(l, group, cause_keys, cause);
        if (!config_setting_is_group(group))
                return;
        loader_require(l, group, "cause",
                       "cause = \"not_configured\", \"startup_account\", \"permissions\" ...");
        loader_require(l, group, "command", "command = [ \"/path/of/program\", \"argument\" ]");
        if (config_setting_get_member(group, "match"))
                loader_forbid(l, group, "expect", "does not go with match");
}

const Key crash_window_keys[] = {
        RANGE("count", KEY_COUNT, CrashWindow, count, 1, 10000),
        RANGE("within", KEY_TIME, CrashWindow, within, USEC_PER_SEC, 30 * USEC_PER_DAY),
        {},
};

static void crash_window_read(Loader *l, const config_setting_t *group, void *item)
{
        keys_read(l, group, crash_window_keys, item);
        if (!config_setting_is_group(group))
                return;
        loader_require(l, group, "count", "count = 3");
        loader_require(l, group, "within", "within = \"2min\"");
}

/* By number, or by a name that is looked up once, now. */
static void leftover_uid_read(Loader *l, const config_setting_t *s, void *target)
{
        LeftoverSettings *leftover = target;
        const char *name = config_setting_get_string(s);
        char buffer[16 * 1024];
        struct passwd pw, *found = NULL;

        if (config_setting_type(s) == CONFIG_TYPE_INT && config_setting_get_int(s) >= 0) {
                leftover->uid = (uid_t)config_setting_get_int(s);
                leftover->any_uid = false;
                return;
        }
        if (!name) {
                loader_fault(l, s, "uid: is no user; write a number, or a user's name in quotes");
                return;
        }
        if (getpwnam_r(name, &pw, buffer, sizeof(buffer), &found) != 0 || !found) {
                loader_fault(
                        l, s,
                        "uid: there is no user \"%s\"; write a number, or the name of a user of this host",
                        name);
                return;
        }
        leftover->uid = found->pw_uid;
        leftover->any_uid = false;
}

const Key leftover_keys[] = {
        PLAIN("exe", KEY_PATH, LeftoverSettings, exe),
        CUSTOM("uid", leftover_uid_read),
        {},
};

static void leftover_read(Loader *l, const config_setting_t *group, void *item)
{
        LeftoverSettings *leftover = item;

        leftover->any_uid = true;
        keys_read(l, group, leftover_keys, leftover);
        if (config_setting_is_group(group))
                loader_require(l, group, "exe", "exe = \"/path/of/program\"");
}

void events_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        service->rules = groups_read(l, s, sizeof(RuleSettings), &service->n_rules, event_read);
}

void causes_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        service->causes = groups_read(l, s, sizeof(CauseSettings), &service->n_causes, cause_read);
}

void crash_windows_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        service->crash_windows =
                groups_read(l, s, sizeof(CrashWindow), &service->n_crash_windows, crash_window_read);
}

void leftovers_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        service->leftovers =
                groups_read(l, s, sizeof(LeftoverSettings), &service->n_leftovers, leftover_read);
}

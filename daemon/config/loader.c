/*
 * loader - where a fault is, and how it is told
 *
 * Used by every reader and check. What a setting's file and line are is known to libconfig, but for text that
 * came from a string: there the hook of the root names the file (config.c sets it).
 * Test: tests/unit/test_config_loader.c.
 */
#include "config/schema.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "config/faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only the first is kept: what follows from it would hide it. */
void loader_fail(Loader *l, int r)
{
        if (r < 0 && l->error == 0)
                l->error = err_origin(r);
}

/* libconfig knows the file of an included setting; of others the root knows. */
const char *setting_file(const config_setting_t *s)
{
        const char *file = config_setting_source_file(s);
        const config_setting_t *up = s;

        if (file)
                return file;
        while (!config_setting_is_root(up))
                up = config_setting_parent(up);
        return up->hook;
}

unsigned setting_line(const config_setting_t *s)
{
        /* The root has no line of its own. */
        unsigned line = (unsigned)config_setting_source_line(s);

        return line > 0 ? line : 1;
}

/* The text is made here and copied by the list, which cleans it. */
void loader_fault(Loader *l, const config_setting_t *at, const char *format, ...)
{
        _cleanup_(freep) char *what = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&what, format, ap);
        va_end(ap);
        if (n < 0) {
                what = NULL;
                loader_fail(l, -ENOMEM);
                return;
        }
        loader_fail(l, config_faults_add(l->faults, setting_file(at), setting_line(at), what));
}

const config_setting_t *setting_member(const config_setting_t *group, const char *key)
{
        const config_setting_t *s = config_setting_get_member(group, key);

        return s ? s : group;
}

const config_setting_t *setting_element(const config_setting_t *group, const char *key, size_t i)
{
        const config_setting_t *s = setting_member(group, key);
        const config_setting_t *e = NULL;

        if (s != group && config_setting_is_aggregate(s) && i < (size_t)config_setting_length(s))
                e = config_setting_get_elem(s, (unsigned)i);
        return e ? e : s;
}

/* At the group itself, since what is missing has no line. */
bool loader_require(Loader *l, const config_setting_t *group, const char *key, const char *advice)
{
        if (config_setting_get_member(group, key))
                return true;
        loader_fault(l, group, "%s: is missing; write %s", key, advice);
        return false;
}

void loader_forbid(Loader *l, const config_setting_t *group, const char *key, const char *why)
{
        const config_setting_t *s = config_setting_get_member(group, key);

        if (s)
                loader_fault(l, s, "%s: %s; remove it", key, why);
}

/* Longer words are no typing errors of ours, and the comparison is quadratic. */
#define NEAR_MAX 64

/* One edit for short words, one more for each three letters; never all of a word. */
const char *word_near(const char *word, const char *const *names)
{
        size_t len = strlen(word);
        const char *best = NULL;
        size_t best_distance = 0;

        if (len > NEAR_MAX)
                return NULL;
        for (; *names; names++) {
                size_t limit = strlen(*names) / 3 + 1;
                size_t d = text_distance(word, *names);

                if (d <= limit && d < strlen(*names) && (!best || d < best_distance)) {
                        best = *names;
                        best_distance = d;
                }
        }
        return best;
}

/*
 * merge - settings laid over settings
 *
 * Called by preset.c: what an administrator wrote goes over what a preset says. Copies keep file and line of
 * their originals, so that a fault points at whoever wrote it. libconfig has no call to set them, but its
 * structure is public.
 *
 * Groups with names are recognised by their first member's list: every element must have a string `name`.
 * Which elements were gone over is kept in their hook, so that a name which an administrator wrote twice is
 * still there twice, and the check of names finds it. Test: tests/unit/test_config_merge.c.
 */
#include "config/merge.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* @text with every "${name}" replaced. NULL on ENOMEM. */
static char *expand(Loader *l, const config_setting_t *at, const char *text, const Where *where)
{
        char *out = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&out, &len);

        if (!f)
                return NULL;
        for (const char *p = text, *end; *p; p++) {
                const char *value;

                end = p[0] == '$' && p[1] == '{' ? strchr(p, '}') : NULL;
                if (!end) {
                        (void)fputc(*p, f);
                        continue;
                }
                value = where_get(where, p + 2, (size_t)(end - p - 2));
                if (value)
                        (void)fputs(value, f);
                else
                        loader_fault(l, at, "%.*s: is no name of `where`; write one that is",
                                     (int)(end + 1 - p), p);
                p = end;
        }
        if (fclose(f) != 0) {
                free(out);
                return NULL;
        }
        return out;
}

/* The value of a setting that has no members. Return: could it be set? */
static bool copy_scalar(Loader *l, config_setting_t *to, const config_setting_t *from, const Where *where)
{
        const char *text = config_setting_get_string(from);
        _cleanup_(freep) char *expanded = NULL;

        switch (config_setting_type(from)) {
        case CONFIG_TYPE_INT:
                return config_setting_set_int(to, config_setting_get_int(from));
        case CONFIG_TYPE_INT64:
                return config_setting_set_int64(to, config_setting_get_int64(from));
        case CONFIG_TYPE_FLOAT:
                return config_setting_set_float(to, config_setting_get_float(from));
        case CONFIG_TYPE_BOOL:
                return config_setting_set_bool(to, config_setting_get_bool(from));
        case CONFIG_TYPE_STRING:
                if (where)
                        text = expanded = expand(l, from, text, where);
                return text && config_setting_set_string(to, text);
        }
        return true; /* an aggregate */
}

/* Where a setting was written. Who shows it, points there. */
static void place_set(config_setting_t *to, const config_setting_t *from)
{
        to->line = setting_line(from);
        to->file = setting_file(from);
}

void merge_copy(Loader *l, config_setting_t *parent, const config_setting_t *from, const Where *where)
{
        config_setting_t *to =
                config_setting_add(parent, config_setting_name(from), config_setting_type(from));

        if (!to || !copy_scalar(l, to, from, where)) {
                loader_fail(l, -ENOMEM);
                return;
        }
        place_set(to, from);
        for (int i = 0; config_setting_is_aggregate(from) && i < config_setting_length(from); i++)
                merge_copy(l, to, config_setting_get_elem(from, (unsigned)i), where);
}

static const char *name_of(const config_setting_t *group)
{
        const config_setting_t *s =
                config_setting_is_group(group) ? config_setting_get_member(group, "name") : NULL;

        return s ? config_setting_get_string(s) : NULL;
}

/* Is it a list, not empty, of groups that each have a name? */
static bool is_named(const config_setting_t *s)
{
        int n = config_setting_is_list(s) ? config_setting_length(s) : 0;

        for (int i = 0; i < n; i++)
                if (!name_of(config_setting_get_elem(s, (unsigned)i)))
                        return false;
        return n > 0;
}

/* The element of @list with the name of @group that nothing was laid over yet. */
static config_setting_t *find_named(config_setting_t *list, const config_setting_t *group)
{
        for (int i = 0; i < config_setting_length(list); i++) {
                config_setting_t *e = config_setting_get_elem(list, (unsigned)i);

                if (!config_setting_get_hook(e) && strcmp(name_of(e), name_of(group)) == 0)
                        return e;
        }
        return NULL;
}

static void list_over(Loader *l, config_setting_t *base, const config_setting_t *over)
{
        for (int i = 0; i < config_setting_length(over); i++) {
                const config_setting_t *group = config_setting_get_elem(over, (unsigned)i);
                config_setting_t *same = find_named(base, group);

                if (same)
                        merge_over(l, same, group);
                else {
                        merge_copy(l, base, group, NULL);
                        same = config_setting_get_elem(base, (unsigned)config_setting_length(base) - 1);
                }
                config_setting_set_hook(same, same);
        }
}

void merge_over(Loader *l, config_setting_t *base, const config_setting_t *over)
{
        place_set(base, over);
        for (int i = 0; i < config_setting_length(over); i++) {
                const config_setting_t *s = config_setting_get_elem(over, (unsigned)i);
                config_setting_t *old = config_setting_get_member(base, config_setting_name(s));

                if (old && config_setting_is_group(old) && config_setting_is_group(s)) {
                        merge_over(l, old, s);
                        continue;
                }
                if (old && is_named(old) && is_named(s)) {
                        list_over(l, old, s);
                        continue;
                }
                if (old)
                        (void)config_setting_remove(base, config_setting_name(s));
                merge_copy(l, base, s, NULL);
        }
}

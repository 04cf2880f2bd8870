/*
 * schema - reads a group of the configuration by its table of keys
 *
 * Called by the readers of global, service, store and rule groups. One place finds unknown keys, wrong types
 * and values out of range, so that every key is checked the same way and a table is all a reader has to
 * write.
 *
 * A value with a fault leaves the target as it was (the default), so that later checks work on something
 * sensible; in lists a faulty element stays as an empty string, so that element i of the file is element i of
 * the vector.
 *
 * Texts of faults begin with the key and end with what to write instead. Nothing here looks at a disk.
 * Test: tests/unit/test_config_schema.c.
 */
#include "config/schema.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "config/path.h"
#include "model/pattern.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For faults: how a value of this key is written. */
static const char *const kind_example[_KEY_KIND_MAX] = {
        [KEY_BOOL] = "true or false",
        [KEY_COUNT] = "a whole number",
        [KEY_TIME] = "a time in quotes such as \"30s\", \"5min\" or \"500ms\"",
        [KEY_SIZE] = "a size in quotes such as \"64MiB\"",
        [KEY_STRING] = "a string in quotes",
        [KEY_NAME] = "a name in quotes",
        [KEY_PATH] = "an absolute path in quotes",
        [KEY_PATHS] = "a list of absolute paths such as [ \"/a\", \"/b\" ]",
        [KEY_STRINGS] = "a list of strings such as [ \"a\", \"b\" ]",
        [KEY_ARGV] = "a program and its arguments such as [ \"/usr/bin/x\", \"-y\" ]",
        [KEY_TEXT_PATTERN] = "a regular expression in quotes",
        [KEY_NAME_PATTERN] = "a regular expression in quotes",
        [KEY_WORD] = "a word in quotes",
        [KEY_CUSTOM] = "",
        [KEY_LATER] = "",
};

/* What was found, in the words of the manual page. */
static const char *type_name(const config_setting_t *s)
{
        switch (config_setting_type(s)) {
        case CONFIG_TYPE_GROUP:
                return "a group";
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                return "a number";
        case CONFIG_TYPE_FLOAT:
                return "a fraction";
        case CONFIG_TYPE_STRING:
                return "a string";
        case CONFIG_TYPE_BOOL:
                return "true or false";
        case CONFIG_TYPE_ARRAY:
        case CONFIG_TYPE_LIST:
                return "a list";
        }
        return "something else";
}

/* The key that a fault begins with. */
static const char *label(const config_setting_t *s)
{
        const config_setting_t *up = s;

        /* An element of a list has no name of its own. */
        while (!config_setting_name(up) && !config_setting_is_root(up))
                up = config_setting_parent(up);
        return config_setting_name(up) ? config_setting_name(up) : "file";
}

static void wrong_type(Loader *l, const config_setting_t *s, KeyKind wanted)
{
        loader_fault(l, s, "%s: is %s; write %s", label(s), type_name(s), kind_example[wanted]);
}

/* The text of a string that is not empty, or NULL after a fault. */
static const char *string_get(Loader *l, const config_setting_t *s, KeyKind wanted)
{
        const char *text = config_setting_get_string(s);

        if (!text)
                wrong_type(l, s, wanted);
        else if (text[0] == '\0') {
                loader_fault(l, s, "%s: is empty; write %s", label(s), kind_example[wanted]);
                return NULL;
        }
        return text;
}

/* Takes @value; NULL is want of memory. The default that it replaces is freed. */
static void string_set(Loader *l, char **target, char *value)
{
        if (!value) {
                loader_fail(l, -ENOMEM);
                return;
        }
        free(*target);
        *target = value;
}

/* Names become file names and parts of unit names. */
#define NAME_MAX_LEN 63

static void name_read(Loader *l, const config_setting_t *s, char **target)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        const char *text = string_get(l, s, KEY_NAME);

        if (!text)
                return;
        if (text[strspn(text, allowed)] != '\0' || text[0] == '.' || text[0] == '-')
                loader_fault(
                        l, s,
                        "%s: \"%s\" is no name; write letters, digits, '.', '_' and '-', a letter or digit "
                        "first",
                        label(s), text);
        else if (strlen(text) > NAME_MAX_LEN)
                loader_fault(l, s, "%s: is longer than %d characters; write a shorter name", label(s),
                             NAME_MAX_LEN);
        else
                string_set(l, target, strdup(text));
}

/* A new normalised path, or NULL after a fault. */
static char *path_get(Loader *l, const config_setting_t *s)
{
        const char *text = string_get(l, s, KEY_PATH);
        char *path = NULL;
        int r;

        if (!text)
                return NULL;
        r = path_normalise(text, &path);
        if (r == -EINVAL && text[0] != '/')
                loader_fault(l, s, "%s: \"%s\" is a relative path; write it from / on", label(s), text);
        else if (r == -EINVAL)
                loader_fault(l, s, "%s: \"%s\" has \"..\" in it; write the path without", label(s), text);
        else
                loader_fail(l, r);
        return path;
}

/* libconfig has two kinds of whole numbers; a negative one must not wrap around. */
static void integer_read(Loader *l, const config_setting_t *s, const Key *key, unsigned *target)
{
        int type = config_setting_type(s);
        long long v;

        if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
                wrong_type(l, s, KEY_COUNT);
                return;
        }
        v = type == CONFIG_TYPE_INT ? config_setting_get_int(s) : config_setting_get_int64(s);
        if (v < 0 || (uint64_t)v < key->min || (uint64_t)v > key->max)
                loader_fault(l, s, "%s: %lld is out of range; write a number from %" PRIu64 " to %" PRIu64,
                             key->name, v, key->min, key->max);
        else
                *target = (unsigned)v;
}

/* A bare number would leave the unit to guesses: it is refused as a wrong type. */
static void time_read(Loader *l, const config_setting_t *s, const Key *key, usec_t *target)
{
        const char *text = string_get(l, s, KEY_TIME);
        char min[64], max[64];
        usec_t t;

        if (!text)
                return;
        if (usec_parse(text, &t) < 0)
                loader_fault(
                        l, s,
                        "%s: \"%s\" is no time; write a number and a unit (us ms s min h d) such as \"30s\"",
                        key->name, text);
        else if (t < key->min || t > key->max)
                loader_fault(l, s, "%s: \"%s\" is out of range; write a time from \"%s\" to \"%s\"",
                             key->name, text, usec_format(min, sizeof(min), key->min),
                             usec_format(max, sizeof(max), key->max));
        else
                *target = t;
}

static void size_read(Loader *l, const config_setting_t *s, const Key *key, uint64_t *target)
{
        const char *text = string_get(l, s, KEY_SIZE);
        uint64_t size;

        if (!text)
                return;
        if (size_parse(text, &size) < 0)
                loader_fault(
                        l, s,
                        "%s: \"%s\" is no size; write a number and a unit (KiB MiB GiB) such as \"64MiB\"",
                        key->name, text);
        else if (size < key->min || size > key->max)
                loader_fault(l, s,
                             "%s: \"%s\" is out of range; write a size from \"%" PRIu64 "KiB\" to \"%" PRIu64
                             "GiB\"",
                             key->name, text, key->min >> 10, key->max >> 30);
        else
                *target = size;
}

/* A word that is none of @key's: which was meant? */
static void unknown_word(Loader *l, const config_setting_t *s, const Key *key, const char *text)
{
        _cleanup_(strv_freep) char **words = NULL;
        _cleanup_(freep) char *all = NULL;
        const char *near, *word;

        for (int v = 0; (word = key->words(v)); v++)
                loader_fail(l, strv_append(&words, word));
        near = words ? word_near(text, (const char *const *)words) : NULL;
        all = words ? strv_join(words, ", ") : NULL;
        if (near)
                loader_fault(l, s, "%s: \"%s\" is unknown; write \"%s\"", key->name, text, near);
        else
                loader_fault(l, s, "%s: \"%s\" is unknown; write one of: %s", key->name, text,
                             all ? all : "");
}

static void word_read(Loader *l, const config_setting_t *s, const Key *key, int *target)
{
        const char *text = string_get(l, s, KEY_WORD);
        const char *word;

        if (!text)
                return;
        for (int v = 0; (word = key->words(v)); v++)
                if (strcmp(word, text) == 0) {
                        *target = v;
                        return;
                }
        unknown_word(l, s, key, text);
}

/* Every element of a list as a string; with @paths, as a path. NULL after a fault of the list itself. */
static char **vector_get(Loader *l, const config_setting_t *s, KeyKind kind)
{
        _cleanup_(strv_freep) char **v = NULL;

        if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
                wrong_type(l, s, kind);
                return NULL;
        }
        if (config_setting_length(s) == 0) {
                /* An empty list is a way to say none, but not for a program. */
                if (kind == KEY_ARGV)
                        loader_fault(l, s, "%s: is empty; write %s", label(s), kind_example[kind]);
                return NULL;
        }
        for (int i = 0; i < config_setting_length(s); i++) {
                const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
                _cleanup_(freep) char *path = NULL;
                const char *text;

                if (kind == KEY_PATHS)
                        text = path = path_get(l, e);
                else if (kind == KEY_ARGV && i > 0 && config_setting_type(e) == CONFIG_TYPE_STRING)
                        text = config_setting_get_string(e); /* an argument may be empty */
                else
                        text = string_get(l, e, KEY_STRING);
                loader_fail(l, strv_append(&v, text ? text : ""));
        }
        return TAKE_PTR(v);
}

/* A program is a path from / on, or a bare name; "./x" would depend on where the daemon was started. */
static void vector_read(Loader *l, const config_setting_t *s, const Key *key, char ***target)
{
        char **v = vector_get(l, s, key->kind);

        if (v && key->kind == KEY_ARGV && v[0][0] != '/' && strchr(v[0], '/'))
                loader_fault(
                        l, s,
                        "%s: \"%s\" is a relative path; write it from / on, or a name that is in the usual "
                        "directories",
                        key->name, v[0]);
        strv_free(*target);
        *target = v;
}

char **words_read(Loader *l, const config_setting_t *s)
{
        char **v = NULL;
        const char *text;

        if (config_setting_type(s) != CONFIG_TYPE_STRING)
                return vector_get(l, s, KEY_STRINGS);
        text = string_get(l, s, KEY_STRING);
        if (text)
                loader_fail(l, strv_append(&v, text));
        return v;
}

/* Compiled to see that it can be; whoever matches compiles it again. */
static void pattern_read(Loader *l, const config_setting_t *s, const Key *key, char **target)
{
        PatternKind kind = key->kind == KEY_NAME_PATTERN ? PATTERN_NAME : PATTERN_TEXT;
        const char *text = string_get(l, s, key->kind);
        _cleanup_(pattern_freep) Pattern *pattern = NULL;
        _cleanup_(freep) char *error = NULL;
        int r;

        if (!text)
                return;
        r = pattern_new(&pattern, text, kind, &error);
        if (r == -EINVAL)
                loader_fault(l, s,
                             "%s: \"%s\" is no regular expression (%s); write it as pcre2pattern(3) says",
                             key->name, text, error ? error : "it cannot be read");
        else if (r < 0)
                loader_fail(l, r);
        else
                string_set(l, target, strdup(text));
}

static void bool_read(Loader *l, const config_setting_t *s, bool *target)
{
        if (config_setting_type(s) == CONFIG_TYPE_BOOL)
                *target = config_setting_get_bool(s);
        else
                wrong_type(l, s, KEY_BOOL);
}

static void string_read(Loader *l, const config_setting_t *s, char **target)
{
        const char *text = string_get(l, s, KEY_STRING);

        if (text)
                string_set(l, target, strdup(text));
}

static void path_read(Loader *l, const config_setting_t *s, char **target)
{
        char *path = path_get(l, s);

        if (path)
                string_set(l, target, path);
}

/* One value by its kind. The offset is that of a member with the type which the kind names. */
static void key_read(Loader *l, const config_setting_t *s, const Key *key, void *target)
{
        void *p = (char *)target + key->offset;

        switch (key->kind) {
        case KEY_BOOL:
                bool_read(l, s, p);
                break;
        case KEY_COUNT:
                integer_read(l, s, key, p);
                break;
        case KEY_TIME:
                time_read(l, s, key, p);
                break;
        case KEY_SIZE:
                size_read(l, s, key, p);
                break;
        case KEY_STRING:
                string_read(l, s, p);
                break;
        case KEY_NAME:
                name_read(l, s, p);
                break;
        case KEY_PATH:
                path_read(l, s, p);
                break;
        case KEY_PATHS:
        case KEY_STRINGS:
        case KEY_ARGV:
                vector_read(l, s, key, p);
                break;
        case KEY_TEXT_PATTERN:
        case KEY_NAME_PATTERN:
                pattern_read(l, s, key, p);
                break;
        case KEY_WORD:
                word_read(l, s, key, p);
                break;
        case KEY_CUSTOM:
                key->read(l, s, target);
                break;
        case KEY_LATER:
                loader_fault(l, s, "%s: not supported yet; remove it", key->name);
                break;
        case _KEY_KIND_MAX:
        case _KEY_KIND_INVALID:
                loader_fail(l, -ENOTRECOVERABLE);
                break;
        }
}

/* Keys of later issues are no suggestion. */
static void unknown_key(Loader *l, const config_setting_t *s, const Key *keys)
{
        const char *name = config_setting_name(s);
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_(freep) char *all = NULL;
        const char *near;

        for (const Key *k = keys; k->name; k++)
                if (k->kind != KEY_LATER)
                        loader_fail(l, strv_append(&names, k->name));
        near = names ? word_near(name, (const char *const *)names) : NULL;
        all = names ? strv_join(names, ", ") : NULL;
        if (near)
                loader_fault(l, s, "%s: unknown key; write %s", name, near);
        else
                loader_fault(l, s, "%s: unknown key; write one of: %s", name, all ? all : "");
}

void keys_read(Loader *l, const config_setting_t *group, const Key *keys, void *target)
{
        if (!config_setting_is_group(group)) {
                loader_fault(l, group, "%s: is %s; write a group such as { %s = ...; }", label(group),
                             type_name(group), keys[0].name);
                return;
        }
        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
                const Key *k = keys;

                while (k->name && strcmp(k->name, config_setting_name(s)) != 0)
                        k++;
                if (k->name)
                        key_read(l, s, k, target);
                else
                        unknown_key(l, s, keys);
        }
}

void *groups_read(Loader *l, const config_setting_t *s, size_t size, size_t *ret_n,
                  void (*item)(Loader *l, const config_setting_t *group, void *item))
{
        char *items;
        int n;

        *ret_n = 0;
        if (!config_setting_is_list(s)) {
                loader_fault(l, s, "%s: is %s; write a list of groups: ( { ... }, { ... } )", label(s),
                             type_name(s));
                return NULL;
        }
        n = config_setting_length(s);
        if (n == 0)
                return NULL;
        items = calloc((size_t)n, size);
        if (!items) {
                loader_fail(l, -ENOMEM);
                return NULL;
        }
        for (int i = 0; i < n; i++)
                item(l, config_setting_get_elem(s, (unsigned)i), items + (size_t)i * size);
        *ret_n = (size_t)n;
        return items;
}

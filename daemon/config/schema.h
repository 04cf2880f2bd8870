#pragma once

/*
 * Tables of keys: each group of the configuration is a table, and one reader checks them all. For this
 * directory only.
 *
 * A fault never stops the reading. Running out of memory is kept in Loader.error and looked at once, at the
 * end; until then readers go on with what they have.
 */

#include "config/config.h"

#include <libconfig.h>

typedef struct Loader {
        unsigned flags;
        const ConfigChecks *checks; /* never NULL here; its members may be */
        ConfigFaults *faults;
        int error; /* 0 or the first negated errno */
        Settings *settings;
        const config_setting_t **services; /* the group of settings->services[i] */
        const config_setting_t **roots;    /* of each file, the main one first */
        size_t n_roots;
        struct Presets *presets; /* NULL until one is named */
} Loader;

typedef enum KeyKind {
        KEY_BOOL,         /* bool */
        KEY_COUNT,        /* unsigned, from min to max */
        KEY_TIME,         /* usec_t, from min to max */
        KEY_SIZE,         /* uint64_t, from min to max */
        KEY_STRING,       /* char *, not empty */
        KEY_NAME,         /* char *, fit to be a file name */
        KEY_PATH,         /* char *, absolute, normalised */
        KEY_PATHS,        /* char **, each likewise */
        KEY_STRINGS,      /* char **, none empty */
        KEY_ARGV,         /* char **, a program and its arguments */
        KEY_TEXT_PATTERN, /* char *, PCRE2 on text from a log or a program */
        KEY_NAME_PATTERN, /* char *, PCRE2 on a path */
        KEY_WORD,         /* an enum with a string table */
        KEY_CUSTOM,       /* read() does it */
        KEY_LATER,        /* known, but refused: not supported yet */
        _KEY_KIND_MAX,
        _KEY_KIND_INVALID = -EINVAL,
} KeyKind;

/* A value of an enum -> its string; NULL past the last. */
typedef const char *(*Words)(int value);

typedef struct Key {
        const char *name; /* NULL ends a table */
        KeyKind kind;
        size_t offset; /* in the target of keys_read() */
        uint64_t min, max;
        Words words;
        void (*read)(Loader *l, const config_setting_t *s, void *target); /* is given the whole target */
} Key;

/* Rows of a table. RANGE is for KEY_COUNT, KEY_TIME and KEY_SIZE. */
#define PLAIN(name_, kind_, Type, member)                                                                    \
        {                                                                                                    \
                .name = (name_), .kind = (kind_), .offset = offsetof(Type, member)                           \
        }
#define RANGE(name_, kind_, Type, member, min_, max_)                                                        \
        {                                                                                                    \
                .name = (name_), .kind = (kind_), .offset = offsetof(Type, member), .min = (min_),           \
                .max = (max_)                                                                                \
        }
#define WORD(name_, Type, member, words_)                                                                    \
        {                                                                                                    \
                .name = (name_), .kind = KEY_WORD, .offset = offsetof(Type, member), .words = (words_)       \
        }
#define CUSTOM(name_, read_)                                                                                 \
        {                                                                                                    \
                .name = (name_), .kind = KEY_CUSTOM, .read = (read_)                                         \
        }
#define LATER(name_)                                                                                         \
        {                                                                                                    \
                .name = (name_), .kind = KEY_LATER                                                           \
        }

/* Makes a Words of a string table. */
#define DEFINE_WORDS(table, Type)                                                                            \
        static const char *table##_words(int value)                                                          \
        {                                                                                                    \
                return table##_to_string((Type)value);                                                       \
        }

/* Reads every member of @group as @keys say into @target, which holds the defaults. */
void keys_read(Loader *l, const config_setting_t *group, const Key *keys, void *target);
/*
 * A list of groups: allocates zeroed items of @size, and has @item read each. *@ret_n is the length of the
 * list in the file, so that item i is element i. NULL with 0 for an empty list or a fault. @name is for the
 * advice: "{ name = ...; }".
 */
void *groups_read(Loader *l, const config_setting_t *s, size_t size, size_t *ret_n,
                  void (*item)(Loader *l, const config_setting_t *group, void *item));
/* A string, or a list of strings, not empty. NULL after a fault. */
char **words_read(Loader *l, const config_setting_t *s);

/* Notes a fault at @at: "what; what to write instead". */
void loader_fault(Loader *l, const config_setting_t *at, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* If @r is a negated errno, keeps it. */
void loader_fail(Loader *l, int r);
/* The member @key of @group must be there. Return: is it? @advice is what to write. */
bool loader_require(Loader *l, const config_setting_t *group, const char *key, const char *advice);
/* The member @key makes no sense in @group because of @why. */
void loader_forbid(Loader *l, const config_setting_t *group, const char *key, const char *why);
/* Member @key of @group, else @group itself: where to point at. */
const config_setting_t *setting_member(const config_setting_t *group, const char *key);
/* Element @i of list member @key of @group, or what there is of that. */
const config_setting_t *setting_element(const config_setting_t *group, const char *key, size_t i);
/* The file that @s was read from. */
const char *setting_file(const config_setting_t *s);
unsigned setting_line(const config_setting_t *s);
/* The likeliest of @names (NULL-terminated vector) that was meant by @word, or NULL if none is near. */
const char *word_near(const char *word, const char *const *names);

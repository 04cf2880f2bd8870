#pragma once

/*
 * A temporary tree with spools, and configurations made of the templates in tests/fixtures/config: @ROOT@ is
 * the tree,
 * @FILE@ the configuration itself. A "#! TEXT" in a template is a fault that its line must give.
 */

#include "base/cleanup.h"
#include "config/config.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURES TEST_SOURCE_DIR "/fixtures/config/"

typedef struct Tree {
        char *root;
        char *file; /* the configuration that was written last */
} Tree;

static inline char *tree_path(const Tree *t, const char *below)
{
        char *p;

        assert_true(asprintf(&p, "%s/%s", t->root, below) > 0);
        return p;
}

static inline void tree_mkdir(const Tree *t, const char *below)
{
        _cleanup_(freep) char *p = tree_path(t, below);

        assert_int_equal(mkdir(p, 0755), 0);
}

static inline void tree_write(Tree *t, const char *below, const char *text)
{
        char *p = tree_path(t, below);
        FILE *f = fopen(p, "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
        free(t->file);
        t->file = p;
}

static inline int tree_setup(void **state)
{
        static const char *const dirs[] = { "spool",   "spool/a", "spool/b", "spool/b/sub",
                                            "spool/c", "spool/d", "imc",     "imc/In",
                                            "imc/Out", "imc/mta", "conf.d" };
        char name[] = "/tmp/unjam-config-XXXXXX";
        Tree *t = calloc(1, sizeof(*t));
        _cleanup_(freep) char *target = NULL, *link = NULL;

        assert_non_null(t);
        assert_non_null(mkdtemp(name));
        t->root = realpath(name, NULL);
        assert_non_null(t->root);
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++)
                tree_mkdir(t, dirs[i]);
        target = tree_path(t, "spool/c");
        link = tree_path(t, "spool/link");
        assert_int_equal(symlink(target, link), 0);
        tree_write(t, "spool/queue.dat", "");
        *state = t;
        return 0;
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static inline int tree_teardown(void **state)
{
        Tree *t = *state;

        assert_int_equal(nftw(t->root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(t->root);
        free(t->file);
        free(t);
        return 0;
}

static inline char *file_slurp(const char *path)
{
        FILE *f = fopen(path, "re");
        char *text = NULL;
        size_t allocated = 0;

        if (!f)
                fail_msg("%s: %s", path, strerror(errno));
        if (getdelim(&text, &allocated, '\0', f) < 0)
                fail_msg("%s: is empty", path);
        fclose(f);
        return text;
}

static inline char *replace_all(const char *text, const char *what, const char *with)
{
        char *out = calloc(1, strlen(text) * 64 + 1);
        char *o = out;

        assert_non_null(out);
        while (*text)
                if (strncmp(text, what, strlen(what)) == 0) {
                        o = stpcpy(o, with);
                        text += strlen(what);
                } else
                        *o++ = *text++;
        return out;
}

/* Writes fixture @name as the file @as below the root, and makes it the tree's configuration. */
static inline void tree_configure(Tree *t, const char *name, const char *as)
{
        _cleanup_(freep) char *fixture = NULL, *text = NULL, *rooted = NULL, *whole = NULL,
                              *path = tree_path(t, as);

        assert_true(asprintf(&fixture, FIXTURES "%s", name) > 0);
        text = file_slurp(fixture);
        rooted = replace_all(text, "@ROOT@", t->root);
        whole = replace_all(rooted, "@FILE@", path);
        tree_write(t, as, whole);
}

static inline void faults_print(const ConfigFaults *f)
{
        for (size_t i = 0; i < f->n; i++) {
                _cleanup_(freep) char *text = config_fault_format(&f->list[i]);

                print_message("%s\n", text);
        }
}

/* Loads the tree's configuration, which must have no fault. */
static inline Settings *tree_load(Tree *t, unsigned flags, const ConfigChecks *checks)
{
        ConfigFaults faults = {};
        Settings *s = NULL;
        int r;

        r = config_load(t->file, flags, checks, &s, &faults);
        faults_print(&faults);
        assert_int_equal(r, 0);
        assert_int_equal(faults.n, 0);
        assert_non_null(s);
        config_faults_deinit(&faults);
        return s;
}

/* Loads it, and it must have exactly this one fault (a part of its text). */
static inline void tree_fault(Tree *t, unsigned flags, const ConfigChecks *checks, unsigned line,
                              const char *part)
{
        ConfigFaults faults = {};
        Settings *s = (Settings *)-1;

        assert_int_equal(config_load(t->file, flags, checks, &s, &faults), CONFIG_E_FAULTS);
        faults_print(&faults);
        assert_int_equal(faults.n, 1);
        assert_int_equal(faults.list[0].line, line);
        assert_non_null(strstr(faults.list[0].what, part));
        assert_ptr_equal(s, (Settings *)-1);
        config_faults_deinit(&faults);
}

/* The faults of fixture @name are those that it announces: line by line, in order, and no others. */
static inline void tree_expect(Tree *t, const char *name)
{
        _cleanup_(freep) char *text = NULL;
        ConfigFaults faults = {};
        Settings *s = NULL;
        unsigned line = 1;
        size_t n = 0;

        tree_configure(t, name, "unjamd.conf");
        text = file_slurp(t->file);
        assert_int_equal(config_load(t->file, 0, NULL, &s, &faults), CONFIG_E_FAULTS);
        for (char *p = text, *next; p && *p; p = next, line++) {
                next = strchr(p, '\n');
                if (next)
                        *next++ = '\0';
                for (char *want = strstr(p, "#! "), *more; want && line > 0 && p[0] != '#'; want = more) {
                        want += 3;
                        more = strstr(want, " #! ");
                        if (more)
                                *more++ = '\0';
                        if (n >= faults.n || faults.list[n].line != line ||
                            !strstr(faults.list[n].what, want)) {
                                faults_print(&faults);
                                fail_msg("%s:%u: not found at its place: %s", name, line, want);
                        }
                        assert_string_equal(faults.list[n].file, t->file);
                        /* Every fault says what to write instead. */
                        assert_non_null(strstr(faults.list[n].what, "; "));
                        n++;
                }
        }
        if (n != faults.n)
                faults_print(&faults);
        assert_int_equal(n, faults.n);
        assert_null(s);
        config_faults_deinit(&faults);
}

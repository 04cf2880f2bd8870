/*
 * faults - the list of what is wrong with a configuration
 *
 * Filled by every reader and check of this directory, printed by `unjamd --check-config` and at a refused
 * reload. What a file says may hold any bytes: each text is made valid UTF-8 and one line here, so that
 * nobody who prints it has to care. If memory runs out, the fault is lost but the loader keeps the error, and
 * the load fails as a whole.
 * Test: tests/unit/test_config_faults.c.
 */
#include "config/faults.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody reads more than this of a value that is wrong. */
#define FAULT_TEXT_MAX 2048

void config_faults_deinit(ConfigFaults *f)
{
        for (size_t i = 0; i < f->n; i++) {
                free(f->list[i].file);
                free(f->list[i].what);
        }
        free(f->list);
        *f = (ConfigFaults){};
}

char *config_fault_format(const ConfigFault *f)
{
        char *text;

        if (asprintf(&text, "%s:%u: %s", f->file, f->line, f->what) < 0)
                return NULL;
        return text;
}

/* A control character would let a file name forge a second fault, or drive a terminal. */
static void blank_controls(char *text)
{
        for (char *p = text; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        *p = '?';
}

/* Both texts are copied first, so that the list changes only when nothing can fail any more. */
int config_faults_add(ConfigFaults *f, const char *file, unsigned line, const char *what)
{
        _cleanup_(freep) char *file_copy = text_to_utf8(file, strlen(file), FAULT_TEXT_MAX);
        _cleanup_(freep) char *what_copy = text_to_utf8(what, strlen(what), FAULT_TEXT_MAX);
        ConfigFault *list;

        if (!file_copy || !what_copy)
                return err_origin(-ENOMEM);
        blank_controls(file_copy);
        blank_controls(what_copy);

        /* Grows in powers of two: allocated exactly when n is one. */
        if ((f->n & (f->n - 1)) == 0) {
                list = reallocarray(f->list, f->n ? f->n * 2 : 1, sizeof(*list));
                if (!list)
                        return err_origin(-ENOMEM);
                f->list = list;
        }
        f->list[f->n++] = (ConfigFault){
                .file = TAKE_PTR(file_copy),
                .line = line,
                .what = TAKE_PTR(what_copy),
        };
        return 0;
}

/* Files count in the order in which their first fault was found: that is the order in which they
 * were read. */
static size_t file_rank(const ConfigFaults *f, const char *file)
{
        size_t i = 0;

        while (i < f->n && strcmp(f->list[i].file, file) != 0)
                i++;
        return i;
}

/* A fault with what it is sorted by; @index keeps the order of those at one place. */
typedef struct Place {
        ConfigFault fault;
        size_t rank, index;
} Place;

static int place_compare(const void *a, const void *b)
{
        const Place *x = a, *y = b;

        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        if (x->fault.line != y->fault.line)
                return x->fault.line < y->fault.line ? -1 : 1;
        return x->index < y->index ? -1 : x->index > y->index;
}

int config_faults_sort(ConfigFaults *f)
{
        _cleanup_(freep) Place *places = NULL;

        if (f->n < 2)
                return 0;
        places = calloc(f->n, sizeof(*places));
        if (!places)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < f->n; i++)
                places[i] = (Place){ f->list[i], file_rank(f, f->list[i].file), i };
        qsort(places, f->n, sizeof(*places), place_compare);
        for (size_t i = 0; i < f->n; i++)
                f->list[i] = places[i].fault;
        return 0;
}

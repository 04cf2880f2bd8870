/*
 * pattern - PCRE2 behind limits
 *
 * The only place that calls PCRE2; layouts, event rules and cause checks match through it. What is matched is
 * hostile, so each match has a limit on its steps, depth and memory; hitting one is told apart from no match,
 * for callers that count it. There is no JIT: the daemon's sandbox denies memory that is both writable and
 * executable.
 *
 * A Pattern is immutable but for one spare match block, which is handed over atomically: threads that match
 * at the same time make one of their own. Fails with ENOMEM, or EINVAL for a pattern that does not compile.
 * Test: tests/unit/test_pattern.c.
 */
#include "model/pattern.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* An honest pattern takes a few steps for each byte; these end a dishonest one after some milliseconds. */
#define LIMIT_STEPS    200000
#define LIMIT_DEPTH    10000
#define LIMIT_HEAP_KIB 4096

struct Pattern {
        pcre2_code *code;
        pcre2_match_context *context;
        /* One match block to use again; whoever needs it takes it away. */
        _Atomic(pcre2_match_data *) spare;
};

static uint32_t kind_options(PatternKind kind)
{
        uint32_t options = PCRE2_NO_AUTO_CAPTURE | PCRE2_DUPNAMES | PCRE2_NEVER_BACKSLASH_C;

        switch (kind) {
        case PATTERN_NAME:
                return options | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF;
        case PATTERN_TEXT:
                return options | PCRE2_MATCH_INVALID_UTF;
        }
        return options;
}

static int code_new(pcre2_code **ret, const char *text, PatternKind kind, char **ret_error)
{
        PCRE2_UCHAR reason[256];
        PCRE2_SIZE offset;
        pcre2_code *code;
        int error;

        code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, kind_options(kind), &error, &offset,
                             NULL);
        if (code) {
                *ret = code;
                return 0;
        }
        if (error == PCRE2_ERROR_HEAP_FAILED)
                return err_origin(-ENOMEM);
        if (pcre2_get_error_message(error, reason, sizeof(reason)) < 0)
                snprintf((char *)reason, sizeof(reason), "error %d", error);
        if (ret_error && asprintf(ret_error, "%s at character %zu", (char *)reason, offset + 1) < 0) {
                *ret_error = NULL;
                return err_origin(-ENOMEM);
        }
        return err_origin(-EINVAL);
}

int pattern_new(Pattern **ret, const char *text, PatternKind kind, char **ret_error)
{
        _cleanup_(pattern_freep) Pattern *p = NULL;
        int r;

        if (ret_error)
                *ret_error = NULL;
        p = calloc(1, sizeof(*p));
        if (!p)
                return err_origin(-ENOMEM);
        p->context = pcre2_match_context_create(NULL);
        if (!p->context)
                return err_origin(-ENOMEM);
        pcre2_set_match_limit(p->context, LIMIT_STEPS);
        pcre2_set_depth_limit(p->context, LIMIT_DEPTH);
        pcre2_set_heap_limit(p->context, LIMIT_HEAP_KIB);
        r = code_new(&p->code, text, kind, ret_error);
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(p);
        return 0;
}

Pattern *pattern_free(Pattern *p)
{
        if (!p)
                return NULL;
        pcre2_match_data_free(atomic_load(&p->spare));
        pcre2_match_context_free(p->context);
        pcre2_code_free(p->code);
        free(p);
        return NULL;
}

/*
 * The next group that is called @name, from entry *@i of the pattern's name table on; 0 if there is none. An
 * entry is the group's number in two bytes, big end first, then the name with its NUL. Equal names stand by
 * rising number.
 */
static uint32_t group_next(const Pattern *p, const char *name, uint32_t *i)
{
        uint32_t count = 0, size = 0;
        PCRE2_SPTR table = NULL;

        pcre2_pattern_info(p->code, PCRE2_INFO_NAMECOUNT, &count);
        pcre2_pattern_info(p->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
        pcre2_pattern_info(p->code, PCRE2_INFO_NAMETABLE, &table);
        while (*i < count) {
                PCRE2_SPTR entry = table + (size_t)(*i)++ * size;

                if (strcmp((const char *)entry + 2, name) == 0)
                        return (uint32_t)entry[0] << 8 | entry[1];
        }
        return 0;
}

size_t pattern_count_groups(const Pattern *p, const char *group)
{
        uint32_t i = 0;
        size_t n = 0;

        while (group_next(p, group, &i) != 0)
                n++;
        return n;
}

static pcre2_match_data *block_take(const Pattern *p)
{
        pcre2_match_data *block = atomic_exchange(&((Pattern *)p)->spare, NULL);

        return block ? block : pcre2_match_data_create_from_pattern(p->code, NULL);
}

static void block_give(const Pattern *p, pcre2_match_data *block)
{
        pcre2_match_data_free(atomic_exchange(&((Pattern *)p)->spare, block));
}

static int block_match(const Pattern *p, pcre2_match_data *block, const void *data, size_t len)
{
        int r;

        r = pcre2_match(p->code, len > 0 ? data : (PCRE2_SPTR) "", len, 0, 0, block, p->context);
        if (r >= 0)
                return 0;
        switch (r) {
        case PCRE2_ERROR_NOMATCH:
                return PATTERN_E_NONE;
        case PCRE2_ERROR_MATCHLIMIT:
        case PCRE2_ERROR_DEPTHLIMIT:
        case PCRE2_ERROR_HEAPLIMIT:
        case PCRE2_ERROR_RECURSELOOP:
                return PATTERN_E_LIMIT;
        case PCRE2_ERROR_NOMEMORY:
                return err_origin(-ENOMEM);
        }
        return err_origin(-EINVAL);
}

static int block_group(const Pattern *p, pcre2_match_data *block, const char *group, PatternSpan *ret)
{
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(block);
        uint32_t i = 0, g;

        while ((g = group_next(p, group, &i)) != 0) {
                if (v[2 * g] == PCRE2_UNSET || v[2 * g + 1] <= v[2 * g])
                        continue;
                *ret = (PatternSpan){ .start = v[2 * g], .len = v[2 * g + 1] - v[2 * g] };
                return 0;
        }
        return PATTERN_E_NONE;
}

int pattern_match(const Pattern *p, const void *data, size_t len)
{
        pcre2_match_data *block = block_take(p);
        int r;

        if (!block)
                return err_origin(-ENOMEM);
        r = block_match(p, block, data, len);
        block_give(p, block);
        return r;
}

int pattern_match_group(const Pattern *p, const void *data, size_t len, const char *group, PatternSpan *ret)
{
        pcre2_match_data *block = block_take(p);
        int r;

        if (!block)
                return err_origin(-ENOMEM);
        r = block_match(p, block, data, len);
        if (r == 0)
                r = block_group(p, block, group, ret);
        block_give(p, block);
        return r;
}

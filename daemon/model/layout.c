/*
 * layout - which message a file belongs to
 *
 * A store's layout is compiled once and asked for each file of each inventory, by the loop and by the workers
 * at the same time: a Layout is immutable but for one spare match block, which is handed over atomically.
 *
 * File names are hostile: they are bytes (never UTF-8 to PCRE2), may hold newlines ("." matches them, "$"
 * only the very end), and may be made to send a pattern into exponential search. So each match has a limit on
 * its steps, depth and memory, and a name that exceeds one belongs to no message: it is left alone. There is
 * no JIT: the daemon's sandbox denies writable and executable memory.
 *
 * Forms: "flat" takes the whole name. A pattern's group "id" names the id; alternatives may name it more than
 * once. For messages that are directories the pattern is tried on "a", "a/b", "a/b/c" in turn, so that one
 * which ends in "$" covers everything below what it matches; without a pattern the first component is the id.
 * Test: tests/unit/test_layout.c.
 */
#include "model/layout.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fnmatch.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A path has at most 4095 bytes; an honest pattern takes a few steps for each. */
#define LIMIT_STEPS    100000
#define LIMIT_DEPTH    10000
#define LIMIT_HEAP_KIB 4096
/* Message directories lie at most this deep below a store's directory; it bounds the tries per path. */
#define LIMIT_COMPONENTS 16

struct Layout {
        bool flat, directory;
        pcre2_code *match;
        pcre2_code *last;
        pcre2_match_context *context;
        /* Group numbers that bear the name "id", in the pattern's order. */
        uint32_t *groups;
        size_t n_groups;
        /* One match block to use again; whoever needs it takes it away. */
        _Atomic(pcre2_match_data *) spare;
};

static int pattern_compile(pcre2_code **ret, const char *pattern, const char *key, char **ret_error)
{
        PCRE2_UCHAR reason[256];
        PCRE2_SIZE offset;
        int code;

        *ret = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                             PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_DUPNAMES | PCRE2_NO_AUTO_CAPTURE |
                                     PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C,
                             &code, &offset, NULL);
        if (*ret)
                return 0;
        if (code == PCRE2_ERROR_HEAP_FAILED)
                return err_origin(-ENOMEM);
        if (pcre2_get_error_message(code, reason, sizeof(reason)) < 0)
                snprintf((char *)reason, sizeof(reason), "error %d", code);
        if (ret_error &&
            asprintf(ret_error, "%s: %s at character %zu", key, (char *)reason, offset + 1) < 0) {
                *ret_error = NULL;
                return err_origin(-ENOMEM);
        }
        return err_origin(-EINVAL);
}

/* Collects the groups that are called "id". */
static int groups_find(Layout *l, char **ret_error)
{
        uint32_t count = 0, size = 0;
        PCRE2_SPTR table = NULL;

        pcre2_pattern_info(l->match, PCRE2_INFO_NAMECOUNT, &count);
        pcre2_pattern_info(l->match, PCRE2_INFO_NAMEENTRYSIZE, &size);
        pcre2_pattern_info(l->match, PCRE2_INFO_NAMETABLE, &table);
        l->groups = calloc(count > 0 ? count : 1, sizeof(l->groups[0]));
        if (!l->groups)
                return err_origin(-ENOMEM);
        /* An entry: the group's number in two bytes, big end first, then the name with its NUL. */
        for (uint32_t i = 0; i < count; i++) {
                PCRE2_SPTR entry = table + (size_t)i * size;

                if (strcmp((const char *)entry + 2, "id") == 0)
                        l->groups[l->n_groups++] = (uint32_t)entry[0] << 8 | entry[1];
        }
        if (l->n_groups > 0)
                return 0;
        if (ret_error) {
                *ret_error =
                        strdup("match: no group is named \"id\"; write (?<id>...) around the part that a "
                               "message's files share");
                if (!*ret_error)
                        return err_origin(-ENOMEM);
        }
        return err_origin(-EINVAL);
}

int layout_new(Layout **ret, const LayoutSettings *settings, char **ret_error)
{
        _cleanup_(layout_freep) Layout *l = NULL;
        int r;

        if (ret_error)
                *ret_error = NULL;
        if (!settings->flat && !settings->match && !settings->directory) {
                if (ret_error)
                        *ret_error =
                                strdup("neither \"flat\" nor a pattern; write layout = \"flat\" or a match");
                return err_origin(-EINVAL);
        }
        l = calloc(1, sizeof(*l));
        if (!l)
                return err_origin(-ENOMEM);
        l->flat = settings->flat;
        l->directory = settings->directory;
        l->context = pcre2_match_context_create(NULL);
        if (!l->context)
                return err_origin(-ENOMEM);
        pcre2_set_match_limit(l->context, LIMIT_STEPS);
        pcre2_set_depth_limit(l->context, LIMIT_DEPTH);
        pcre2_set_heap_limit(l->context, LIMIT_HEAP_KIB);
        if (settings->match && !settings->flat) {
                r = pattern_compile(&l->match, settings->match, "match", ret_error);
                if (r < 0)
                        return err_trace(r);
                r = groups_find(l, ret_error);
                if (r < 0)
                        return err_trace(r);
        }
        if (settings->last) {
                r = pattern_compile(&l->last, settings->last, "last", ret_error);
                if (r < 0)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(l);
        return 0;
}

Layout *layout_free(Layout *l)
{
        if (!l)
                return NULL;
        pcre2_match_data_free(atomic_load(&l->spare));
        pcre2_match_context_free(l->context);
        pcre2_code_free(l->match);
        pcre2_code_free(l->last);
        free(l->groups);
        free(l);
        return NULL;
}

/* The spare block, or a new one that is large enough for either pattern. NULL on ENOMEM. */
static pcre2_match_data *block_take(const Layout *l)
{
        pcre2_match_data *block = atomic_exchange(&((Layout *)l)->spare, NULL);
        uint32_t pairs = 0;

        if (block)
                return block;
        if (l->match)
                pcre2_pattern_info(l->match, PCRE2_INFO_CAPTURECOUNT, &pairs);
        return pcre2_match_data_create(pairs + 1, NULL);
}

static void block_give(const Layout *l, pcre2_match_data *block)
{
        pcre2_match_data_free(atomic_exchange(&((Layout *)l)->spare, block));
}

/* Return: 1 matched, 0 not (or it would take too long), -ENOMEM, -EINVAL. */
static int pattern_match(const Layout *l, const pcre2_code *code, pcre2_match_data *block, const char *path,
                         size_t len)
{
        int r;

        r = pcre2_match(code, (PCRE2_SPTR)path, len, 0, 0, block, l->context);
        if (r >= 0)
                return 1;
        if (r == PCRE2_ERROR_NOMATCH || r == PCRE2_ERROR_MATCHLIMIT || r == PCRE2_ERROR_DEPTHLIMIT ||
            r == PCRE2_ERROR_HEAPLIMIT)
                return 0;
        return err_origin(r == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -EINVAL);
}

/* The id of the match in @block, in the first group that took part. */
static int block_id(const Layout *l, pcre2_match_data *block, const char *path, const char **ret_id,
                    size_t *ret_id_len)
{
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(block);
        uint32_t n = pcre2_get_ovector_count(block);

        for (size_t i = 0; i < l->n_groups; i++) {
                uint32_t g = l->groups[i];

                /* \K in a look-around can turn a pair round; such a pair is no id. */
                if (g >= n || v[2 * g] == PCRE2_UNSET || v[2 * g + 1] <= v[2 * g])
                        continue;
                *ret_id = path + v[2 * g];
                *ret_id_len = v[2 * g + 1] - v[2 * g];
                return 0;
        }
        return LAYOUT_E_NONE;
}

static int whole_match(const Layout *l, pcre2_match_data *block, const char *path, size_t len,
                       const char **ret_id, size_t *ret_id_len)
{
        int r;

        r = pattern_match(l, l->match, block, path, len);
        if (r < 0)
                return err_trace(r);
        return r == 0 ? LAYOUT_E_NONE : block_id(l, block, path, ret_id, ret_id_len);
}

/* The shortest leading part of @path, in whole components, that the pattern matches. */
static int leading_match(const Layout *l, pcre2_match_data *block, const char *path, size_t len,
                         const char **ret_id, size_t *ret_id_len)
{
        size_t end = 0;

        for (unsigned i = 0; i < LIMIT_COMPONENTS && end < len; i++, end++) {
                const char *slash = memchr(path + end, '/', len - end);
                int r;

                end = slash ? (size_t)(slash - path) : len;
                r = whole_match(l, block, path, end, ret_id, ret_id_len);
                if (r <= 0)
                        return r;
        }
        return LAYOUT_E_NONE;
}

int layout_match(const Layout *l, const char *path, size_t len, const char **ret_id, size_t *ret_id_len)
{
        const char *slash = memchr(path, '/', len);
        pcre2_match_data *block;
        int r;

        if (len == 0)
                return LAYOUT_E_NONE;
        if (!l->match) {
                /* Flat or whole directories: the first component, and below a flat file there is nothing. */
                if (slash == path || (slash && !l->directory))
                        return LAYOUT_E_NONE;
                *ret_id = path;
                *ret_id_len = slash ? (size_t)(slash - path) : len;
                return 0;
        }
        block = block_take(l);
        if (!block)
                return err_origin(-ENOMEM);
        r = l->directory ? leading_match(l, block, path, len, ret_id, ret_id_len)
                         : whole_match(l, block, path, len, ret_id, ret_id_len);
        block_give(l, block);
        return r;
}

bool layout_is_last(const Layout *l, const char *path, size_t len)
{
        pcre2_match_data *block;
        int r;

        if (!l->last)
                return false;
        block = block_take(l);
        if (!block)
                return true; /* a control file that comes back early would be worse */
        r = pattern_match(l, l->last, block, path, len);
        block_give(l, block);
        return r > 0;
}

/* "deferred" covers all below it too; "*" crosses slashes, for a pattern that covers too much does no harm.
 */
bool path_is_ignored(char *const *patterns, const char *path)
{
        for (; patterns && *patterns; patterns++)
                if (fnmatch(*patterns, path, FNM_LEADING_DIR) == 0)
                        return true;
        return false;
}

/*
 * layout - which message a file belongs to
 *
 * A store's layout is compiled once and asked for each file of each inventory, by the loop and by the workers
 * at the same time. File names are hostile; a name that sends a pattern past its limits belongs to no message
 * and is left alone.
 *
 * Forms: "flat" takes the whole name. A pattern's group "id" names the id; alternatives may name it more than
 * once. For messages that are directories the pattern is tried on "a", "a/b", "a/b/c" in turn, so that one
 * which ends in "$" covers everything below what it matches; without a pattern the first component is the id.
 * Test: tests/unit/test_layout.c.
 */
#include "model/layout.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "model/pattern.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Message directories lie at most this deep below a store's directory; it bounds the tries per path. */
#define LIMIT_COMPONENTS 16

struct Layout {
        bool directory;
        Pattern *match; /* NULL: the first component is the id */
        Pattern *last;
};

/* Says @what about @key; takes @what. */
static int layout_refuse(char **ret_error, const char *key, char *what)
{
        if (ret_error && asprintf(ret_error, "%s: %s", key, what ? what : "no memory") < 0)
                *ret_error = NULL;
        free(what);
        return err_origin(-EINVAL);
}

static int layout_compile(Pattern **ret, const char *text, const char *key, char **ret_error)
{
        char *what = NULL;
        int r;

        if (!text)
                return 0;
        r = pattern_new(ret, text, PATTERN_NAME, &what);
        return r == -EINVAL ? layout_refuse(ret_error, key, what) : err_trace(r);
}

int layout_new(Layout **ret, const LayoutSettings *settings, char **ret_error)
{
        _cleanup_(layout_freep) Layout *l = NULL;
        int r;

        if (ret_error)
                *ret_error = NULL;
        if (!settings->flat && !settings->match && !settings->directory)
                return layout_refuse(ret_error, "layout", strdup("neither \"flat\" nor a match"));
        l = calloc(1, sizeof(*l));
        if (!l)
                return err_origin(-ENOMEM);
        l->directory = settings->directory;
        r = layout_compile(&l->match, settings->flat ? NULL : settings->match, "match", ret_error);
        if (r < 0)
                return err_trace(r);
        r = layout_compile(&l->last, settings->last, "last", ret_error);
        if (r < 0)
                return err_trace(r);
        if (l->match && pattern_count_groups(l->match, "id") == 0)
                return layout_refuse(
                        ret_error, "match",
                        strdup("no group is named \"id\"; write (?<id>...) around the part that all "
                               "files of a message share"));
        *ret = TAKE_PTR(l);
        return 0;
}

Layout *layout_free(Layout *l)
{
        if (!l)
                return NULL;
        pattern_free(l->match);
        pattern_free(l->last);
        free(l);
        return NULL;
}

static int whole_match(const Layout *l, const char *path, size_t len, const char **ret_id, size_t *ret_id_len)
{
        PatternSpan span;
        int r;

        r = pattern_match_group(l->match, path, len, "id", &span);
        if (r < 0)
                return err_trace(r);
        if (r > 0) /* PATTERN_E_NONE, PATTERN_E_LIMIT */
                return LAYOUT_E_NONE;
        *ret_id = path + span.start;
        *ret_id_len = span.len;
        return 0;
}

/* The shortest leading part of @path, in whole components, that the pattern matches. */
static int leading_match(const Layout *l, const char *path, size_t len, const char **ret_id,
                         size_t *ret_id_len)
{
        size_t end = 0;

        for (unsigned i = 0; i < LIMIT_COMPONENTS && end < len; i++, end++) {
                const char *slash = memchr(path + end, '/', len - end);
                int r;

                end = slash ? (size_t)(slash - path) : len;
                r = whole_match(l, path, end, ret_id, ret_id_len);
                if (r <= 0)
                        return r;
        }
        return LAYOUT_E_NONE;
}

int layout_match(const Layout *l, const char *path, size_t len, const char **ret_id, size_t *ret_id_len)
{
        const char *slash;

        if (len == 0)
                return LAYOUT_E_NONE;
        if (l->match)
                return l->directory ? leading_match(l, path, len, ret_id, ret_id_len)
                                    : whole_match(l, path, len, ret_id, ret_id_len);
        slash = memchr(path, '/', len);
        /* What lies below a flat store's directories is no message. */
        if (slash == path || (slash && !l->directory))
                return LAYOUT_E_NONE;
        *ret_id = path;
        *ret_id_len = slash ? (size_t)(slash - path) : len;
        return 0;
}

bool layout_is_last(const Layout *l, const char *path, size_t len)
{
        int r;

        if (!l->last)
                return false;
        r = pattern_match(l->last, path, len);
        /* Want of memory counts as yes: a control file that comes back too early would be worse. */
        return r == 0 || r == -ENOMEM;
}

/* "deferred" covers all below it too; "*" crosses slashes, for a pattern that covers too much does
 * no harm. */
bool path_is_ignored(char *const *patterns, const char *path)
{
        for (; patterns && *patterns; patterns++)
                if (fnmatch(*patterns, path, FNM_LEADING_DIR) == 0)
                        return true;
        return false;
}

/* A store of several directories has some where mail waits rightly, and some where it must move on. */
bool path_is_ignored_in(char *const *patterns, const char *dir, const char *path)
{
        _cleanup_(freep) char *whole = NULL;

        if (path_is_ignored(patterns, path))
                return true;
        for (; patterns && *patterns; patterns++) {
                if (**patterns != '/')
                        continue;
                if (!whole && asprintf(&whole, "%s/%s", dir, path) < 0) {
                        whole = NULL;
                        return false;
                }
                if (fnmatch(*patterns, whole, FNM_LEADING_DIR) == 0)
                        return true;
        }
        return false;
}

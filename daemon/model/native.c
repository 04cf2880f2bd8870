/*
 * native - a server's own commands for one message
 *
 * Called by config (is it a template?) and by act/task_native.c. Pure. An id that is not plain is refused
 * before anything is built of it: a queue's ids are the server's own, letters and digits, and what looks
 * otherwise was named by somebody else.
 * Test: tests/unit/test_native.c.
 */
#include "model/native.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX_LEN 128

bool native_is_template(char *const *argv)
{
        if (!argv || !argv[0] || strstr(argv[0], "%i"))
                return false;
        for (argv++; *argv; argv++)
                if (strstr(*argv, "%i"))
                        return true;
        return false;
}

bool native_id_is_safe(const char *id)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        static const char also[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=:,-";
        size_t len = strlen(id);

        return len > 0 && len <= ID_MAX_LEN && strchr(plain, id[0]) && strspn(id, also) == len;
}

/* @text with each "%i" replaced by @id. NULL on ENOMEM. */
static char *argument(const char *text, const char *id)
{
        size_t n = 0;
        char *out, *o;

        for (const char *at = text; (at = strstr(at, "%i")); at += 2)
                n++;
        out = o = malloc(strlen(text) + n * strlen(id) + 1);
        for (const char *at; out && (at = strstr(text, "%i")); text = at + 2) {
                o = mempcpy(o, text, (size_t)(at - text));
                o = stpcpy(o, id);
        }
        if (out)
                (void)stpcpy(o, text);
        return out;
}

int native_command(char *const *argv, const char *id, char ***ret)
{
        _cleanup_(strv_freep) char **out = NULL;

        if (!native_id_is_safe(id))
                return err_origin(-EINVAL);
        for (; *argv; argv++) {
                _cleanup_(freep) char *text = argument(*argv, id);

                if (!text || strv_append(&out, text) < 0)
                        return err_origin(-ENOMEM);
        }
        *ret = TAKE_PTR(out);
        return 0;
}

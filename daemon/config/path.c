/*
 * path - absolute paths of a configuration, as text
 *
 * Called by the readers (every path is normalised as it is read) and the cross checks (which directory lies
 * inside which). Pure; a path that it refuses is the caller's to report.
 *
 * Bytes are taken as they are: a path need not be UTF-8. Test: tests/unit/test_config_path.c.
 */
#include "config/path.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Component by component into a copy, which is never longer than the path. */
int path_normalise(const char *path, char **ret)
{
        _cleanup_(freep) char *out = NULL;
        size_t n = 0;

        if (path[0] != '/')
                return -EINVAL;
        out = malloc(strlen(path) + 2);
        if (!out)
                return -ENOMEM;

        for (const char *p = path; *p;) {
                size_t len;

                p += strspn(p, "/");
                len = strcspn(p, "/");
                if (len == 2 && p[0] == '.' && p[1] == '.')
                        return -EINVAL;
                if (len > 0 && !(len == 1 && p[0] == '.')) {
                        out[n++] = '/';
                        memcpy(out + n, p, len);
                        n += len;
                }
                p += len;
        }
        if (n == 0)
                out[n++] = '/';
        out[n] = '\0';
        *ret = TAKE_PTR(out);
        return 0;
}

/* "/a" holds "/a" and "/a/b" but not "/ab". */
bool path_inside(const char *path, const char *dir)
{
        size_t len = strlen(dir);

        if (len == 1)
                return true;
        return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

char *path_parent(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

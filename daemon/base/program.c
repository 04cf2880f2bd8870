/*
 * program - what runners need before they start anything
 *
 * Called by runner_fork and runner_systemd. Guarantees: no shell and no PATH of the daemon has a say in which
 * program runs or in its environment.
 *
 * Diagnostics: negated errnos; nothing was started then.
 */
#include "base/program.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int check_executable(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EACCES;
        return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int program_find(const char *name, char **ret)
{
        int found = -ENOENT, r;
        char *path;

        if (name[0] == '/') {
                r = check_executable(name);
                if (r < 0)
                        return err_origin(r);
                path = strdup(name);
                if (!path)
                        return err_origin(-ENOMEM);
                *ret = path;
                return 0;
        }
        if (name[0] == 0 || strchr(name, '/'))
                return err_origin(-EINVAL);
        for (const char *dir = PROGRAM_PATH; *dir;) {
                size_t len = strcspn(dir, ":");

                if (asprintf(&path, "%.*s/%s", (int)len, dir, name) < 0)
                        return err_origin(-ENOMEM);
                r = check_executable(path);
                if (r == 0) {
                        *ret = path;
                        return 0;
                }
                free(path);
                /* "Not executable" says more than "not there". */
                if (r == -EACCES)
                        found = r;
                dir += len + (dir[len] == ':');
        }
        return err_origin(found);
}

int run_spec_check(const RunSpec *spec, char **ret_path)
{
        const char *name = spec->name;

        if (!name || !*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] != 0)
                return err_origin(-EINVAL);
        if (!spec->argv || !spec->argv[0])
                return err_origin(-EINVAL);
        if (spec->directory && spec->directory[0] != '/')
                return err_origin(-EINVAL);
        /* Whatever runs has a deadline. */
        if (spec->timeout == 0 || spec->timeout == USEC_INFINITY)
                return err_origin(-EINVAL);
        return err_trace(program_find(spec->argv[0], ret_path));
}

char *const *run_spec_environment(const RunSpec *spec)
{
        static char path[] = "PATH=" PROGRAM_PATH, lang[] = "LANG=C.UTF-8";
        static char *const usual[] = { path, lang, NULL };

        return spec->environment ? spec->environment : usual;
}

int program_input(const char *input)
{
        _cleanup_(closep) int fd = -1;
        size_t len = input ? strlen(input) : 0;

        if (!input) {
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
                return fd < 0 ? err_origin(-errno) : TAKE_FD(fd);
        }
        fd = memfd_create("unjam-input", MFD_CLOEXEC);
        if (fd < 0)
                return err_origin(-errno);
        while (len > 0) {
                ssize_t n = write(fd, input, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                input += n;
                len -= (size_t)n;
        }
        return lseek(fd, 0, SEEK_SET) < 0 ? err_origin(-errno) : TAKE_FD(fd);
}

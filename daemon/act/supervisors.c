/*
 * supervisors - does somebody else start and stop this service as well?
 *
 * Called by act/causes, in its worker. Looks for the processes of known supervisors; only where one runs, its
 * configuration is searched for the service's name, as a word. Files over FILE_LIMIT are not read: nobody
 * writes such ones by hand.
 *
 * Diagnostics: what cannot be read is passed over; a missed supervisor shows later as a start by somebody
 * else, which voids the trial. Test: tests/unit/test_supervisors.c
 */
#include "act/supervisors.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT (1024 * 1024)

/* comm, and where its configuration lies (files, or directories of files). */
static const struct {
        const char *process;
        const char *places[5];
} supervisors[] = {
        { "monit",
          { "etc/monitrc", "etc/monit", "etc/monit/conf.d", "etc/monit/conf-enabled", "etc/monit.d" } },
        { "supervisord",
          { "etc/supervisord.conf", "etc/supervisor", "etc/supervisor/conf.d", "etc/supervisord.d" } },
        { "pacemakerd", { "var/lib/pacemaker/cib" } },
        { "circusd", { "etc/circus", "etc/circus/conf.d" } },
        { "god", { "etc/god", "etc/god/conf.d" } },
        { "keepalived", { "etc/keepalived" } },
};

char **supervisors_names(const ServiceSettings *service)
{
        char **names = NULL;
        int r = service->name ? strv_append(&names, service->name) : 0;

        for (size_t k = 0; r == 0 && service->units && service->units[k]; k++) {
                char *name = strndup(service->units[k], strcspn(service->units[k], "@."));

                r = name ? 0 : -ENOMEM;
                if (r == 0 && name[0] && !strv_contains(names, name))
                        r = strv_append(&names, name);
                free(name);
        }
        if (r == 0 && !names)
                names = calloc(1, sizeof(*names));
        return r < 0 ? strv_free(names) : names;
}

static bool is_word(char c)
{
        return isalnum((unsigned char)c) || c == '_';
}

/* Does @text hold @word between two characters that are not of a word? */
static bool text_has_word(const char *text, const char *word)
{
        size_t len = strlen(word);

        for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
                if ((p == text || !is_word(p[-1])) && !is_word(p[len]))
                        return true;
        return false;
}

static bool file_names_service(int dirfd, const char *file, char *const *names)
{
        _cleanup_(freep) char *text = NULL;
        size_t len;

        if (file_read(dirfd, file, FILE_LIMIT, &text, &len) < 0)
                return false;
        for (size_t k = 0; names[k]; k++)
                if (text_has_word(text, names[k]))
                        return true;
        return false;
}

/* @place is a file, or a directory whose files are looked at. */
static bool place_names_service(int rootfd, const char *place, char *const *names)
{
        int fd = openat(rootfd, place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *e;
        bool found = false;

        if (fd < 0)
                return file_names_service(rootfd, place, names);
        if (dir_stream(fd, &d) < 0)
                return false;
        while (!found && (e = readdir(d)))
                found = e->d_name[0] != '.' && file_names_service(fd, e->d_name, names);
        return found;
}

static bool process_runs(int procfd, const char *name)
{
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *e;
        bool runs = false;

        if (dir_stream_at(procfd, ".", &d) < 0)
                return false;
        while (!runs && (e = readdir(d))) {
                _cleanup_(freep) char *comm = NULL;
                char path[300];
                size_t len;

                if (!isdigit((unsigned char)e->d_name[0]))
                        continue;
                snprintf(path, sizeof(path), "%s/comm", e->d_name);
                if (file_read_virtual(procfd, path, 64, &comm, &len) == 0)
                        runs = strcspn(comm, "\n") == strlen(name) && strncmp(comm, name, strlen(name)) == 0;
        }
        return runs;
}

int supervisors_find(int procfd, const char *root, char *const *names, char **ret_detail)
{
        _cleanup_(closep) int rootfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (rootfd < 0)
                return -errno;
        for (size_t k = 0; k < ELEMENTSOF(supervisors); k++) {
                if (!process_runs(procfd, supervisors[k].process))
                        continue;
                for (size_t p = 0; p < ELEMENTSOF(supervisors[k].places) && supervisors[k].places[p]; p++) {
                        if (!place_names_service(rootfd, supervisors[k].places[p], names))
                                continue;
                        if (asprintf(ret_detail, "%s runs, and /%s names this service",
                                     supervisors[k].process, supervisors[k].places[p]) < 0)
                                *ret_detail = NULL;
                        return SUPERVISORS_E_FOUND;
                }
        }
        return 0;
}

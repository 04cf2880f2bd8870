/*
 * shelf - what lies in the quarantines of all stores
 *
 * Used by verb_quarantine.c and verb_incident.c. Only reads; folders that are being made or deleted
 * ("ID.tmp", "ID.del") are not listed.
 */
#include "ctl/shelf.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/json.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_MAX (64 * 1024 * 1024)

static bool ends_with(const char *text, const char *end)
{
        size_t n = strlen(text), m = strlen(end);

        return n >= m && strcmp(text + n - m, end) == 0;
}

/* Of one that the server holds: is it still where the record says? */
static bool has_left(const json_t *message)
{
        const json_t *at;
        size_t i;

        json_array_foreach(json_object_get(message, "where"), i, at)
        {
                _cleanup_(freep) char *path = NULL;
                struct stat st;

                if (json_get_bytes(at, "path", &path) < 0)
                        continue;
                if (lstat(path, &st) < 0
                            ? errno == ENOENT
                            : (json_int_t)st.st_ino != json_integer_value(json_object_get(at, "inode")))
                        return true;
        }
        return false;
}

/* The record in folder @id, completed; NULL if there is none. */
static json_t *record_read(int dirfd, const char *directory, const char *id)
{
        _cleanup_(freep) char *name = NULL, *text = NULL, *path = NULL;
        size_t len;
        json_t *j;

        if (asprintf(&name, "%s/message.json", id) < 0 || asprintf(&path, "%s/%s", directory, id) < 0 ||
            file_read(dirfd, name, RECORD_MAX, &text, &len) < 0)
                return NULL;
        j = json_parse(text, len);
        if (!json_is_object(j) || json_set_bytes(j, "quarantine", id) < 0 ||
            json_set_bytes(j, "path", path) < 0 ||
            (json_is_true(json_object_get(j, "native")) &&
             json_set(j, "left", json_boolean(has_left(j))) < 0)) {
                json_decref(j);
                return NULL;
        }
        return j;
}

static int shelf_add(json_t *list, const char *directory, const char *service)
{
        _cleanup_(closedirp) DIR *dir = opendir(directory);
        struct dirent *e;

        if (!dir)
                return errno == ENOENT ? 0 : err_origin(-errno);
        while ((errno = 0, e = readdir(dir))) {
                const char *whose;
                json_t *j;

                if (e->d_name[0] == '.' || ends_with(e->d_name, ".tmp") || ends_with(e->d_name, ".del"))
                        continue;
                j = record_read(dirfd(dir), directory, e->d_name);
                whose = json_string_value(json_object_get(j, "service"));
                if (!j || (service && (!whose || strcmp(whose, service) != 0))) {
                        json_decref(j);
                        continue;
                }
                if (json_array_append_new(list, j) < 0)
                        return err_origin(-ENOMEM);
        }
        return errno ? err_origin(-errno) : 0;
}

static const char *when(const json_t *message)
{
        const char *time = json_string_value(json_object_get(message, "quarantined_at"));

        return time ? time : "";
}

static int compare_when(const void *a, const void *b)
{
        return strcmp(when(*(json_t *const *)a), when(*(json_t *const *)b));
}

static json_t *sorted(json_t *list)
{
        size_t n = json_array_size(list);
        _cleanup_(freep) json_t **items = calloc(n + 1, sizeof(json_t *));
        json_t *result = json_array();

        for (size_t i = 0; items && i < n; i++)
                items[i] = json_array_get(list, i);
        if (items && n > 0)
                qsort(items, n, sizeof(*items), compare_when);
        for (size_t i = 0; items && i < n; i++)
                if (json_array_append(result, items[i]) < 0) {
                        json_decref(result);
                        result = NULL;
                        break;
                }
        json_decref(list);
        return items ? result : NULL;
}

int shelf_read(const Settings *settings, const char *service, json_t **ret, char **ret_path)
{
        char **seen = NULL; /* stores may share a hold */
        json_t *list = json_array();
        int r = list ? 0 : -ENOMEM;

        for (size_t s = 0; r == 0 && s < settings->n_services; s++)
                for (size_t k = 0; r == 0 && k < settings->services[s].n_stores; k++) {
                        _cleanup_(freep) char *directory = NULL;

                        if (asprintf(&directory, "%s/quarantine", settings->services[s].stores[k].hold) < 0) {
                                r = err_origin(-ENOMEM);
                                break;
                        }
                        if (strv_contains(seen, directory))
                                continue;
                        r = strv_append(&seen, directory);
                        if (r == 0)
                                r = shelf_add(list, directory, service);
                        if (r < 0)
                                *ret_path = TAKE_PTR(directory);
                }
        strv_free(seen);
        if (r < 0) {
                json_decref(list);
                return r;
        }
        list = sorted(list);
        if (!list)
                return err_origin(-ENOMEM);
        *ret = list;
        return 0;
}

json_t *shelf_find(const json_t *list, const char *id, bool *ret_several)
{
        json_t *found = NULL, *m;
        size_t i;

        *ret_several = false;
        json_array_foreach(list, i, m)
        {
                const char *quarantine = json_string_value(json_object_get(m, "quarantine"));

                if (quarantine && strcmp(quarantine, id) == 0)
                        return m;
        }
        json_array_foreach(list, i, m)
        {
                const char *message = json_string_value(json_object_get(m, "id"));

                if (!message || strcmp(message, id) != 0)
                        continue;
                if (found)
                        *ret_several = true;
                found = m;
        }
        return *ret_several ? NULL : found;
}

usec_t shelf_expires(const Settings *settings, const json_t *message)
{
        const char *service = json_string_value(json_object_get(message, "service")),
                   *store = json_string_value(json_object_get(message, "store"));
        const ServiceSettings *s = service ? settings_find(settings, service) : NULL;
        usec_t lifetime = 0;
        struct timespec ts;

        for (size_t k = 0; s && store && k < s->n_stores; k++)
                if (strcmp(s->stores[k].name, store) == 0)
                        lifetime = s->stores[k].queue_lifetime;
        if (lifetime == 0 || rfc3339_parse(when(message), &ts) < 0 || ts.tv_sec <= 0)
                return 0;
        return usec_add((usec_t)ts.tv_sec * USEC_PER_SEC, lifetime);
}

/* manager_bed - see manager_bed.h */
#include "fake/manager_bed.h"
#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE (60 * USEC_PER_SEC)

static char *make_dir(const ManagerBed *bed, const char *name)
{
        char *path;

        assert_true(asprintf(&path, "%s/%s", bed->dir, name) > 0);
        assert_int_equal(mkdir(path, 0755), 0);
        return path;
}

void manager_bed_init(ManagerBed *bed)
{
        *bed = (ManagerBed){ 0 };
        strcpy(bed->dir, "/tmp/unjam-manager-XXXXXX");
        assert_non_null(mkdtemp(bed->dir));
        bed->state_dir = make_dir(bed, "state");
        bed->run_dir = make_dir(bed, "run");
        bed->unit_dir = make_dir(bed, "etc");
        bed->runtime_unit_dir = make_dir(bed, "runtime");
        assert_int_equal(sd_event_new(&bed->event), 0);
        assert_int_equal(worker_new(&bed->worker, bed->event, "test"), 0);

        bed->service = (ServiceSettings){
                .name = strdup("imc"),
                .start_timeout = 30 * USEC_PER_SEC,
                .stop_timeout = 30 * USEC_PER_SEC,
                .kill_timeout = 30 * USEC_PER_SEC,
        };
        bed->ctx = (ManagerContext){
                .event = bed->event,
                .service = &bed->service,
                .state_dir = bed->state_dir,
                .run_dir = bed->run_dir,
                .unit_dir = bed->unit_dir,
                .runtime_unit_dir = bed->runtime_unit_dir,
                .worker = bed->worker,
        };
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        (void)st;
        (void)flag;
        (void)ftw;
        return remove(path);
}

void manager_bed_deinit(ManagerBed *bed)
{
        manager_free(bed->manager);
        worker_free(bed->worker);
        sd_event_unref(bed->event);
        (void)nftw(bed->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(bed->state_dir);
        free(bed->run_dir);
        free(bed->unit_dir);
        free(bed->runtime_unit_dir);
        free(bed->service.name);
        free(bed->detail);
        free(bed->invocation);
        json_decref(bed->data);
}

void manager_bed_done(void *userdata, const ManagerResult *r)
{
        ManagerBed *bed = userdata;

        free(bed->detail);
        free(bed->invocation);
        json_decref(bed->data);
        bed->result = r->result;
        bed->reason = r->reason;
        bed->alive = r->alive;
        bed->detail = strdup_null(r->detail);
        bed->invocation = strdup_null(r->invocation);
        bed->data = json_incref(r->data);
        bed->n++;
}

void manager_bed_until(ManagerBed *bed, bool (*condition)(void *userdata), void *userdata)
{
        usec_t end = now_read().mono + PATIENCE;

        while (!condition(userdata)) {
                assert_true(now_read().mono < end);
                assert_true(sd_event_run(bed->event, 20 * USEC_PER_MSEC) >= 0);
        }
}

typedef struct Waiting {
        const ManagerBed *bed;
        unsigned n;
} Waiting;

static bool has_more(void *userdata)
{
        const Waiting *w = userdata;

        return w->bed->n > w->n;
}

ResultKind manager_bed_wait(ManagerBed *bed)
{
        Waiting w = { .bed = bed, .n = bed->n };

        manager_bed_until(bed, has_more, &w);
        assert_int_equal(bed->n, w.n + 1);
        return bed->result;
}

ResultKind manager_bed_start(ManagerBed *bed)
{
        assert_int_equal(bed->manager->ops->start(bed->manager, manager_bed_done, bed), 0);
        return manager_bed_wait(bed);
}

ResultKind manager_bed_stop(ManagerBed *bed)
{
        assert_int_equal(bed->manager->ops->stop(bed->manager, manager_bed_done, bed), 0);
        return manager_bed_wait(bed);
}

ResultKind manager_bed_kill(ManagerBed *bed)
{
        assert_int_equal(bed->manager->ops->kill(bed->manager, manager_bed_done, bed), 0);
        return manager_bed_wait(bed);
}

ResultKind manager_bed_guard(ManagerBed *bed, bool on)
{
        assert_int_equal(bed->manager->ops->guard(bed->manager, on, on ? "20261122-1-imc" : NULL,
                                                  manager_bed_done, bed),
                         0);
        return manager_bed_wait(bed);
}

size_t manager_bed_count(ManagerBed *bed)
{
        ProcId *ids = NULL;
        size_t n = 0;

        assert_int_equal(bed->manager->ops->processes(bed->manager, &ids, &n), 0);
        free(ids);
        return n;
}

char *manager_bed_read(const char *dir, const char *name)
{
        char *text = NULL;
        size_t len;
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return NULL;
        if (file_read(fd, name, 1024 * 1024, &text, &len) < 0)
                text = NULL;
        close(fd);
        return text;
}

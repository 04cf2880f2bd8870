/*
 * reaper - collects orphans that came to unjamd as the subreaper
 *
 * Made by main where unjamd is the parent of embedded services. A service's own orphans become children of
 * unjamd; whoever has a claim on a child (the observer of a main process, a runner) collects it at once, by
 * its pidfd. So a child that two looks, @patience apart, found a zombie is nobody's, and is reaped here.
 *
 * Nothing is polled: SIGCHLD asks for the first look, and only a zombie that was found asks for another. A
 * look without one is a single system call; /proc is read only when there is one.
 *
 * Test: tests/unit/test_reaper.c
 */
#include "act/reaper.h"

#include "act/leftovers.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct Reaper {
        int procfd;
        usec_t patience;
        sd_event_source *child, *timer;
        ProcId *zombies; /* of the look before */
        size_t n_zombies;
};

static bool any_zombie(void)
{
        siginfo_t si = { 0 };

        return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid != 0;
}

/* Reaps those that were zombies at the look before; the others are remembered for the next. */
static void look(Reaper *r)
{
        _cleanup_(freep) ProcStat *scan = NULL;
        ProcId *seen = NULL;
        size_t n = 0, n_seen = 0;

        if (!any_zombie() || proc_stat_scan(r->procfd, &scan, &n) < 0)
                n = 0;
        for (size_t i = 0; i < n; i++) {
                if (scan[i].parent != getpid() || scan[i].state != 'Z')
                        continue;
                if (proc_ids_has(r->zombies, r->n_zombies, scan[i].id))
                        (void)waitid(P_PID, (id_t)scan[i].id.pid, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
                else
                        (void)proc_ids_add(&seen, &n_seen, scan[i].id);
        }
        free(r->zombies);
        r->zombies = seen;
        r->n_zombies = n_seen;
}

/* Not put off by a later one. */
static void look_later(Reaper *r)
{
        int on = SD_EVENT_OFF;

        if (sd_event_source_get_enabled(r->timer, &on) > 0)
                return;
        (void)sd_event_source_set_time_relative(r->timer, r->patience);
        (void)sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        Reaper *r = userdata;

        (void)timer;
        (void)usec;
        look(r);
        if (r->n_zombies > 0)
                look_later(r);
        return 0;
}

static int on_child(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        (void)source;
        (void)si;
        look_later(userdata);
        return 0;
}

static int reaper_init(Reaper *r, sd_event *event)
{
        r->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r->procfd < 0)
                return err_origin(-errno);
        int k = sd_event_add_time_relative(event, &r->timer, CLOCK_MONOTONIC, 0, r->patience / 2, on_timer,
                                           r);
        if (k >= 0)
                k = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (k >= 0)
                k = sd_event_add_signal(event, &r->child, SIGCHLD, on_child, r);
        if (k < 0)
                return err_origin(k);
        (void)sd_event_source_set_description(r->timer, "reaper");
        (void)sd_event_source_set_description(r->child, "reaper-child");
        look_later(r); /* what came before the first signal */
        return 0;
}

int reaper_new(Reaper **ret, sd_event *event, usec_t patience)
{
        Reaper *r = calloc(1, sizeof(*r));

        if (!r)
                return err_origin(-ENOMEM);
        r->procfd = -1;
        r->patience = patience;
        int k = reaper_init(r, event);
        if (k < 0) {
                reaper_free(r);
                return err_trace(k);
        }
        *ret = r;
        return 0;
}

Reaper *reaper_free(Reaper *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->child);
        sd_event_source_disable_unref(r->timer);
        closep(&r->procfd);
        free(r->zombies);
        free(r);
        return NULL;
}

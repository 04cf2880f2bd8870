/*
 * child_ends - processes of a service that were killed by a signal
 *
 * Called by inflight for each process that it has followed. A parent that lives (Postfix's master, Exim's
 * daemon) starts another one and says nothing but a line in a log; here it is the kernel's word. An exit
 * with whatever status is normal to some server, and so are the signals by which children are asked to end.
 *
 * At most CHILD_ENDS_MAX wait to be reported; more say the same. Without memory one is lost. Test:
 * tests/unit/test_child_ends.c.
 */
#include "observe/child_ends.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define CHILD_ENDS_MAX 64

static bool is_crash(int signal)
{
        static const int polite[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2 };

        for (size_t i = 0; i < ELEMENTSOF(polite); i++)
                if (polite[i] == signal)
                        return false;
        return true;
}

static void list_clear(ChildEnds *c)
{
        for (size_t i = 0; i < c->n; i++)
                free(c->list[i].path);
        free(c->list);
        c->list = NULL;
        c->n = 0;
}

static int on_defer(sd_event_source *defer, void *userdata)
{
        ChildEnds *c = userdata;
        ChildEnds now = { .list = c->list, .n = c->n };

        (void)defer;
        c->list = NULL;
        c->n = 0;
        for (size_t i = 0; i < now.n; i++) {
                const ChildEnd *e = &now.list[i];
                const Observation o = { .kind = OBSERVATION_INFLIGHT,
                                        .inflight = { .pid = e->pid,
                                                      .name = e->name,
                                                      .path = e->path,
                                                      .signal = e->signal,
                                                      .core = e->core,
                                                      .out_of_memory = e->out_of_memory } };

                source_emit(c->context, &o);
        }
        list_clear(&now);
        return 0;
}

static int defer(ChildEnds *c)
{
        if (c->defer)
                return sd_event_source_set_enabled(c->defer, SD_EVENT_ONESHOT);
        /* A new one is enabled once. */
        return sd_event_add_defer(c->context->event, &c->defer, on_defer, c);
}

void child_ends_add(ChildEnds *c, pid_t pid, const char *name, const char *path, int status)
{
        _cleanup_(freep) char *text = NULL;
        ChildEnd *bigger;

        if (status < 0 || !WIFSIGNALED(status) || !is_crash(WTERMSIG(status)) || c->n == CHILD_ENDS_MAX)
                return;
        bigger = reallocarray(c->list, c->n + 1, sizeof(*bigger));
        if (!bigger)
                return;
        c->list = bigger;
        ChildEnd *e = &c->list[c->n++];
        *e = (ChildEnd){ .pid = pid, .signal = WTERMSIG(status), .core = WCOREDUMP(status) };
        /* Only a SIGKILL can be the kernel's. */
        e->out_of_memory = e->signal == SIGKILL && c->out_of_memory && c->out_of_memory(c->userdata);
        text = text_to_utf8(name, strlen(name), 0);
        snprintf(e->name, sizeof(e->name), "%s", text ? text : "");
        e->path = strdup_null(path);
        (void)defer(c);
}

void child_ends_deinit(ChildEnds *c)
{
        sd_event_source_disable_unref(c->defer);
        c->defer = NULL;
        list_clear(c);
}

/*
 * progress - does mail move?
 *
 * What counts as movement is that mail leaves, or that something happens to waiting mail. That new mail
 * arrives proves nothing about the server: a submitter puts it there while the queue manager may be dead. As
 * the observation's "moved" is set by an arrival too, it counts only without one; besides, fewer waiting than
 * there were plus those that arrived means that some went elsewhere (deferred, held).
 *
 * Movement in any store counts for all: the verdict is about the whole service, and one that works elsewhere
 * is not hung. The diagnosis feeds it. Fails only for a store that does not exist. Test:
 * tests/unit/test_progress.c.
 */
#include "diagnose/progress.h"

#include "base/error.h"

#include <stdlib.h>

int progress_init(Progress *p, size_t n_stores)
{
        *p = (Progress){ .n = n_stores };
        p->stores = calloc(n_stores > 0 ? n_stores : 1, sizeof(p->stores[0]));
        return p->stores ? 0 : err_origin(-ENOMEM);
}

void progress_deinit(Progress *p)
{
        free(p->stores);
        *p = (Progress){};
}

void progress_restart(Progress *p, usec_t mono)
{
        p->moved = mono;
}

int progress_feed(Progress *p, const ProgressStatus *status, usec_t mono)
{
        StoreProgress *s;
        bool moved;

        if (status->store >= p->n)
                return err_origin(-EINVAL);
        s = p->stores + status->store;
        moved = status->departed > 0 || (status->moved && status->arrived == 0) ||
                (s->known && status->waiting < s->waiting + status->arrived);
        if (moved || !s->known)
                p->moved = mono;
        if (s->waiting == 0)
                s->waiting_since = mono;
        s->known = true;
        s->waiting = status->waiting;
        return 0;
}

uint64_t progress_waiting(const Progress *p)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < p->n; i++)
                sum += p->stores[i].waiting;
        return sum;
}

size_t progress_longest(const Progress *p, usec_t *ret_since)
{
        size_t found = SIZE_MAX;
        usec_t since = USEC_INFINITY;

        for (size_t i = 0; i < p->n; i++)
                if (p->stores[i].waiting > 0 && p->stores[i].waiting_since < since) {
                        found = i;
                        since = p->stores[i].waiting_since;
                }
        *ret_since = since;
        return found;
}

usec_t progress_still_since(const Progress *p)
{
        usec_t since;

        if (progress_longest(p, &since) == SIZE_MAX)
                return USEC_INFINITY;
        return since > p->moved ? since : p->moved;
}

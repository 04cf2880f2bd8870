/*
 * movement - does mail move?
 *
 * What counts as movement is that mail leaves, or that something happens to waiting mail. That new mail
 * arrives proves nothing about the server: a submitter puts it there while the queue manager may be dead. As
 * the observation's "moved" is set by an arrival too, it counts only without one; besides, fewer waiting than
 * there were plus those that arrived means that some went elsewhere (deferred, held).
 *
 * Movement in any store counts for all: the verdict is about the whole service, and one that works elsewhere
 * is not hung. The diagnosis feeds it. Fails only for a store that does not exist. Test:
 * tests/unit/test_movement.c.
 */
#include "diagnose/movement.h"

#include "base/error.h"

#include <stdlib.h>

int movement_init(Movement *m, size_t n_stores)
{
        *m = (Movement){ .n = n_stores };
        m->stores = calloc(n_stores > 0 ? n_stores : 1, sizeof(m->stores[0]));
        return m->stores ? 0 : err_origin(-ENOMEM);
}

void movement_deinit(Movement *m)
{
        free(m->stores);
        *m = (Movement){};
}

void movement_restart(Movement *m, usec_t mono)
{
        m->moved = mono;
}

int movement_feed(Movement *m, const ProgressStatus *status, usec_t mono)
{
        StoreMovement *s;
        bool moved;

        if (status->store >= m->n)
                return err_origin(-EINVAL);
        s = m->stores + status->store;
        moved = status->departed > 0 || (status->moved && status->arrived == 0) ||
                (s->known && status->waiting < s->waiting + status->arrived);
        if (moved || !s->known)
                m->moved = mono;
        if (s->waiting == 0)
                s->waiting_since = mono;
        s->known = true;
        s->waiting = status->waiting;
        return 0;
}

uint64_t movement_waiting(const Movement *m)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < m->n; i++)
                sum += m->stores[i].waiting;
        return sum;
}

size_t movement_longest(const Movement *m, usec_t *ret_since)
{
        size_t found = SIZE_MAX;
        usec_t since = USEC_INFINITY;

        for (size_t i = 0; i < m->n; i++)
                if (m->stores[i].waiting > 0 && m->stores[i].waiting_since < since) {
                        found = i;
                        since = m->stores[i].waiting_since;
                }
        *ret_since = since;
        return found;
}

usec_t movement_still_since(const Movement *m)
{
        usec_t since;

        if (movement_longest(m, &since) == SIZE_MAX)
                return USEC_INFINITY;
        return since > m->moved ? since : m->moved;
}

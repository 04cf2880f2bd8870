/*
 * turns - at most so many at a time
 *
 * Used for calls to systemd: a bus allows a connection so many calls without an answer (128 on Debian) and
 * refuses those above, which with a hundred units would be most of them. Cannot fail.
 *
 * Test: tests/unit/test_turns.c
 */
#include "base/turns.h"

#include <stddef.h>

static void next_go(Turns *s)
{
        while (s->n < s->max && s->waiting) {
                Turn *t = s->waiting;

                s->waiting = t->next;
                t->has = true;
                s->n++;
                t->go(t->userdata);
        }
}

void turn_ask(Turns *turns, Turn *t)
{
        Turn **at = turns ? &turns->waiting : NULL;

        if (turn_is_asked(t))
                return;
        if (!turns) {
                t->has = true;
                t->go(t->userdata);
                return;
        }
        t->turns = turns;
        t->next = NULL;
        while (*at)
                at = &(*at)->next;
        *at = t;
        next_go(turns);
}

void turn_end(Turn *t)
{
        Turns *s = t->turns;
        bool had = t->has;

        t->turns = NULL;
        t->has = false;
        if (!s)
                return;
        if (had)
                s->n--;
        for (Turn **at = &s->waiting; !had && *at; at = &(*at)->next)
                if (*at == t) {
                        *at = t->next;
                        break;
                }
        next_go(s);
}

bool turn_is_asked(const Turn *t)
{
        return t->has || t->turns;
}

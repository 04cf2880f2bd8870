#pragma once

/*
 * Turns: at most so many at a time; the others wait, first come first served. All in one thread.
 */

#include <stdbool.h>

typedef struct Turns Turns;
typedef struct Turn Turn;

/* Embedded in who asks, with go() set. go() may end the turn, or whatever it belongs to. */
struct Turn {
        void (*go)(void *userdata);
        void *userdata;
        Turns *turns; /* from here on the Turns' own */
        Turn *next;
        bool has;
};

struct Turns {
        unsigned max, n;
        Turn *waiting;
};

#define TURNS(of) ((Turns){ .max = (of) })

/*
 * go() is called at once, or when enough others have ended theirs. Does nothing for one that has its turn or
 * waits for it. @turns NULL: there is no limit.
 */
void turn_ask(Turns *turns, Turn *t);
/* The turn is over, or is not waited for any more. Harmless without one. */
void turn_end(Turn *t);
/* Has it asked, and not ended? */
bool turn_is_asked(const Turn *t);

#pragma once

/* Scope-bound release of resources, and explicit transfer of ownership. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Gives up ownership: yields the value and leaves the empty one behind. */
#define TAKE_PTR(p)                                                                                          \
        ({                                                                                                   \
                typeof(p) _taken = (p);                                                                      \
                (p) = NULL;                                                                                  \
                _taken;                                                                                      \
        })
#define TAKE_FD(fd)                                                                                          \
        ({                                                                                                   \
                int _taken = (fd);                                                                           \
                (fd) = -1;                                                                                   \
                _taken;                                                                                      \
        })

/* Defines FUNCp(TYPE **) for _cleanup_; FUNC takes a TYPE * and copes with NULL. */
#define DEFINE_CLEANUP(TYPE, FUNC)                                                                           \
        static inline void FUNC##p(TYPE **p)                                                                 \
        {                                                                                                    \
                if (*p)                                                                                      \
                        FUNC(*p);                                                                            \
        }

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline void closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static inline void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

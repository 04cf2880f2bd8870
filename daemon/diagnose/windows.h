#pragma once

/*
 * Windows: how often something happened within a time. Times are monotonic and are added in order.
 */

#include "model/settings.h"

/* The moments of the last @size events. */
typedef struct EventWindow {
        usec_t *times; /* a ring; the newest is before @next */
        unsigned size, n, next;
} EventWindow;

int event_window_init(EventWindow *w, unsigned size);
void event_window_deinit(EventWindow *w);
void event_window_clear(EventWindow *w);
void event_window_add(EventWindow *w, usec_t mono);
/* Were there @count events within the last @within (0: ever) before @mono? @count is at most the window's
 * size. */
bool event_window_reached(const EventWindow *w, unsigned count, usec_t within, usec_t mono);

/*
 * The crashes of a service by signature, against all of its crash windows at once. A crash drops out of a
 * window after the window's time, so a healthy time as long as the longest one forgets everything.
 */
#define CRASH_SIGNATURES_MAX 16
typedef struct CrashSignature {
        char signature[96];
        EventWindow times;
        usec_t last;
} CrashSignature;

typedef struct CrashHistory {
        const CrashWindow *windows;
        size_t n_windows;
        unsigned size; /* of the windows of a signature */
        CrashSignature *entries;
        size_t n_entries; /* at least one; an unused one has last 0 */
} CrashHistory;

/* @windows must outlive it. Return: 0 or -ENOMEM. */
int crash_history_init(CrashHistory *h, const CrashWindow *windows, size_t n);
void crash_history_deinit(CrashHistory *h);
/*
 * Takes a crash in. Yields the shortest window that is reached, NULL if none is. A signature too many, or
 * without memory, takes the place of the one that crashed longest ago.
 */
const CrashWindow *crash_history_add(CrashHistory *h, const char *signature, usec_t mono);

/*
 * windows - counting within a time
 *
 * Event rules count log entries here, the run watch counts crashes. All room is taken at the start, so
 * counting cannot fail; it is bounded whatever a service does. Crash loops are looked for in several windows
 * at once, because a rule with one short window never sees a slow loop. Test: tests/unit/test_windows.c.
 */
#include "diagnose/windows.h"

#include "base/error.h"
#include "diagnose/symptom.h"

#include <stdlib.h>
#include <string.h>

int event_window_init(EventWindow *w, unsigned size)
{
        *w = (EventWindow){ .size = size > 0 ? size : 1 };
        w->times = calloc(w->size, sizeof(w->times[0]));
        return w->times ? 0 : err_origin(-ENOMEM);
}

void event_window_deinit(EventWindow *w)
{
        free(w->times);
        *w = (EventWindow){};
}

void event_window_clear(EventWindow *w)
{
        w->n = w->next = 0;
}

void event_window_add(EventWindow *w, usec_t mono)
{
        w->times[w->next] = mono;
        w->next = (w->next + 1) % w->size;
        if (w->n < w->size)
                w->n++;
}

bool event_window_reached(const EventWindow *w, unsigned count, usec_t within, usec_t mono)
{
        if (count == 0)
                return true;
        if (count > w->n)
                return false;
        /* The count-th newest tells: it is within the time, and then so are those after it. */
        return within == 0 || usec_sub(mono, w->times[(w->next + w->size - count) % w->size]) <= within;
}

int crash_history_init(CrashHistory *h, const CrashWindow *windows, size_t n)
{
        unsigned size = 1;

        *h = (CrashHistory){ .windows = windows, .n_windows = n };
        for (size_t i = 0; i < n; i++)
                if (windows[i].count > size)
                        size = windows[i].count;
        for (size_t i = 0; i < CRASH_SIGNATURES_MAX; i++)
                if (event_window_init(&h->entries[i].times, size) < 0) {
                        crash_history_deinit(h);
                        return err_origin(-ENOMEM);
                }
        return 0;
}

void crash_history_deinit(CrashHistory *h)
{
        for (size_t i = 0; i < CRASH_SIGNATURES_MAX; i++)
                event_window_deinit(&h->entries[i].times);
        *h = (CrashHistory){};
}

static size_t entry_find(CrashHistory *h, const char *signature)
{
        size_t oldest = 0;

        for (size_t i = 0; i < h->n_entries; i++) {
                if (strcmp(h->entries[i].signature, signature) == 0)
                        return i;
                if (h->entries[i].last < h->entries[oldest].last)
                        oldest = i;
        }
        if (h->n_entries < CRASH_SIGNATURES_MAX)
                oldest = h->n_entries++;
        event_window_clear(&h->entries[oldest].times);
        text_copy(h->entries[oldest].signature, sizeof(h->entries[oldest].signature), signature);
        return oldest;
}

const CrashWindow *crash_history_add(CrashHistory *h, const char *signature, usec_t mono)
{
        size_t e = entry_find(h, signature);
        const CrashWindow *found = NULL;

        event_window_add(&h->entries[e].times, mono);
        h->entries[e].last = mono;
        for (size_t i = 0; i < h->n_windows; i++) {
                const CrashWindow *w = h->windows + i;

                if (event_window_reached(&h->entries[e].times, w->count, w->within, mono) &&
                    (!found || w->within < found->within))
                        found = w;
        }
        return found;
}

/*
 * windows - counting within a time
 *
 * Event rules count log entries here, the run watch counts crashes. Counting cannot fail: room for one crash
 * signature is taken at the start, more when there are more, and it is bounded whatever a service does. Crash
 * loops are looked for in several windows at once, because a rule with one short window never sees a slow
 * loop. Test: tests/unit/test_windows.c.
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

/* One more, unused. NULL on ENOMEM: then all is as it was. */
static CrashSignature *entry_append(CrashHistory *h)
{
        CrashSignature entry = {}, *more;

        if (event_window_init(&entry.times, h->size) < 0)
                return NULL;
        more = reallocarray(h->entries, h->n_entries + 1, sizeof(*more));
        if (!more) {
                event_window_deinit(&entry.times);
                return NULL;
        }
        h->entries = more;
        more[h->n_entries] = entry;
        return more + h->n_entries++;
}

int crash_history_init(CrashHistory *h, const CrashWindow *windows, size_t n)
{
        *h = (CrashHistory){ .windows = windows, .n_windows = n, .size = 1 };
        for (size_t i = 0; i < n; i++)
                if (windows[i].count > h->size)
                        h->size = windows[i].count;
        return entry_append(h) ? 0 : err_origin(-ENOMEM);
}

void crash_history_deinit(CrashHistory *h)
{
        for (size_t i = 0; i < h->n_entries; i++)
                event_window_deinit(&h->entries[i].times);
        free(h->entries);
        *h = (CrashHistory){};
}

static CrashSignature *entry_find(CrashHistory *h, const char *signature)
{
        CrashSignature *oldest = h->entries, *fresh = NULL;

        for (size_t i = 0; i < h->n_entries; i++) {
                if (strcmp(h->entries[i].signature, signature) == 0)
                        return h->entries + i;
                if (h->entries[i].last < oldest->last)
                        oldest = h->entries + i;
        }
        if (*oldest->signature && h->n_entries < CRASH_SIGNATURES_MAX)
                fresh = entry_append(h);
        if (fresh)
                oldest = fresh;
        event_window_clear(&oldest->times);
        text_copy(oldest->signature, sizeof(oldest->signature), signature);
        return oldest;
}

const CrashWindow *crash_history_add(CrashHistory *h, const char *signature, usec_t mono)
{
        CrashSignature *e = entry_find(h, signature);
        const CrashWindow *found = NULL;

        event_window_add(&e->times, mono);
        e->last = mono;
        for (size_t i = 0; i < h->n_windows; i++) {
                const CrashWindow *w = h->windows + i;

                if (event_window_reached(&e->times, w->count, w->within, mono) &&
                    (!found || w->within < found->within))
                        found = w;
        }
        return found;
}

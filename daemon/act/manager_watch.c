/*
 * manager_watch - news of units, so that what is known of them is never old
 *
 * Used by manager_systemd: its processes() may be called from a worker at any time, and must know the control
 * groups although ControlGroup is a property that tells of no change by itself. So each PropertiesChanged of
 * a unit has it read anew, at most once a second.
 *
 * Diagnostics: a unit that cannot be read is reported with its failure; the next change has it tried again.
 * Tests: tests/integration/test_manager_systemd.c.
 */
#include "act/manager_unit.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN USEC_PER_SEC

typedef struct WatchedUnit {
        ManagerWatch *watch;
        char *name;
        UnitFetch *fetch;
        Turn turn;          /* to fetch it */
        sd_bus_slot *match; /* once its path is known */
        sd_event_source *timer;
        usec_t not_before; /* CLOCK_MONOTONIC */
} WatchedUnit;

struct ManagerWatch {
        SystemdBus bus;
        UnitFetched seen;
        void *userdata;
        WatchedUnit **units; /* each at an address of its own: callbacks have it */
        size_t n_units;
};

static int on_changed(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
        WatchedUnit *u = userdata;

        (void)signal;
        (void)error;
        (void)sd_event_source_set_time(u->timer, u->not_before);
        (void)sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
        return 0;
}

static void on_fetched(void *userdata, UnitInfo *info, const BusFailure *failure)
{
        WatchedUnit *u = userdata;
        ManagerWatch *w = u->watch;

        u->fetch = unit_fetch_free(u->fetch);
        turn_end(&u->turn);
        if (info && !u->match)
                (void)sd_bus_match_signal_async(w->bus.bus, &u->match, w->bus.destination, info->path,
                                                "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                                on_changed, NULL, u);
        w->seen(w->userdata, info, failure);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        WatchedUnit *u = userdata;

        (void)s;
        (void)usec;
        (void)sd_event_now(u->watch->bus.event, CLOCK_MONOTONIC, &u->not_before);
        u->not_before += AGAIN;
        turn_ask(u->watch->bus.turns, &u->turn);
        return 0;
}

static void on_turn(void *userdata)
{
        WatchedUnit *u = userdata;

        if (unit_fetch_new(&u->fetch, &u->watch->bus, u->name, on_fetched, u) < 0)
                turn_end(&u->turn);
}

static WatchedUnit *watched_free(WatchedUnit *u)
{
        turn_end(&u->turn);
        unit_fetch_free(u->fetch);
        sd_bus_slot_unref(u->match);
        sd_event_source_disable_unref(u->timer);
        free(u->name);
        free(u);
        return NULL;
}

int manager_watch_add(ManagerWatch *w, const char *name)
{
        for (size_t i = 0; i < w->n_units; i++)
                if (strcmp(w->units[i]->name, name) == 0)
                        return 0;

        WatchedUnit **grown = reallocarray(w->units, w->n_units + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        w->units = grown;
        WatchedUnit *u = calloc(1, sizeof(*u));
        if (!u)
                return err_origin(-ENOMEM);
        u->watch = w;
        u->turn = (Turn){ .go = on_turn, .userdata = u };
        u->name = strdup(name);
        int r = u->name ? 0 : -ENOMEM;
        if (r == 0)
                r = sd_event_add_time_relative(w->bus.event, &u->timer, CLOCK_MONOTONIC, 0, 0, on_timer, u);
        if (r < 0) {
                watched_free(u);
                return err_origin(r);
        }
        w->units[w->n_units++] = u;
        return 0;
}

int manager_watch_new(ManagerWatch **ret, const SystemdBus *bus, char *const *units, UnitFetched seen,
                      void *userdata)
{
        ManagerWatch *w = calloc(1, sizeof(*w));
        if (!w)
                return err_origin(-ENOMEM);

        w->bus = *bus;
        w->seen = seen;
        w->userdata = userdata;
        int r = 0;
        for (char *const *u = units; r == 0 && u && *u; u++)
                r = manager_watch_add(w, *u);
        if (r < 0) {
                manager_watch_free(w);
                return err_trace(r);
        }
        *ret = w;
        return 0;
}

ManagerWatch *manager_watch_free(ManagerWatch *w)
{
        if (!w)
                return NULL;
        for (size_t i = 0; i < w->n_units; i++)
                watched_free(w->units[i]);
        free(w->units);
        free(w);
        return NULL;
}

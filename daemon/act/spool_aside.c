/*
 * spool_aside - a whole store into hold
 *
 * Setting aside is one exchange of each directory with a clone of its empty skeleton. If the inventory just
 * taken has seen nothing but messages in the store and nothing in hold, and no folder has changed since
 * (spool_survey.c), that is all: it takes the same time for ten messages and for a million. Else it is
 * placing with every message held (spool_place.c), which reads both sides first and, where a directory
 * cannot be exchanged, moves files in slices and says so. The manifest is made afterwards:
 * spool_manifest.c. Test: tests/unit/test_spool_aside.c.
 */
#include "act/spool_private.h"

#include <string.h>

/* The long way: read, decide, exchange or move. */
#define ASIDE_E_READ 1

/* Is there nothing in the way of exchanging whole directories at once? */
static bool is_swift(const SpoolSurvey *v, const SpoolTrees *t, const SpoolPlacement *p)
{
        if (v->roster != p->roster || v->pass != p->roster->pass ||
            strcmp(v->incident ?: "", p->incident) != 0 || (p->report && p->report->live))
                return false;
        for (SpoolSide side = 0; side < _SIDE_MAX; side++)
                if (!survey_holds(v, t, side))
                        return false;
        for (size_t d = 0; d < t->n; d++) {
                const SpoolTally *tally = v->list.tally + d * _SIDE_MAX;

                if (tally[SIDE_HOLD].files + tally[SIDE_HOLD].strange + tally[SIDE_SPARE].files +
                                    tally[SIDE_SPARE].strange >
                            0 ||
                    (tally[SIDE_STORE].files > 0 && tally[SIDE_STORE].strange > 0))
                        return false;
        }
        return true;
}

/* Directories with control files go first, as when files are moved. */
static int dirs_exchange(SpoolSurvey *v, SpoolTrees *t, const SpoolPlacement *p)
{
        for (int last = 1; last >= 0; last--)
                for (size_t d = 0; d < t->n; d++) {
                        const SpoolTally *tally = spool_list_tally(&v->list, d, SIDE_STORE);
                        int r;

                        if (tally->files == 0 || (tally->last > 0) != (bool)last)
                                continue;
                        r = spool_exchange(t, &v->list, d, p->report);
                        if (r != 0)
                                return r < 0 ? err_trace(r) : ASIDE_E_READ;
                        survey_exchanged(v, d);
                }
        return 0;
}

static void roster_set_aside(Roster *roster, size_t store)
{
        for (size_t i = 0; i < roster->n; i++) {
                RosterEntry *e = roster->entries + i;

                if (e->store != store || !(e->place & PLACE_STORE))
                        continue;
                e->place = (uint8_t)((e->place & ~PLACE_STORE) | PLACE_HOLD);
                e->flags |= MESSAGE_WAS_HELD;
        }
}

static int store_swift(Spool *s, size_t store, const SpoolPlacement *p)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        SpoolSurvey *v = s->surveys + store;
        int r;

        r = spool_trees_open(&t, s, store, p->incident, p->report);
        if (r < 0)
                return err_trace(r);
        if (!is_swift(v, &t, p))
                return ASIDE_E_READ;
        r = spool_trees_make(&t, p->incident, p->report);
        if (r == 0)
                r = dirs_exchange(v, &t, p);
        if (r == 0)
                roster_set_aside(p->roster, store);
        /* Exchanged in part: where what is has to be read. */
        if (r != 0)
                v->roster = NULL;
        return r < 0 ? err_trace(r) : r;
}

int spool_set_aside(Spool *s, const char *incident, Roster *roster, size_t store, SpoolReport *report)
{
        SpoolPlacement p = { .incident = incident, .roster = roster, .report = report };
        int r = 0;

        if (!spool_name_ok(incident) || (store != STORE_ALL && store >= s->n_stores))
                return err_origin(-EINVAL);
        for (size_t i = 0; r >= 0 && i < s->n_stores; i++) {
                if (store != STORE_ALL && store != i)
                        continue;
                r = store_swift(s, i, &p);
                if (r == ASIDE_E_READ) {
                        /* Whatever was refused is tried, and named, once more. */
                        if (report && report->data)
                                (void)json_object_del(report->data, "fallback");
                        r = spool_store_place(s, i, &p);
                }
        }
        message_set_deinit(&p.half);
        return r < 0 ? err_trace(r) : 0;
}

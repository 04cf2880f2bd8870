/*
 * spool_scan - which messages there are, and where
 *
 * spool_inventory() walks the store, its tree in hold and the quarantine of each store once, and leaves the
 * roster as the disk is. It reads only, and may run beside a live server: a message that is renamed from one
 * directory of a store to another while the walk is between the two looks gone, so the directories are read
 * once more before anything is said to be consumed. A message is new once: its state of being odd or empty is
 * looked at then, with one stat. Fails if a directory cannot be read; the roster then has what was seen until
 * there. Test: tests/unit/test_spool_scan.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Scan {
        Spool *spool;
        const char *incident;
        Roster *roster;
        SpoolReport *report;
        bool first;
        size_t known; /* entries before this inventory */
        Inventory counts;
        /* The directory under way. */
        size_t store;
        const SpoolDir *dir;
        Place place;
} Scan;

/* The first sight of @e in this inventory. */
static void entry_begin(Scan *s, RosterEntry *e)
{
        bool is_new = e->pass == 0;

        if (is_new && !(e->flags & (MESSAGE_BEFORE | MESSAGE_ARRIVED)))
                e->flags |= s->first ? MESSAGE_BEFORE : MESSAGE_ARRIVED;
        s->counts.arrived += is_new && !s->first;
        e->pass = s->roster->pass;
        e->place = 0;
        /* It is back, or had only been between two directories. */
        e->flags &= (uint16_t) ~(MESSAGE_CONSUMED | MESSAGE_LOST);
}

/* A regular file that holds nothing, or that its owner must not read, is a suspect like a FIFO. */
static bool is_odd_file(const Scan *s, const SpoolSeen *seen)
{
        const StoreSettings *settings = s->spool->stores[s->store].settings;
        struct stat st;

        if (seen->odd)
                return true;
        /* Of a message of several files only the control file is never empty. */
        if (seen->type != FILE_REGULAR ||
            (settings->layout.last &&
             !layout_is_last(s->spool->stores[s->store].layout, seen->path, seen->len)))
                return false;
        return fstatat(seen->dirfd, seen->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
               (st.st_size == 0 || !(st.st_mode & 0444));
}

static void entry_ignore(const Scan *s, RosterEntry *e, const SpoolSeen *seen, bool again)
{
        char **patterns = s->spool->service->stall.ignore;

        if (!patterns || s->place != PLACE_STORE)
                return;
        if (!path_is_ignored_in(patterns, s->dir->path, seen->path))
                e->flags &= (uint16_t)~MESSAGE_IGNORED;
        else if (!again)
                e->flags |= MESSAGE_IGNORED;
}

static int scan_message(Scan *s, const SpoolSeen *seen)
{
        RosterEntry *e;
        bool again;
        uint32_t i;
        int r;

        r = roster_add(s->roster, (unsigned)s->store, seen->id, seen->id_len, &i);
        if (r < 0)
                return err_trace(r);
        e = s->roster->entries + i;
        again = e->pass == s->roster->pass;
        if (!again)
                entry_begin(s, e);
        /* Only once: whoever clears it of suspicion is not contradicted by the next inventory. */
        if (i >= s->known && is_odd_file(s, seen))
                e->flags |= MESSAGE_SUSPECT;
        entry_ignore(s, e, seen, again && e->place & PLACE_STORE);
        e->place |= (uint8_t)s->place;
        if (s->place == PLACE_HOLD)
                e->flags |= MESSAGE_WAS_HELD;
        return 0;
}

static int scan_visit(void *userdata, const SpoolSeen *seen)
{
        Scan *s = userdata;

        switch (seen->kind) {
        case KIND_MESSAGE:
                return scan_message(s, seen);
        case KIND_FOLDER:
        case KIND_SKIPPED:
                return 0;
        case KIND_MOUNT:
                spool_note(s->report, "mounts", s->dir->path, seen->path, -EXDEV);
                return 0;
        case KIND_FOREIGN:
                spool_note(s->report, s->place == PLACE_HOLD ? "foreign_held" : "foreign", s->dir->path,
                           seen->path, 0);
                return 0;
        }
        return err_origin(-ENOTRECOVERABLE);
}

/* One side of all directories of the store. */
static int scan_side(Scan *s, const SpoolTrees *t, SpoolSide side)
{
        s->place = side == SIDE_STORE ? PLACE_STORE : PLACE_HOLD;
        for (size_t d = 0; d < t->n; d++) {
                int r;

                if (t->trees[d].root[side] < 0)
                        continue;
                s->dir = t->trees[d].dir;
                r = spool_walk(t->store, s->dir, t->trees[d].root[side], scan_visit, s);
                if (r < 0)
                        return spool_fail(s->report, err_trace(r), "cannot read", s->dir->path, NULL);
        }
        return 0;
}

static int scan_shelved(void *userdata, Shelved *q)
{
        Scan *s = userdata;
        RosterEntry *e;
        uint32_t i;
        int r;

        if (q->store != s->store ||
            strcmp(json_string_value(json_object_get(q->json, "incident")) ?: "", s->incident) != 0)
                return 0;
        r = roster_add(s->roster, (unsigned)s->store, q->message.id, strlen(q->message.id), &i);
        if (r < 0)
                return err_trace(r);
        e = s->roster->entries + i;
        if (e->pass != s->roster->pass)
                entry_begin(s, e);
        e->place |= PLACE_QUARANTINE;
        return 0;
}

/* In none of the three places, and not yet said so. */
static bool is_missing(const Scan *s, const RosterEntry *e)
{
        return e->store == s->store && e->pass != s->roster->pass &&
               !(e->flags & (MESSAGE_CONSUMED | MESSAGE_LOST));
}

static bool store_misses(const Scan *s)
{
        for (size_t i = 0; i < s->roster->n; i++)
                if (is_missing(s, s->roster->entries + i))
                        return true;
        return false;
}

static void store_finish(Scan *s, bool ran)
{
        for (size_t i = 0; i < s->roster->n; i++) {
                RosterEntry *e = s->roster->entries + i;

                if (e->store != s->store)
                        continue;
                if (is_missing(s, e)) {
                        e->place = 0;
                        e->flags |= ran ? MESSAGE_CONSUMED : MESSAGE_LOST;
                        s->counts.vanished++;
                        continue;
                }
                s->counts.in_store += (e->place & PLACE_STORE) != 0;
                s->counts.in_hold += (e->place & PLACE_HOLD) != 0;
                s->counts.in_quarantine += (e->place & PLACE_QUARANTINE) != 0;
        }
}

static int scan_store(Scan *s, bool ran)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        int r;

        r = spool_trees_open(&t, s->spool, s->store, s->incident, s->report);
        if (r < 0)
                return err_trace(r);
        /* Hold last: what a call before this one moved there is seen at least once. */
        r = scan_side(s, &t, SIDE_STORE);
        if (r < 0)
                return err_trace(r);
        r = scan_side(s, &t, SIDE_HOLD);
        if (r == 0)
                r = scan_side(s, &t, SIDE_SPARE);
        if (r < 0)
                return err_trace(r);
        if (s->incident) {
                r = shelf_walk(s->spool, t.store, NULL, scan_shelved, s);
                if (r < 0)
                        return spool_fail(s->report, err_trace(r), "cannot read the quarantine in",
                                          t.store->settings->hold, NULL);
        }
        if (store_misses(s)) {
                SpoolReport *report = s->report;

                s->report = NULL; /* everything was said once */
                r = scan_side(s, &t, SIDE_STORE);
                s->report = report;
                if (r < 0)
                        return err_trace(r);
        }
        store_finish(s, ran);
        return 0;
}

/* A new number that no entry bears. */
static void roster_next_pass(Roster *roster)
{
        if (++roster->pass != 0)
                return;
        /* 0 is for those that no inventory has seen. */
        roster->pass = 2;
        for (size_t i = 0; i < roster->n; i++)
                roster->entries[i].pass = roster->entries[i].pass != 0;
}

int spool_inventory(Spool *s, const char *incident, Roster *roster, bool first, bool ran, SpoolReport *report)
{
        Scan scan = {
                .spool = s,
                .incident = incident,
                .roster = roster,
                .report = report,
                .first = first,
                .known = roster->n,
        };

        static const char *const notes[] = { "mounts", "foreign", "foreign_held" };

        if (incident && !spool_name_ok(incident))
                return err_origin(-EINVAL);
        roster_next_pass(roster);
        /* The report is of this inventory, whatever one before it found. */
        for (size_t i = 0; report && i < ELEMENTSOF(notes); i++)
                (void)json_object_del(report->data, notes[i]);
        for (; scan.store < s->n_stores; scan.store++) {
                int r;

                if (spool_cancelled(report))
                        return err_origin(-ECANCELED);
                r = scan_store(&scan, ran);
                if (r < 0)
                        return err_trace(r);
        }
        if (report && report->inventory)
                *report->inventory = scan.counts;
        return 0;
}

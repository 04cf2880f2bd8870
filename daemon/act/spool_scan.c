/*
 * spool_scan - which messages there are, and where
 *
 * spool_inventory() walks the store, its tree in hold and the quarantine of each store once, and leaves the
 * roster as the disk is. It reads only, and may run beside a live server: a message that is renamed from one
 * directory of a store to another while the walk is between the two is not seen, so the directories are read
 * once more before anything is said to be consumed, and if the first inventory saw them change. A side
 * in which nothing has changed since the last inventory (spool_survey.c) is not read again. A message is new
 * once: its state of being odd or empty is looked at then, with one stat. Fails if a directory cannot be
 * read; the roster then has what was seen until there. Test: tests/unit/test_spool_scan.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

typedef struct Scan {
        Spool *spool;
        const char *incident;
        Roster *roster;
        SpoolReport *report;
        bool first;
        size_t known; /* entries before this inventory */
        Inventory counts;
        struct timespec now; /* when it began */
        uint16_t last_pass;  /* the roster's before */
        /* The directory under way. */
        size_t store, d;
        const SpoolDir *dir;
        SpoolSide side;
        Place place;
        SpoolKnown culprits; /* of the store under way */
} Scan;

static SpoolSurvey *scan_survey(const Scan *s)
{
        return s->spool->surveys + s->store;
}

static SpoolTally *scan_tally(const Scan *s)
{
        return spool_list_tally(&scan_survey(s)->list, s->d, s->side);
}

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
        SpoolTally *tally = scan_tally(s);
        RosterEntry *e;
        bool again;
        uint32_t i;
        int r;

        if (tally->files++ % SPOOL_SLICE == 0 && spool_cancelled(s->report))
                return err_origin(-ECANCELED);
        tally->last += layout_is_last(s->spool->stores[s->store].layout, seen->path, seen->len);
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
        if (i >= s->known && seen->type == FILE_REGULAR &&
            spool_known_has(&s->culprits, seen->dirfd, seen->name))
                e->flags |= MESSAGE_KNOWN;
        entry_ignore(s, e, seen, again && e->place & PLACE_STORE);
        e->place |= (uint8_t)s->place;
        if (s->place == PLACE_HOLD)
                e->flags |= MESSAGE_WAS_HELD;
        return 0;
}

/* A folder, or the top of the tree with the path "". */
static int scan_folder(Scan *s, int dirfd, const char *name, const char *path, size_t len)
{
        const SpoolItem item = { .message = SPOOL_NOBODY,
                                 .dir = (uint16_t)s->d,
                                 .side = (uint8_t)s->side,
                                 .wanted = (uint8_t)s->side,
                                 .type = FILE_DIRECTORY };
        struct stat st;
        bool known = fstatat(dirfd, name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0;

        return err_trace(survey_add(scan_survey(s), &item, path, len, known ? &st : NULL, &s->now));
}

static int scan_visit(void *userdata, const SpoolSeen *seen)
{
        Scan *s = userdata;

        switch (seen->kind) {
        case KIND_MESSAGE:
                return scan_message(s, seen);
        case KIND_FOLDER:
                return scan_folder(s, seen->dirfd, seen->name, seen->path, seen->len);
        case KIND_SKIPPED:
                scan_tally(s)->strange++;
                return 0;
        case KIND_MOUNT:
                scan_tally(s)->strange++;
                spool_note(s->report, "mounts", s->dir->path, seen->path, -EXDEV);
                return 0;
        case KIND_FOREIGN:
                scan_tally(s)->strange++;
                spool_note(s->report, s->place == PLACE_HOLD ? "foreign_held" : "foreign", s->dir->path,
                           seen->path, 0);
                return 0;
        }
        return err_origin(-ENOTRECOVERABLE);
}

/* One side of all directories of the store. */
static int scan_side(Scan *s, const SpoolTrees *t, SpoolSide side)
{
        int r;

        s->side = side;
        s->place = side == SIDE_STORE ? PLACE_STORE : PLACE_HOLD;
        r = survey_begin(scan_survey(s), t->n, side);
        if (r < 0)
                return err_trace(r);
        for (s->d = 0; s->d < t->n; s->d++) {
                const SpoolTree *tree = t->trees + s->d;

                if (tree->root[side] < 0)
                        continue;
                s->dir = tree->dir;
                r = scan_folder(s, tree->root[side], "", "", 0);
                if (r == 0)
                        r = spool_walk(t->store, s->dir, tree->root[side], scan_visit, s);
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
        /* What the server holds may lie in the store, and is no mail there. */
        e->place = q->message.native ? PLACE_QUARANTINE : e->place | PLACE_QUARANTINE;
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

/* What the last inventory saw in these places is still there. */
static void places_keep(Scan *s, unsigned places)
{
        for (size_t i = 0; i < s->roster->n; i++) {
                RosterEntry *e = s->roster->entries + i;
                uint8_t kept = e->place & (uint8_t)places;

                if (e->store != s->store || e->pass != s->last_pass || !kept)
                        continue;
                entry_begin(s, e);
                e->place = kept;
        }
}

/* Does the survey say all that a walk of @side would? Strange entries are named in every report. */
static bool side_is_known(const Scan *s, const SpoolTrees *t, SpoolSide side)
{
        const SpoolSurvey *v = scan_survey(s);

        if (v->roster != s->roster || v->pass != s->last_pass || s->last_pass == 0 ||
            strcmp(v->incident ?: "", s->incident ?: "") != 0 || !survey_holds(v, t, side))
                return false;
        for (size_t d = 0; d < t->n; d++)
                if (v->list.tally[d * _SIDE_MAX + side].strange > 0)
                        return false;
        return true;
}

static int scan_sides(Scan *s, const SpoolTrees *t)
{
        bool in_store = side_is_known(s, t, SIDE_STORE);
        bool in_hold = side_is_known(s, t, SIDE_HOLD) && side_is_known(s, t, SIDE_SPARE);
        int r = 0;

        places_keep(s, (in_store ? PLACE_STORE : 0) | (in_hold ? PLACE_HOLD : 0));
        /* Hold last: what a call before this one moved there is seen at least once. */
        if (!in_store)
                r = scan_side(s, t, SIDE_STORE);
        if (r == 0 && !in_hold)
                r = scan_side(s, t, SIDE_HOLD);
        if (r == 0 && !in_hold)
                r = scan_side(s, t, SIDE_SPARE);
        return err_trace(r);
}

/* The inventory of this store has come to its end: the survey counts. */
static int survey_close(Scan *s)
{
        SpoolSurvey *v = scan_survey(s);

        free(v->incident);
        v->incident = s->incident ? strdup(s->incident) : NULL;
        v->roster = s->roster;
        v->pass = s->roster->pass;
        return s->incident && !v->incident ? err_origin(-ENOMEM) : 0;
}

static int scan_store(Scan *s, bool ran)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        int r;

        r = spool_trees_open(&t, s->spool, s->store, s->incident, s->report);
        if (r < 0)
                return err_trace(r);
        r = scan_sides(s, &t);
        if (r < 0)
                return err_trace(r);
        if (s->incident) {
                r = shelf_walk(s->spool, t.store, NULL, scan_shelved, s);
                if (r < 0)
                        return spool_fail(s->report, err_trace(r), "cannot read the quarantine in",
                                          t.store->settings->hold, NULL);
        }
        if (store_misses(s) || (s->first && !survey_holds(scan_survey(s), &t, SIDE_STORE))) {
                SpoolReport *report = s->report;

                s->report = NULL; /* everything was said once */
                r = scan_side(s, &t, SIDE_STORE);
                s->report = report;
                if (r < 0)
                        return err_trace(r);
        }
        store_finish(s, ran);
        return err_trace(survey_close(s));
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
        scan.last_pass = roster->pass;
        roster_next_pass(roster);
        if (roster->pass <= scan.last_pass)
                scan.last_pass = 0; /* they are counted anew: no entry bears the last one any more */
        (void)clock_gettime(CLOCK_REALTIME, &scan.now);
        /* The report is of this inventory, whatever one before it found. */
        for (size_t i = 0; report && i < ELEMENTSOF(notes); i++)
                (void)json_object_del(report->data, notes[i]);
        for (; scan.store < s->n_stores; scan.store++) {
                int r;

                if (spool_cancelled(report))
                        return err_origin(-ECANCELED);
                spool_known_load(s->stores + scan.store, &scan.culprits);
                r = scan_store(&scan, ran);
                if (r < 0)
                        return err_trace(r);
        }
        if (report && report->inventory)
                *report->inventory = scan.counts;
        return 0;
}

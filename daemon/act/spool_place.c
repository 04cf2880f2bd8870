/*
 * spool_place - exactly these messages out of the store, all others in it
 *
 * The one procedure behind spool_place() and spool_set_aside(): list both sides of each directory, decide for
 * each file where it belongs, exchange a directory with its tree in hold where that leaves fewer files to
 * rename, and rename the rest. Because it starts from what the disk shows, it is its own repair: called again
 * after a crash at any point, or with another set, it does what is missing. A message whose files a crash
 * left on both sides is completed; one that a quarantine left half done is made whole first
 * (spool_unshelve.c).
 *
 * When to exchange: if fewer renames follow than without it. At the end of an incident, when all goes back,
 * the original directory is preferred, so that the server has the very directory it had before. Never, if
 * something in the store's directory is no message's: a socket, a server's lock file, a mount, what the
 * configuration excludes. What no message owns in the tree in hold (a submitter's temporary file that came
 * along with an exchange) stays where its maker may still look for it, and goes back when nothing else is
 * held of that directory. Test: tests/unit/test_spool_place.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* So many renames cost about as much as cloning a skeleton and syncing it. */
#define EXCHANGE_COST 64
/* So many renames at most to have the original directory back: a tenth of a second or two. */
#define ORIGINAL_WORTH 5000

/* What would have to be renamed of one directory. */
typedef struct Load {
        uint64_t move[_SIDE_MAX]; /* now on that side, wanted on the other */
        uint64_t stay[_SIDE_MAX];
        bool last;
} Load;

/* Does the service live? Then files go back, and none is taken. */
static bool is_live(const SpoolPlacement *p)
{
        return p->report && p->report->live;
}

static bool is_held(const SpoolPlacement *p, uint32_t message)
{
        return !p->held || message_set_has(p->held, message);
}

/* Half of it lies in a quarantine that cannot be finished or undone now: where the rest is, it stays. */
static bool is_half(const SpoolPlacement *p, uint32_t message)
{
        return message_set_has(&p->half, message);
}

/* Where each file belongs, and how much that is for each directory. */
static void items_decide(const SpoolPlacement *p, SpoolList *l, Load *loads)
{
        for (size_t i = 0; i < l->n_items; i++) {
                SpoolItem *item = l->items + i;
                Load *load = loads + item->dir;

                if (item->message == SPOOL_NOBODY)
                        continue;
                if (is_half(p, item->message))
                        item->wanted = item->side;
                else if (!is_held(p, item->message))
                        item->wanted = SIDE_STORE;
                else if (item->side == SIDE_STORE && !is_live(p))
                        item->wanted = SIDE_HOLD;
                load->last = load->last || item->last;
                if (item->wanted == item->side)
                        load->stay[item->side]++;
                else
                        load->move[item->side]++;
        }
        for (size_t i = 0; i < l->n_items; i++) {
                SpoolItem *item = l->items + i;
                const Load *load = loads + item->dir;

                if (item->message == SPOOL_NOBODY && load->stay[SIDE_HOLD] + load->move[SIDE_STORE] == 0)
                        item->wanted = SIDE_STORE;
        }
}

/* Was the directory now in hold there before the one now in the store? Unknown counts as no. */
static bool hold_is_original(const SpoolTree *tree)
{
        struct statx store, hold;

        if (tree->root[SIDE_HOLD] < 0 ||
            statx(tree->root[SIDE_STORE], "", AT_EMPTY_PATH, STATX_BTIME, &store) < 0 ||
            statx(tree->root[SIDE_HOLD], "", AT_EMPTY_PATH, STATX_BTIME, &hold) < 0 ||
            !(store.stx_mask & hold.stx_mask & STATX_BTIME))
                return false;
        if (hold.stx_btime.tv_sec != store.stx_btime.tv_sec)
                return hold.stx_btime.tv_sec < store.stx_btime.tv_sec;
        return hold.stx_btime.tv_nsec < store.stx_btime.tv_nsec;
}

static bool is_worth_exchange(const SpoolTree *tree, const Load *load, bool all)
{
        uint64_t moves = load->move[SIDE_STORE] + load->move[SIDE_HOLD];
        uint64_t after = load->stay[SIDE_STORE] + load->stay[SIDE_HOLD];
        bool empties = load->stay[SIDE_HOLD] + load->move[SIDE_STORE] == 0;

        if (all)
                return moves > after;
        if (tree->root[SIDE_HOLD] >= 0 && hold_is_original(tree))
                return empties ? after <= ORIGINAL_WORTH || after < moves : moves > 0 && after <= moves;
        return moves > after + EXCHANGE_COST;
}

/* The order of spool_move: control files leave first and come back last. */
static unsigned load_step(const Load *load)
{
        if (load->move[SIDE_STORE] >= load->move[SIDE_HOLD])
                return load->last ? 0 : 1;
        return load->last ? 3 : 2;
}

static int dirs_exchange(SpoolTrees *t, SpoolList *l, const Load *loads, const SpoolPlacement *p)
{
        for (unsigned step = 0; step < 4; step++)
                for (size_t d = 0; d < t->n; d++) {
                        const SpoolTree *tree = t->trees + d;
                        int r;

                        if (load_step(loads + d) != step || !is_worth_exchange(tree, loads + d, !p->held))
                                continue;
                        if (spool_list_tally(l, d, SIDE_STORE)->strange > 0) {
                                if (!p->held)
                                        spool_note(p->report, "fallback", tree->dir->path, NULL, -ENOTEMPTY);
                                continue;
                        }
                        r = spool_exchange(t, l, d, p->report);
                        if (r < 0)
                                return err_trace(r);
                        /* EXCHANGE_E_REFUSED: it is in the report; files are moved instead. */
                }
        return 0;
}

/* The places that the roster knows, from where the files are now. */
static void roster_update(Roster *roster, const SpoolList *l)
{
        for (size_t i = 0; i < l->n_items; i++)
                if (l->items[i].message != SPOOL_NOBODY)
                        roster->entries[l->items[i].message].place &= PLACE_QUARANTINE;
        for (size_t i = 0; i < l->n_items; i++) {
                const SpoolItem *item = l->items + i;
                RosterEntry *e;

                if (item->message == SPOOL_NOBODY || item->gone)
                        continue;
                e = roster->entries + item->message;
                e->place |= item->side == SIDE_STORE ? PLACE_STORE : PLACE_HOLD;
                if (item->side != SIDE_STORE)
                        e->flags |= MESSAGE_WAS_HELD;
        }
}

/* Is there anything at all that goes to hold? Then its folders are made. */
static bool needs_hold(const SpoolList *l)
{
        for (size_t i = 0; i < l->n_items; i++)
                if (l->items[i].side != l->items[i].wanted)
                        return true;
        return false;
}

static int list_place(SpoolTrees *t, SpoolList *l, const Load *loads, const SpoolPlacement *p)
{
        SpoolMoved moved = {};
        int r;

        if (needs_hold(l)) {
                r = spool_trees_make(t, p->incident, p->report);
                if (r < 0)
                        return err_trace(r);
        }
        /* A directory is not taken from under a process. */
        r = is_live(p) ? 0 : dirs_exchange(t, l, loads, p);
        if (r == 0)
                r = spool_list_move(t, l, p->report, &moved);
        roster_update(p->roster, l);
        if (r < 0)
                return err_trace(r);
        spool_count(p->report, "files_out", moved.to[SIDE_HOLD] + moved.to[SIDE_SPARE]);
        spool_count(p->report, "files_back", moved.to[SIDE_STORE]);
        /* Not a single file could go: that is no matter of one message. */
        if (moved.refusal < 0 && moved.to[SIDE_HOLD] + moved.to[SIDE_SPARE] + moved.to[SIDE_STORE] == 0)
                return spool_fail(p->report, err_origin(moved.refusal), "nothing can be moved between",
                                  t->trees[0].dir->path, NULL);
        return 0;
}

int spool_store_place(Spool *s, size_t store, SpoolPlacement *p)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        _cleanup_(spool_list_deinit) SpoolList l = {};
        _cleanup_(freep) Load *loads = NULL;
        SpoolCollect how = { .store = store, .roster = p->roster, .report = p->report };
        int r;

        r = spool_trees_open(&t, s, store, p->incident, p->report);
        if (r < 0)
                return err_trace(r);
        r = spool_unshelve(&t, p->incident, p->roster, &p->half, p->report);
        if (r == 0)
                r = spool_list_collect(&l, &t, &how);
        if (r < 0)
                return err_trace(r);
        loads = calloc(t.n, sizeof(loads[0]));
        if (!loads)
                return err_origin(-ENOMEM);
        /* What has been in hold, if only until now. */
        roster_update(p->roster, &l);
        items_decide(p, &l, loads);
        return err_trace(list_place(&t, &l, loads, p));
}

int spool_place(Spool *s, const char *incident, Roster *roster, const MessageSet *held, size_t store,
                SpoolReport *report)
{
        static const MessageSet nothing;
        /* Inside, none at all means all. */
        SpoolPlacement p = {
                .incident = incident,
                .roster = roster,
                .held = held ? held : &nothing,
                .report = report,
        };
        int r = 0;

        if (!spool_name_ok(incident) || (store != STORE_ALL && store >= s->n_stores))
                return err_origin(-EINVAL);
        for (size_t i = 0; r == 0 && i < s->n_stores; i++)
                if (store == STORE_ALL || store == i)
                        r = spool_store_place(s, i, &p);
        message_set_deinit(&p.half);
        return err_trace(r);
}

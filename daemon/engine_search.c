/*
 * engine_search - between messages and the search: suspects, candidates, who is to be held
 *
 * The search (decide/isolate) counts candidates 0..n-1; `candidates` maps them to roster indices. It is
 * made from what is in hold when the search begins, and grows with mail that arrives meanwhile. Evidence
 * becomes weight here: a message that was in flight weighs SUSPECT_WEIGHT, one that a log line named
 * NAMED_WEIGHT.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

/* So many convictions without one message cleared say that it is not the messages. */
#define EACH_FAILS 5

#define SUSPECT_WEIGHT 1000.0
#define NAMED_WEIGHT   50.0
#define KNOWN_WEIGHT   200.0

static void bits_set(uint64_t *bits, size_t i)
{
        bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool bits_has(const uint64_t *bits, size_t i)
{
        return bits[i / 64] >> (i % 64) & 1;
}

int watch_resolve(Watch *w, const char *path, uint32_t *ret)
{
        const char *id;
        size_t store, len;
        int r = actuator_resolve(w->ports.actuator, path, &store, &id, &len);

        if (r != 0)
                return r;
        r = roster_find(&w->roster, (unsigned)store, id, len, ret);
        if (r == 0)
                return 0;
        r = roster_add(&w->roster, (unsigned)store, id, len, ret);
        /* What was open when the incident opened was there, even if the first inventory has missed it. */
        if (r == 0)
                w->roster.entries[*ret].flags |=
                        w->incident.state == STATE_DIAGNOSING ? MESSAGE_BEFORE : MESSAGE_ARRIVED;
        return r;
}

/* The search index of a message, or SIZE_MAX. */
static size_t search_index(const Watch *w, uint32_t message)
{
        if (message >= w->n_search_of || w->search_of[message] == 0)
                return SIZE_MAX;
        return w->search_of[message] - 1;
}

void watch_spare_canaries(Watch *w)
{
        for (uint32_t k = 0; k < w->roster.n; k++) {
                if (!(w->roster.entries[k].flags & MESSAGE_CANARY) || !message_set_has(&w->suspects, k))
                        continue;
                w->roster.entries[k].flags &= (uint16_t)~MESSAGE_SUSPECT;
                message_set_remove(&w->suspects, k);
                message_set_remove(&w->held, k);
                watch_note(w, REASON_EVIDENCE,
                           "a message in flight is unjamd's own canary: it is no suspect");
        }
}

void watch_suspect(Watch *w, uint32_t message, MessageFlag flag)
{
        if (w->roster.entries[message].flags & MESSAGE_CANARY)
                flag &= ~MESSAGE_SUSPECT;
        w->roster.entries[message].flags |= (uint16_t)flag;
        if (flag & MESSAGE_SUSPECT)
                (void)message_set_add(&w->suspects, message);
        if (search_index(w, message) != SIZE_MAX)
                bits_set(w->inflight, search_index(w, message));
        w->memory_dirty = true;
}

/* Is it still somewhere where it can do harm? */
static bool is_at_large(const Watch *w, uint32_t message)
{
        const RosterEntry *e = &w->roster.entries[message];

        return !(e->flags & (MESSAGE_CONSUMED | MESSAGE_LOST | MESSAGE_CULPRIT)) &&
               !(e->place & PLACE_QUARANTINE);
}

uint64_t watch_fresh_suspects(Watch *w)
{
        uint64_t fresh = 0;

        if (w->incident.rung == RUNG_SUSPECTS) /* they were held, and it failed all the same */
                for (uint32_t k = 0; k < w->roster.n; k++)
                        if (message_set_has(&w->held, k))
                                (void)message_set_add(&w->tried, k);
        for (uint32_t k = 0; k < w->roster.n; k++)
                if (message_set_has(&w->suspects, k) && !message_set_has(&w->tried, k) && is_at_large(w, k))
                        fresh++;
        return fresh;
}

void watch_forget_search(Watch *w)
{
        w->search = isolate_free(w->search);
        free(w->candidates);
        free(w->inflight);
        free(w->search_of);
        w->search_of = NULL;
        w->n_search_of = 0;
        w->candidates = NULL;
        w->inflight = NULL;
        w->n_candidates = w->n_words = 0;
        w->memory.candidates_changed = w->memory.search_changed = true;
        w->memory_dirty = true;
}

/* Room in the map from the roster. */
static int search_of_reserve(Watch *w, uint32_t message)
{
        size_t room = w->roster.n > message ? w->roster.n : (size_t)message + 1;
        uint32_t *map;

        if (message < w->n_search_of)
                return 0;
        map = realloc(w->search_of, room * sizeof(*map));
        if (!map)
                return -ENOMEM;
        memset(map + w->n_search_of, 0, (room - w->n_search_of) * sizeof(*map));
        w->search_of = map;
        w->n_search_of = room;
        return 0;
}

int watch_add_candidate(Watch *w, uint32_t message)
{
        size_t words = (w->n_candidates + 1 + 63) / 64;

        if (search_of_reserve(w, message) < 0)
                return -ENOMEM;
        if (words > w->n_words) {
                size_t room = words * 2;
                uint64_t *bits = realloc(w->inflight, room * sizeof(*bits));

                if (!bits)
                        return -ENOMEM;
                w->inflight = bits;
                memset(bits + w->n_words, 0, (room - w->n_words) * sizeof(*bits));
                w->n_words = room;
        }
        if (w->n_candidates % 1024 == 0) {
                uint32_t *c = realloc(w->candidates, (w->n_candidates + 1024) * sizeof(*c));

                if (!c)
                        return -ENOMEM;
                w->candidates = c;
        }
        w->candidates[w->n_candidates++] = message;
        w->search_of[message] = (uint32_t)w->n_candidates;
        return 0;
}

static double weight_of(const RosterEntry *e)
{
        if (e->flags & MESSAGE_SUSPECT)
                return SUSPECT_WEIGHT;
        if (e->flags & MESSAGE_KNOWN)
                return KNOWN_WEIGHT;
        return e->flags & MESSAGE_NAMED ? NAMED_WEIGHT : 1.0;
}

/* Is this message one that the search must look at? In a search among suspects, only they. */
static bool is_candidate(const Watch *w, uint32_t message)
{
        const RosterEntry *e = &w->roster.entries[message];

        if (!is_at_large(w, message) || !e->place)
                return false;
        if (w->incident.held == HELD_SUSPECTS)
                return message_set_has(&w->suspects, message);
        return w->incident.aside >= w->ladder.n_stores || e->store == w->incident.aside;
}

static int search_begin(Watch *w)
{
        IsolateConfig config = { .max_trials = w->ladder.max_trials - w->incident.trials,
                                 .confidence = w->settings->recovery.confidence,
                                 .seed = w->incident.opened };
        double *weights = calloc(w->roster.n + 1, sizeof(*weights));
        size_t n = 0;
        int r = 0;

        if (!weights)
                return -ENOMEM;
        for (uint32_t k = 0; k < w->roster.n && r == 0; k++)
                if (is_candidate(w, k) && !(w->roster.entries[k].flags & MESSAGE_ARRIVED &&
                                            !(w->roster.entries[k].place & PLACE_HOLD))) {
                        weights[n++] = weight_of(&w->roster.entries[k]);
                        r = watch_add_candidate(w, k);
                }
        if (r == 0)
                r = isolate_new(&w->search, &config, n, weights);
        free(weights);
        return r;
}

/* Mail that arrived since: it is in the store, and it is a candidate like any other. */
static int search_grow(Watch *w)
{
        int r = 0;

        for (uint32_t k = 0; k < w->roster.n && r == 0; k++)
                if (search_index(w, k) == SIZE_MAX && is_candidate(w, k)) {
                        r = watch_add_candidate(w, k);
                        if (r == 0)
                                r = isolate_add(w->search, weight_of(&w->roster.entries[k]));
                }
        return r;
}

/*
 * May this trial begin without a stop: it takes nothing out of a store, and the layouts allow the return?
 */
static bool plan_is_live(const Watch *w, const uint64_t *release)
{
        for (size_t k = 0; k < w->n_candidates; k++) {
                const RosterEntry *e = &w->roster.entries[w->candidates[k]];

                if (!bits_has(release, k) && (e->place & PLACE_STORE))
                        return false;
                if (bits_has(release, k) && (e->place & PLACE_HOLD) &&
                    !w->settings->stores[e->store].layout.live_return)
                        return false;
        }
        return true;
}

static int plan_take(Watch *w, const uint64_t *release)
{
        message_set_clear(&w->held);
        for (size_t k = 0; k < w->n_candidates; k++)
                if (!bits_has(release, k) && is_at_large(w, w->candidates[k])) {
                        int r = message_set_add(&w->held, w->candidates[k]);

                        if (r < 0)
                                return r;
                }
        memset(w->inflight, 0, w->n_words * sizeof(*w->inflight));
        return 0;
}

/*
 * Where each message fails by itself and none was ever cleared, no message is to blame: the relay is down,
 * or the way out is not configured. Convicting on would end with all mail in quarantine.
 */
static bool each_fails(const Watch *w)
{
        size_t convicted = 0;

        for (size_t k = 0; k < w->n_candidates; k++) {
                CandidateState state = isolate_state(w->search, k);

                if (state == CANDIDATE_CLEARED)
                        return false;
                convicted += state == CANDIDATE_CONVICTED;
        }
        return convicted >= EACH_FAILS;
}

int watch_plan(Watch *w, Event *ret)
{
        const uint64_t *release = NULL;
        Event ev = { .kind = EVENT_PLAN_GAVE_UP, .reason = REASON_SEARCH_GAVE_UP };
        int r = w->search ? search_grow(w) : search_begin(w);

        if (r < 0)
                return r;
        w->memory_dirty = w->memory.search_changed = true;
        if (each_fails(w)) {
                ev.reason = REASON_NOT_A_MESSAGE;
                *ret = ev;
                return 0;
        }
        switch (isolate_next(w->search, &release)) {
        case ISOLATE_TRIAL:
                r = plan_take(w, release);
                if (r < 0)
                        return r;
                ev = (Event){ .kind = EVENT_PLAN_TRIAL, .live = plan_is_live(w, release) };
                watch_publish(w, "progress",
                              json_pack("{s:s, s:I, s:I}", "text", "searching", "open",
                                        (json_int_t)isolate_open(w->search), "candidates",
                                        (json_int_t)w->n_candidates));
                break;
        case ISOLATE_DONE:
                ev = (Event){ .kind = EVENT_PLAN_DONE };
                for (size_t k = 0; k < w->n_candidates; k++)
                        ev.n_culprits += isolate_state(w->search, k) == CANDIDATE_CONVICTED;
                break;
        case ISOLATE_GAVE_UP:
                break;
        }
        *ret = ev;
        return 0;
}

/* Those that this report clears, for the record: ids while they are few, else their number. */
static void record_cleared(Watch *w, const bool *was_open)
{
        json_t *ids = json_array();
        uint64_t n = 0;

        for (size_t k = 0; k < w->n_candidates; k++) {
                size_t len;
                const char *id = roster_id(&w->roster, w->candidates[k], &len);

                if (!was_open[k] || isolate_state(w->search, k) != CANDIDATE_CLEARED)
                        continue;
                if (n++ < 100)
                        (void)json_array_append_new(ids, watch_text_id(id, len));
        }
        if (n == 0) {
                json_decref(ids);
                return;
        }
        (void)watch_record(w, AUDIT_MESSAGE_CLEARED,
                           json_pack("{s:{s:I, s:o, s:b}}", "data", "count", (json_int_t)n, "ids", ids,
                                     "complete", n <= 100));
        watch_publish(w, "message", json_pack("{s:s, s:I}", "text", "cleared", "count", (json_int_t)n));
}

int watch_feed(Watch *w, bool failed)
{
        TrialReport report = { .failed = failed, .consumption_seen = true, .inflight = w->inflight };
        uint64_t *consumed, *survived;
        bool *was_open;
        int r = -ENOMEM;

        if (!w->search)
                return 0;
        consumed = calloc(w->n_words + 1, sizeof(*consumed));
        survived = calloc(w->n_words + 1, sizeof(*survived));
        was_open = calloc(w->n_candidates + 1, sizeof(*was_open));
        if (!consumed || !survived || !was_open)
                goto finish;
        for (size_t k = 0; k < w->n_candidates; k++) {
                const RosterEntry *e = &w->roster.entries[w->candidates[k]];

                was_open[k] = isolate_state(w->search, k) == CANDIDATE_UNKNOWN;
                if (e->flags & MESSAGE_CONSUMED)
                        bits_set(consumed, k);
                else if (!failed && (e->place & PLACE_STORE))
                        bits_set(survived, k);
        }
        report.consumed = consumed;
        report.survived = failed ? NULL : survived;
        r = isolate_feed(w->search, &report);
        if (r == 0)
                record_cleared(w, was_open);
        w->memory_dirty = w->memory.search_changed = true;
finish:
        free(consumed);
        free(survived);
        free(was_open);
        return r;
}

void watch_mark_culprits(Watch *w)
{
        for (size_t k = 0; k < w->n_candidates; k++)
                if (w->search && isolate_state(w->search, k) == CANDIDATE_CONVICTED)
                        w->roster.entries[w->candidates[k]].flags |= MESSAGE_CULPRIT;
        /* One that an unjamd before had half in quarantine when it was ended is a culprit no less. */
        for (uint32_t k = 0; !w->search && k < w->roster.n; k++)
                if (message_set_has(&w->held, k) &&
                    !(w->roster.entries[k].flags & (MESSAGE_CONSUMED | MESSAGE_LOST)) &&
                    (w->roster.entries[k].place & (PLACE_HOLD | PLACE_QUARANTINE)))
                        w->roster.entries[k].flags |= MESSAGE_CULPRIT;
        w->memory_dirty = true;
}

json_t *watch_why(const Watch *w)
{
        json_t *all = json_object();

        for (uint32_t k = 0; all && k < w->roster.n; k++) {
                const RosterEntry *e = &w->roster.entries[k];
                size_t index = search_index(w, k), len;
                json_t *evidence, *id;

                if (!(e->flags & MESSAGE_CULPRIT))
                        continue;
                evidence = json_array();
                if (e->flags & MESSAGE_REPEATED)
                        (void)json_array_append_new(evidence, json_string("held_open"));
                else if (e->flags & MESSAGE_SUSPECT)
                        (void)json_array_append_new(evidence, json_string("odd_kind"));
                if (e->flags & MESSAGE_NAMED)
                        (void)json_array_append_new(evidence, json_string("named_in_log"));
                if (e->flags & MESSAGE_KNOWN)
                        (void)json_array_append_new(evidence, json_string("known_digest"));
                if (index != SIZE_MAX)
                        (void)json_array_append_new(evidence, json_string("search"));
                (void)json_array_append_new(evidence, json_string("healthy_without_it"));
                id = watch_text_id(roster_id(&w->roster, k, &len), e->id_len);
                if (id)
                        (void)json_object_set_new(
                                all, json_string_value(id),
                                json_pack("{s:o, s:f, s:b}", "evidence", evidence, "weight",
                                          index != SIZE_MAX ? isolate_weight(w->search, index)
                                                            : SUSPECT_WEIGHT,
                                          "maybe_repeated", !!(e->flags & MESSAGE_REPEATED)));
                else
                        json_decref(evidence);
                json_decref(id);
        }
        return all;
}

/* Is this message to stay held when a recovery gives up: a suspect that was not cleared, or a candidate? */
static bool is_in_doubt(const Watch *w, uint32_t message)
{
        if (!w->search)
                return w->incident.held == HELD_SUSPECTS && message_set_has(&w->suspects, message);
        return search_index(w, message) != SIZE_MAX &&
               isolate_state(w->search, search_index(w, message)) != CANDIDATE_CLEARED;
}

/* One that is in quarantine is held by that; the server's own hold may be in the store. */
static bool is_free_culprit(const Watch *w, uint32_t k)
{
        const RosterEntry *e = w->roster.entries + k;

        return e->flags & MESSAGE_CULPRIT && e->place != PLACE_QUARANTINE;
}

int watch_who_is_held(Watch *w, ActionKind kind, bool keep_open, const MessageSet **ret)
{
        int r = 0;

        *ret = &w->held;
        if (kind == ACTION_PLACE && w->incident.rung != RUNG_SUSPECTS)
                return 0; /* the search's plan */
        if (kind != ACTION_PLACE && kind != ACTION_QUARANTINE && kind != ACTION_RESTORE)
                return 0;
        message_set_clear(&w->held);
        for (uint32_t k = 0; k < w->roster.n && r == 0; k++) {
                bool held = false;

                if (kind == ACTION_PLACE)
                        held = message_set_has(&w->suspects, k) && is_at_large(w, k);
                else if (kind == ACTION_QUARANTINE)
                        held = w->roster.entries[k].flags & MESSAGE_CULPRIT;
                else
                        held = is_free_culprit(w, k) || (keep_open && is_in_doubt(w, k));
                if (held)
                        r = message_set_add(&w->held, k);
        }
        return r;
}

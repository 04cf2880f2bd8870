/*
 * journal_turn - reads the journal for a while, in a worker thread
 *
 * Made by journal, which hands one turn after the other to the same worker: libsystemd's journal object is
 * used by that thread alone. Page faults on journal files and expensive patterns cost time there, not in the
 * loop.
 *
 * Matching: the journal itself selects entries whose _SYSTEMD_UNIT, a field that only journald can set, is a
 * unit of some service, and where every rule of that service names a field's value, only those that have it:
 * other entries cost nothing. Rules are asked after that, so no rule can be satisfied by what another service
 * (or anybody with logger(1)) writes.
 *
 * Place: begins behind the saved cursor, else at the end. Rotation is the library's business. The cursor is
 * saved, durably, when what was found up to it has been reported: at once if something was, else within 5 s.
 * So a crash loses no entry; one that was reported and not saved yet is reported again, under the same
 * cursor.
 *
 * Gaps are reported as such: a cursor whose entry was vacuumed (reading goes on at the next one that is
 * left), a time without unjamd that is longer than what is still of interest, entries that journald
 * suppressed, values that were cut, matches that ran into a limit.
 *
 * Any error closes the journal, is handed to done(), and the next turn opens it again where the last entry
 * was read.
 *
 * Tests: tests/unit/test_journal.c.
 */
#include "observe/journal_turn.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-journal.h>

#define CURSOR_FILE   "journal-cursor"
#define CURSOR_MAX    ((size_t)4096)
#define SAVE_INTERVAL (5 * USEC_PER_SEC)
#define VALUE_MAX     ((size_t)64 * 1024) /* the library's threshold for what it hands out of a field */
#define SUPPRESSED    "Suppressed "
#define TEXT_MAX      ((size_t)8 * 1024)
#define EMPTY_RETRY   (30 * USEC_PER_SEC)

struct JournalPlace {
        char *directory, *state_dir;
        Disk *disk;
        sd_journal *journal;
        char *cursor; /* of the last entry that was read */
        bool loaded, unsaved, current_is_new;
        bool urgent;         /* something was reported since it was saved */
        bool empty;          /* it was opened before there was any journal */
        usec_t saved, begun; /* monotonic; wall */
};

/* Place */

int journal_place_new(JournalPlace **ret, const char *directory, const char *state_dir, Disk *disk)
{
        JournalPlace *p = calloc(1, sizeof(*p));

        if (!p)
                return err_origin(-ENOMEM);
        p->directory = strdup_null(directory);
        p->state_dir = strdup_null(state_dir);
        p->disk = disk;
        p->begun = now_read().wall;
        if ((directory && !p->directory) || (state_dir && !p->state_dir)) {
                journal_place_free(p);
                return err_origin(-ENOMEM);
        }
        *ret = p;
        return 0;
}

JournalPlace *journal_place_free(JournalPlace *p)
{
        if (!p)
                return NULL;
        if (p->journal)
                sd_journal_close(p->journal);
        free(p->directory);
        free(p->state_dir);
        free(p->cursor);
        free(p);
        return NULL;
}

static int state_open(const JournalPlace *p)
{
        int fd = open(p->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* A cursor that can't be read is none: reading begins at the end. */
static void cursor_load(JournalPlace *p)
{
        _cleanup_(closep) int dirfd = p->state_dir && !p->loaded ? state_open(p) : -1;
        size_t len;

        p->loaded = true;
        if (dirfd < 0 || file_read(dirfd, CURSOR_FILE, CURSOR_MAX, &p->cursor, &len) < 0)
                return;
        p->cursor[strcspn(p->cursor, "\n")] = 0;
}

/* What was reached in the turns before has been reported: now it may be saved. */
static void cursor_save(JournalPlace *p)
{
        usec_t now = now_read().mono;
        bool early = p->saved > 0 && usec_sub(now, p->saved) < SAVE_INTERVAL && !p->urgent;

        if (!p->unsaved || !p->state_dir || early)
                return;
        p->saved = now;
        _cleanup_(closep) int dirfd = state_open(p);
        /* Not saved: the worst that comes of it is that entries are read twice after a crash. */
        if (dirfd >= 0 && file_replace(p->disk, dirfd, CURSOR_FILE, p->cursor, strlen(p->cursor), 0600) == 0)
                p->unsaved = p->urgent = false;
}

/* Takes the current entry's cursor for what has been read. */
static int cursor_take(JournalPlace *p)
{
        char *cursor;
        int r = sd_journal_get_cursor(p->journal, &cursor);

        if (r < 0)
                return err_origin(r);
        free(p->cursor);
        p->cursor = cursor;
        p->unsaved = true;
        return 0;
}

/* Entries */

static int field_get(void *userdata, const char *field, const void **ret, size_t *ret_len)
{
        JournalTurn *t = userdata;
        size_t skip = strlen(field) + 1, len;
        const void *data;
        int r = sd_journal_get_data(t->place->journal, field, &data, &len);

        /* Not there, no name of a field, compressed in a way that this library does not know: all "no such
         * field". */
        if (r == -ENOMEM)
                return err_origin(r);
        if (r < 0 || len < skip)
                return 1;
        t->n_cut += len >= VALUE_MAX;
        *ret = (const char *)data + skip;
        *ret_len = len - skip;
        if (strcmp(field, "MESSAGE") == 0)
                t->text = *ret_len >= strlen(SUPPRESSED) && memcmp(*ret, SUPPRESSED, strlen(SUPPRESSED)) == 0
                                  ? JOURNAL_TEXT_SUPPRESSED
                                  : JOURNAL_TEXT_PLAIN;
        return 0;
}

/* A short field as text; empty if it is not there. */
static void field_copy(JournalTurn *t, const char *field, char *buffer, size_t size)
{
        const void *data;
        size_t len;

        buffer[0] = 0;
        if (field_get(t, field, &data, &len) != 0 || len >= size)
                return;
        memcpy(buffer, data, len);
        buffer[len] = 0;
}

/* Room for one more hit, all zero. */
static JournalHit *hit_new(JournalTurn *t)
{
        if (t->n_hits == t->allocated) {
                size_t n = t->allocated ? 2 * t->allocated : 16;
                JournalHit *bigger = reallocarray(t->hits, n, sizeof(*bigger));

                if (!bigger)
                        return NULL;
                t->hits = bigger;
                t->allocated = n;
        }
        t->hits[t->n_hits] = (JournalHit){};
        return &t->hits[t->n_hits++];
}

/* @interest SIZE_MAX: for all of them. */
static int gap_add(JournalTurn *t, size_t interest, const char *text)
{
        for (size_t i = 0; i < t->n_interests; i++) {
                JournalHit *hit = interest == SIZE_MAX || interest == i ? hit_new(t) : NULL;

                if (interest != SIZE_MAX && interest != i)
                        continue;
                if (!hit)
                        return err_origin(-ENOMEM);
                *hit = (JournalHit){ .kind = LOG_GAP, .interest = i, .text = strdup(text) };
                if (!hit->text)
                        return err_origin(-ENOMEM);
        }
        return 0;
}

/* What the rule's match was made on: the field it names, or the message. */
static int hit_capture(JournalTurn *t, JournalHit *hit)
{
        Rules *rules = t->interests[hit->interest]->rules;
        const RuleSettings *s = rules_settings(rules, hit->rule);
        const char *field = s->field && !s->equals ? s->field : "MESSAGE";
        const void *text;
        size_t len;
        RuleCapture capture;
        int r;

        if (!s->captures || field_get(t, field, &text, &len) != 0)
                return 0;
        r = rules_capture(rules, hit->rule, text, len, &capture);
        if (r < 0)
                return err_trace(r);
        hit->id = capture.id;
        if (capture.pid > 0)
                hit->pid = capture.pid;
        return 0;
}

static int hit_add(JournalTurn *t, LogKind kind, size_t interest, size_t rule)
{
        sd_journal *j = t->place->journal;
        JournalHit *hit = hit_new(t);
        char pid[32], sent[32];
        const void *text = "";
        size_t len = 0;

        if (!hit)
                return err_origin(-ENOMEM);
        *hit = (JournalHit){ .kind = kind, .interest = interest, .rule = rule };
        if (field_get(t, "MESSAGE", &text, &len) < 0)
                len = 0;
        hit->text = text_to_utf8(text, len, len > TEXT_MAX ? TEXT_MAX : len);
        field_copy(t, "_PID", pid, sizeof(pid));
        hit->pid = (pid_t)strtol(pid, NULL, 10);
        /* When it was said, which may be long before journald wrote it down. */
        field_copy(t, "_SOURCE_REALTIME_TIMESTAMP", sent, sizeof(sent));
        hit->wall = strtoull(sent, NULL, 10);
        if (hit->wall == 0 && sd_journal_get_realtime_usec(j, &hit->wall) < 0)
                hit->wall = 0;
        if (!hit->text || sd_journal_get_cursor(j, &hit->cursor) < 0)
                return err_origin(-ENOMEM);
        return kind == LOG_MATCHES ? err_trace(hit_capture(t, hit)) : 0;
}

/* What the current entry says to one service: what it cancels, and what it matches besides. */
static int entry_ask(JournalTurn *t, size_t i)
{
        const RuleEntry entry = { .source = RULE_SOURCE_JOURNAL, .get_field = field_get, .userdata = t };
        Rules *rules = t->interests[i]->rules;
        size_t rule = 0, first = t->n_hits;
        int r;

        while ((r = rules_cancel(rules, &entry, rule, &rule)) == 0) {
                r = hit_add(t, LOG_CANCELS, i, rule++);
                if (r < 0)
                        return err_trace(r);
        }
        rule = 0;
        while (r >= 0 && (r = rules_match(rules, &entry, rule, &rule)) == 0) {
                bool cancelled = false;

                for (size_t k = first; k < t->n_hits; k++)
                        cancelled |= t->hits[k].kind == LOG_CANCELS && t->hits[k].rule == rule;
                if (!cancelled)
                        r = hit_add(t, LOG_MATCHES, i, rule);
                rule++;
        }
        return r < 0 ? err_trace(r) : 0;
}

/* journald says that it dropped entries of a unit, because it wrote too many. */
static int suppressed_take(JournalTurn *t)
{
        char transport[16], unit[256], line[512];
        const void *text;
        size_t len;
        int r = 0;

        field_copy(t, "_TRANSPORT", transport, sizeof(transport));
        if (strcmp(transport, "driver") != 0 || field_get(t, "MESSAGE", &text, &len) != 0)
                return 0;
        field_copy(t, "OBJECT_SYSTEMD_UNIT", unit, sizeof(unit));
        if (unit[0] == '\0') { /* "Suppressed N messages from UNIT", its wording since there is one */
                const char *from = memmem(text, len, " from ", 6);
                size_t left = from ? len - (size_t)(from + 6 - (const char *)text) : 0;

                if (from && left < sizeof(unit))
                        snprintf(unit, sizeof(unit), "%.*s", (int)left, from + 6);
        }
        snprintf(line, sizeof(line), "journal: %.*s", (int)(len < 400 ? len : 400), (const char *)text);
        for (size_t i = 0; r == 0 && i < t->n_interests; i++)
                if (strv_contains(t->interests[i]->units, unit))
                        r = gap_add(t, i, line);
        return err_trace(r);
}

static void hits_drop(JournalTurn *t, size_t n)
{
        while (t->n_hits > n) {
                JournalHit *h = &t->hits[--t->n_hits];

                free(h->text);
                free(h->cursor);
                free(h->id);
        }
}

/*
 * To find a field in an entry costs more than all else. If one service alone reads the journal, whose an
 * entry is needs to be known only when it matches.
 */
static int entry_take_alone(JournalTurn *t)
{
        size_t first = t->n_hits;
        char unit[256];
        int r = entry_ask(t, 0);

        if (r < 0)
                return err_trace(r);
        if (t->n_hits == first)
                return t->text == JOURNAL_TEXT_PLAIN ? 0 : err_trace(suppressed_take(t));
        field_copy(t, "_SYSTEMD_UNIT", unit, sizeof(unit));
        if (strv_contains(t->interests[0]->units, unit))
                return 0;
        hits_drop(t, first);
        return err_trace(suppressed_take(t));
}

/* The current entry: whose is it, and which of their rules does it match? */
static int entry_take(JournalTurn *t)
{
        char unit[256]; /* UNIT_NAME_MAX */
        size_t cut = t->n_cut;
        bool ours = false;
        int r = 0;

        t->text = JOURNAL_TEXT_UNKNOWN;
        if (t->n_interests == 1) {
                r = entry_take_alone(t);
                t->n_cut = cut + (t->n_cut > cut);
                return err_trace(r);
        }

        field_copy(t, "_SYSTEMD_UNIT", unit, sizeof(unit));
        for (size_t i = 0; r >= 0 && i < t->n_interests; i++)
                if (strv_contains(t->interests[i]->units, unit)) {
                        ours = true;
                        r = entry_ask(t, i);
                }
        t->n_cut = cut + (t->n_cut > cut); /* however many rules looked at it */
        return r < 0 || ours ? err_trace(r) : err_trace(suppressed_take(t));
}

/* Values that were cut, and matches that ran into a limit, were no matches; that is to be known. */
static int gaps_take(JournalTurn *t)
{
        char text[128];
        int r = 0;

        if (t->n_cut > 0) {
                snprintf(text, sizeof(text),
                         "journal: %zu message(s) longer than 64 KiB: the rest was not matched", t->n_cut);
                r = gap_add(t, SIZE_MAX, text);
        }
        for (size_t i = 0; r >= 0 && i < t->n_interests; i++) {
                JournalInterest *interest = t->interests[i];
                uint64_t n = rules_limited(interest->rules) - interest->limited;

                if (n == 0)
                        continue;
                interest->limited += n;
                snprintf(text, sizeof(text), "journal: %llu match(es) ran into a limit and count as none",
                         (unsigned long long)n);
                r = gap_add(t, i, text);
        }
        return err_trace(r);
}

static int entries_read(JournalTurn *t)
{
        JournalPlace *p = t->place;
        unsigned n = 0;
        int r = 1;

        while (r > 0 && n < JOURNAL_TURN_MAX && t->n_hits < JOURNAL_HITS_MAX &&
               !atomic_load(&t->job.cancel)) {
                int k;

                r = p->current_is_new ? 1 : sd_journal_next(p->journal);
                p->current_is_new = false;
                if (r <= 0)
                        break;
                k = entry_take(t);
                r = k < 0 ? k : 1;
                n += r > 0;
        }
        if (r < 0) {
                /* What was found will be reported: behind that the next turn goes on. */
                if (t->n_hits > 0 && t->hits[t->n_hits - 1].cursor) {
                        free(p->cursor);
                        p->cursor = strdup(t->hits[t->n_hits - 1].cursor);
                }
                return err_origin(r);
        }
        t->more = r > 0;
        /* At its end the journal still stands at the last entry that it gave. */
        return n > 0 ? err_trace(cursor_take(p)) : 0;
}

/* Opening */

/* Puts the journal behind the last entry that was read, else behind the last there is. */
static int place_seek(JournalTurn *t)
{
        JournalPlace *p = t->place;
        sd_journal *j = p->journal;
        uint64_t wall;
        int r = p->cursor ? sd_journal_seek_cursor(j, p->cursor) : -EINVAL;

        p->current_is_new = false;
        if (r < 0) {
                free(p->cursor);
                p->cursor = NULL;
                if (p->empty) {
                        r = sd_journal_seek_realtime_usec(j, p->begun);
                        return r < 0 ? err_origin(r) : 0;
                }
                r = sd_journal_seek_tail(j);
                if (r >= 0)
                        r = sd_journal_previous(j);
                /* No entry at all yet: then every one to come is new. */
                if (r == 0)
                        r = sd_journal_seek_head(j);
                else if (r > 0)
                        r = cursor_take(p);
                p->urgent = true; /* from here on nothing is missed, whatever becomes of unjamd */
                return r < 0 ? err_origin(r) : 0;
        }
        r = sd_journal_next(j);
        if (r <= 0)
                return r < 0 ? err_origin(r) : 0;
        p->current_is_new = sd_journal_test_cursor(j, p->cursor) <= 0;
        /* Away for long: what happened then is over. */
        if (sd_journal_get_realtime_usec(j, &wall) >= 0 && usec_add(wall, JOURNAL_HISTORY) < p->begun) {
                p->current_is_new = false;
                r = sd_journal_seek_realtime_usec(j, p->begun - JOURNAL_HISTORY);
                if (r >= 0)
                        r = gap_add(
                                t, SIZE_MAX,
                                "journal: unjamd did not run; what was older than 10 min when it began again "
                                "was not looked at");
        }
        return r < 0 ? err_origin(r) : 0;
}

/* Is the entry at which reading ended still there? If it was vacuumed, so may have been some after it. */
static int cursor_check(JournalTurn *t)
{
        JournalPlace *p = t->place;
        int r;

        if (!p->cursor)
                return 0;
        sd_journal_flush_matches(p->journal);
        if (sd_journal_seek_cursor(p->journal, p->cursor) < 0)
                return 0; /* no cursor at all: begins at the end */
        r = sd_journal_next(p->journal);
        if (r > 0 && sd_journal_test_cursor(p->journal, p->cursor) > 0)
                return 0;
        return r < 0 ? err_origin(r)
                     : err_trace(gap_add(
                               t, SIZE_MAX,
                               "journal: the entry at which reading ended is no longer there; entries "
                               "after it may have been vacuumed unread"));
}

static int place_open(JournalPlace *p)
{
        int r;

        cursor_load(p);
        r = p->directory ? sd_journal_open_directory(&p->journal, p->directory, 0)
                         : sd_journal_open(&p->journal, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                p->journal = NULL;
        return r < 0 ? err_origin(r) : 0;
}

/* When to read again though nothing is heard. */
static usec_t timeout_of(const JournalPlace *p)
{
        sd_journal *j = p->journal;
        uint64_t at;

        /* No file yet: journald may come later, and nobody watches for that. */
        if (!p->directory && sd_journal_has_runtime_files(j) == 0 && sd_journal_has_persistent_files(j) == 0)
                return EMPTY_RETRY;
        if (sd_journal_get_timeout(j, &at) < 0 || at == UINT64_MAX)
                return USEC_INFINITY;
        return 2 * USEC_PER_SEC; /* a network file system: what the library itself polls with */
}

static int turn_prepare(JournalTurn *t)
{
        JournalPlace *p = t->place;
        bool opened = !p->journal;
        int r = opened ? place_open(p) : 0;

        if (r >= 0 && opened) {
                r = sd_journal_get_fd(p->journal);
                t->fd = r < 0 ? -1 : fcntl(r, F_DUPFD_CLOEXEC, 3);
        }
        if (r >= 0 && opened)
                r = cursor_check(t);
        if (r >= 0 && (opened || t->rematch)) {
                r = journal_matches_set(p->journal, t->interests, t->n_interests);
                if (r >= 0)
                        r = place_seek(t);
        }
        if (r >= 0)
                r = sd_journal_process(p->journal);
        return r < 0 ? err_origin(r) : 0;
}

int journal_turn_run(Job *job)
{
        JournalTurn *t = (JournalTurn *)job; /* the job is its first member */
        JournalPlace *p = t->place;
        int r;

        cursor_save(p);
        r = turn_prepare(t);
        if (r >= 0)
                r = entries_read(t);
        if (r >= 0)
                r = gaps_take(t);
        if (r >= 0)
                t->timeout = timeout_of(p);
        if (r >= 0 && t->timeout == EMPTY_RETRY)
                p->empty = true;
        if (p->journal && (r < 0 || t->timeout == EMPTY_RETRY)) {
                sd_journal_close(p->journal);
                p->journal = NULL;
        }
        t->closed = !p->journal;
        p->urgent |= t->n_hits > 0;
        if (p->urgent && p->state_dir && p->unsaved)
                t->more = true; /* saved as soon as that is reported */
        t->unsaved = p->unsaved && p->state_dir;
        return r;
}

void journal_turn_free(JournalTurn *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < t->n_interests; i++)
                journal_interest_unref(t->interests[i]);
        free(t->interests);
        hits_drop(t, 0);
        free(t->hits);
        closep(&t->fd);
        free(t);
}

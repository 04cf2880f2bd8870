/*
 * journal_turn - reads the journal for a while, in a worker thread
 *
 * Made by journal, which hands one turn after the other to the same worker: libsystemd's journal object is
 * used by that thread alone. Page faults on journal files and expensive patterns cost time there, not in the
 * loop.
 *
 * Matching: the journal itself selects entries whose _SYSTEMD_UNIT, a field that only journald can set, is a
 * unit of some service; rules are asked after that, so no rule can be satisfied by what another service (or
 * anybody with logger(1)) writes.
 *
 * Place: begins behind the saved cursor, else at the end. A cursor whose entry was vacuumed leads to the next
 * one that is left; rotation is the library's business. The cursor is saved at most every 5 s, durably; after
 * a crash up to 5 s of entries are read twice, which counts of a rule may see.
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
#define TEXT_MAX      ((size_t)8 * 1024)
#define EMPTY_RETRY   (30 * USEC_PER_SEC)

struct JournalPlace {
        char *directory, *state_dir;
        Disk *disk;
        sd_journal *journal;
        char *cursor; /* of the last entry that was read */
        bool loaded, unsaved, current_is_new;
        bool empty;          /* it was opened before there was any journal */
        usec_t saved, begun; /* monotonic; wall */
};

/* Interests */

int journal_interest_new(JournalInterest **ret, char *const *units, const ServiceSettings *settings,
                         Settings *owner, char **ret_error)
{
        JournalInterest *i = calloc(1, sizeof(*i));

        if (!i)
                return err_origin(-ENOMEM);
        i->n_ref = 1;
        i->owner = owner ? settings_ref(owner) : NULL;
        i->units = strv_copy(units);
        int r = i->units || !units ? rules_new(&i->rules, settings->rules, settings->n_rules, ret_error)
                                   : -ENOMEM;
        if (r < 0) {
                journal_interest_unref(i);
                return err_trace(r);
        }
        *ret = i;
        return 0;
}

JournalInterest *journal_interest_ref(JournalInterest *i)
{
        i->n_ref++;
        return i;
}

JournalInterest *journal_interest_unref(JournalInterest *i)
{
        if (!i || --i->n_ref > 0)
                return NULL;
        rules_free(i->rules);
        strv_free(i->units);
        settings_unref(i->owner);
        free(i);
        return NULL;
}

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

static void cursor_save(JournalPlace *p)
{
        usec_t now = now_read().mono;

        if (!p->unsaved || !p->state_dir || (p->saved > 0 && usec_sub(now, p->saved) < SAVE_INTERVAL))
                return;
        p->saved = now;
        _cleanup_(closep) int dirfd = state_open(p);
        /* Not saved: the worst that comes of it is that entries are read twice, or not at all, after a
         * restart. */
        if (dirfd >= 0 && file_replace(p->disk, dirfd, CURSOR_FILE, p->cursor, strlen(p->cursor), 0600) == 0)
                p->unsaved = false;
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

static int matches_set(JournalPlace *p, JournalInterest *const *interests, size_t n)
{
        size_t units = 0;
        int r = 0;

        sd_journal_flush_matches(p->journal);
        for (size_t i = 0; i < n; i++)
                for (char **unit = interests[i]->units; r >= 0 && unit && *unit; unit++, units++) {
                        _cleanup_(freep) char *match = NULL;
                        if (asprintf(&match, "_SYSTEMD_UNIT=%s", *unit) < 0) {
                                match = NULL;
                                return err_origin(-ENOMEM);
                        }
                        /* Matches of one field are alternatives. */
                        r = sd_journal_add_match(p->journal, match, 0);
                }
        /* Without any match everything would match. */
        if (r >= 0 && units == 0)
                r = sd_journal_add_match(p->journal, "_SYSTEMD_UNIT=", 0);
        return r < 0 ? err_origin(r) : 0;
}

/* Puts the journal behind the last entry that was read, else behind the last there is. */
static int place_seek(JournalPlace *p)
{
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
        }
        return r < 0 ? err_origin(r) : 0;
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

/* Entries */

static int field_get(void *userdata, const char *field, const void **ret, size_t *ret_len)
{
        size_t skip = strlen(field) + 1, len;
        const void *data;
        int r = sd_journal_get_data(userdata, field, &data, &len);

        /* Not there, no name of a field, compressed in a way that this library does not know: all "no such
         * field". */
        if (r == -ENOMEM)
                return err_origin(r);
        if (r < 0 || len < skip)
                return 1;
        *ret = (const char *)data + skip;
        *ret_len = len - skip;
        return 0;
}

/* A short field as text; empty if it is not there. */
static void field_copy(sd_journal *j, const char *field, char *buffer, size_t size)
{
        const void *data;
        size_t len;

        buffer[0] = 0;
        if (field_get(j, field, &data, &len) != 0 || len >= size)
                return;
        memcpy(buffer, data, len);
        buffer[len] = 0;
}

static int hit_add(JournalTurn *t, size_t interest, size_t rule)
{
        sd_journal *j = t->place->journal;
        char pid[32];
        const void *text = "";
        size_t len = 0;

        if (t->n_hits == t->allocated) {
                size_t n = t->allocated ? 2 * t->allocated : 16;
                JournalHit *bigger = reallocarray(t->hits, n, sizeof(*bigger));
                if (!bigger)
                        return err_origin(-ENOMEM);
                t->hits = bigger;
                t->allocated = n;
        }
        JournalHit hit = { .interest = interest, .rule = rule, .cursor = strdup(t->place->cursor) };
        if (field_get(j, "MESSAGE", &text, &len) < 0)
                len = 0;
        hit.text = text_to_utf8(text, len, len > TEXT_MAX ? TEXT_MAX : len);
        field_copy(j, "_PID", pid, sizeof(pid));
        hit.pid = (pid_t)strtol(pid, NULL, 10);
        if (sd_journal_get_realtime_usec(j, &hit.wall) < 0)
                hit.wall = 0;
        t->hits[t->n_hits++] = hit;
        return hit.text && hit.cursor ? 0 : err_origin(-ENOMEM);
}

/* The current entry: whose is it, and which of their rules does it match? */
static int entry_take(JournalTurn *t)
{
        char unit[256]; /* UNIT_NAME_MAX */
        const RuleEntry entry = {
                .source = RULE_SOURCE_JOURNAL,
                .get_field = field_get,
                .userdata = t->place->journal,
        };
        int r = cursor_take(t->place);

        field_copy(t->place->journal, "_SYSTEMD_UNIT", unit, sizeof(unit));
        for (size_t i = 0; r >= 0 && i < t->n_interests; i++) {
                if (!strv_contains(t->interests[i]->units, unit))
                        continue;
                size_t rule = 0;
                while ((r = rules_match(t->interests[i]->rules, &entry, rule, &rule)) == 0) {
                        r = hit_add(t, i, rule++);
                        if (r < 0)
                                break;
                }
        }
        return r < 0 ? err_trace(r) : 0;
}

static int entries_read(JournalTurn *t)
{
        JournalPlace *p = t->place;

        for (unsigned i = 0; i < JOURNAL_TURN_MAX && !atomic_load(&t->job.cancel); i++) {
                int r = p->current_is_new ? 1 : sd_journal_next(p->journal);
                p->current_is_new = false;
                if (r <= 0)
                        return r < 0 ? err_origin(r) : 0;
                r = entry_take(t);
                if (r < 0)
                        return err_trace(r);
        }
        t->more = true;
        return 0;
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
        if (r >= 0 && (opened || t->rematch)) {
                r = matches_set(p, t->interests, t->n_interests);
                if (r >= 0)
                        r = place_seek(p);
        }
        if (r >= 0)
                r = sd_journal_process(p->journal);
        return r < 0 ? err_origin(r) : 0;
}

int journal_turn_run(Job *job)
{
        JournalTurn *t = (JournalTurn *)job; /* the job is its first member */
        JournalPlace *p = t->place;
        int r = turn_prepare(t);

        if (r >= 0)
                r = entries_read(t);
        if (r >= 0)
                t->timeout = timeout_of(p);
        if (r >= 0 && t->timeout == EMPTY_RETRY)
                p->empty = true;
        if (p->journal && (r < 0 || t->timeout == EMPTY_RETRY)) {
                sd_journal_close(p->journal);
                p->journal = NULL;
        }
        t->closed = !p->journal;
        cursor_save(p);
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
        for (size_t i = 0; i < t->n_hits; i++) {
                free(t->hits[i].text);
                free(t->hits[i].cursor);
        }
        free(t->hits);
        closep(&t->fd);
        free(t);
}

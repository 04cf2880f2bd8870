/*
 * log_place - a log and how far it has been read
 *
 * Made by logfile, used by one turn after the other (log_turn.c says what is committed when, and why). Fails
 * with ENOMEM, or EINVAL for a rule that can't be compiled.
 *
 * Test: tests/unit/test_logfile.c
 */
#include "observe/log_place.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SAVE_INTERVAL (5 * USEC_PER_SEC)
#define LINE_WAIT     (5 * USEC_PER_SEC)

int log_place_new(LogPlace **ret, const LogSpec *spec)
{
        LogPlace *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return err_origin(-ENOMEM);
        p->settings = spec->settings;
        p->owner = spec->owner ? settings_ref(spec->owner) : NULL;
        p->path = strdup(spec->path);
        p->state_dir = strdup_null(spec->state_dir);
        p->disk = spec->disk;
        p->watch = log_watch_ref(spec->watch);
        p->line_max = spec->line_max;
        p->line_wait = spec->line_wait > 0 ? spec->line_wait : LINE_WAIT;
        p->room = spec->line_max + LOG_SLICE;
        p->dir_wd = -1;
        r = log_family_init(&p->family, spec->path);
        if (!p->path || (spec->state_dir && !p->state_dir))
                r = err_origin(-ENOMEM);
        if (r == 0)
                r = rules_new(&p->rules, spec->settings->rules, spec->settings->n_rules, NULL);
        if (r == 0)
                r = line_rules_new(&p->lines, p->rules, spec->path);
        if (r < 0) {
                log_place_free(p);
                return err_trace(r);
        }
        *ret = p;
        return 0;
}

LogPlace *log_place_free(LogPlace *p)
{
        if (!p)
                return NULL;
        log_family_deinit(&p->family);
        line_rules_free(p->lines);
        rules_free(p->rules);
        log_watch_unref(p->watch);
        settings_unref(p->owner);
        free(p->path);
        free(p->state_dir);
        free(p);
        return NULL;
}

int log_place_gap(LogTurn *t, const char *format, ...)
{
        LogHit *h = log_hits_add(&t->hits);
        _cleanup_(freep) char *raw = NULL;
        va_list ap;
        int n;

        if (!h)
                return err_origin(-ENOMEM);
        *h = (LogHit){ .kind = LOG_GAP, .seq = t->place->seq++, .wall = now_read().wall };
        va_start(ap, format);
        n = vasprintf(&raw, format, ap);
        va_end(ap);
        if (n < 0) {
                raw = NULL;
                return err_origin(-ENOMEM);
        }
        h->text = text_to_utf8(raw, (size_t)n, 0);
        return h->text ? 0 : err_origin(-ENOMEM);
}

static LogStateSpec state_spec(const LogPlace *p)
{
        return (LogStateSpec){
                .state_dir = p->state_dir, .path = p->path, .settings = p->settings, .disk = p->disk
        };
}

int log_place_commit(LogTurn *t)
{
        LogPlace *p = t->place;
        const LogStateSpec spec = state_spec(p);
        usec_t now = now_read().mono;
        bool due = p->moved && (!p->saved || usec_sub(now, p->saved) >= SAVE_INTERVAL);
        int r;

        if (!p->state_dir || (!due && t->hits.n == 0 && !p->reported)) {
                if (p->state_dir && p->moved && t->wake > SAVE_INTERVAL)
                        t->wake = SAVE_INTERVAL;
                return 0;
        }
        r = log_state_save(&spec, &p->family, p->seq, &t->hits);
        p->reported = t->hits.n > 0; /* by the next turn */
        t->more |= p->reported;
        if (r == 0) {
                p->saved = now;
                p->moved = p->unsaved = false;
                return 0;
        }
        p->moved = true;
        t->wake = t->wake < SAVE_INTERVAL ? t->wake : SAVE_INTERVAL;
        if (p->unsaved)
                return 0;
        p->unsaved = true;
        return err_trace(log_place_gap(
                t, "%s: its position cannot be saved (%s); a crash now makes lines be seen twice", p->path,
                strerror(-r)));
}

int log_place_load(LogTurn *t)
{
        LogPlace *p = t->place;
        const LogStateSpec spec = state_spec(p);
        int r = p->state_dir ? log_state_load(&spec, &p->family, &p->seq, &t->hits) : LOG_STATE_E_NONE;

        if (r < 0)
                return err_trace(r);
        p->loaded = true;
        p->reported = t->hits.n > 0;
        t->look = t->more = true;
        p->moved = r != 0;
        if (r != LOG_STATE_E_DAMAGED)
                return 0;
        return err_trace(
                log_place_gap(t, "%s: the saved position is damaged; reading begins at the end", p->path));
}

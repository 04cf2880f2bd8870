#pragma once

/* The fixture of the spool with a server that has a hold of its own: spool/held, or, for "x", in place. */

#include "spool_fixture.h"

static char *hold_argv[] = { (char *)"hold", (char *)"%i", NULL };

static inline int native_setup(void **state)
{
        static char *dirs[_SIDE_MAX][2];
        int r = fixture_setup(state);
        Fixture *f = *state;

        put_dir(f, "spool/held");
        dirs[STORE_Q][0] = fixture_path(f, 4, "spool/held");
        dirs[STORE_X][0] = f->x_dirs[0];
        for (unsigned i = 0; i < 2; i++) {
                f->stores[i].quarantine_native = true;
                f->stores[i].native = (NativeSettings){
                        .hold = hold_argv, .release = hold_argv, .remove = hold_argv, .dirs = dirs[i]
                };
        }
        return r;
}

/* Puts message @id of @store, whose files are there, into quarantine. Its QID; good until the next call. */
static inline const char *native_quarantine(Fixture *f, unsigned store, const char *id)
{
        static char qid[128];
        MessageSet set = {};
        SpoolQuarantine q;

        inventory(f, f->roster.n == 0, false);
        assert_int_equal(message_set_add(&set, index_of(f, store, id)), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 1);
        snprintf(qid, sizeof(qid), "%s", q.ids[0]);
        quarantine_forget(&q);
        message_set_deinit(&set);
        return qid;
}

/* message.json of @qid; the caller's. */
static inline json_t *native_record(const Fixture *f, const char *qid)
{
        char path[256];
        json_t *j;

        snprintf(path, sizeof(path), "hold/quarantine/%s/message.json", qid);
        j = json_load_file(at(f, path), 0, NULL);
        assert_non_null(j);
        return j;
}

/* What the server's command does. */
static inline void server_moves(const Fixture *f, const char *from, const char *to)
{
        assert_int_equal(rename(at(f, from), at(f, to)), 0);
}

/* A file that the server writes anew. */
static inline void server_rewrites(const Fixture *f, const char *path, const char *text)
{
        char new[256];

        snprintf(new, sizeof(new), "%s.new", path);
        put(f, new, text);
        server_moves(f, new, path);
}

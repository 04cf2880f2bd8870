#pragma once

/*
 * Every file of every message in a fixture, and what must be true of them at any instant: for the crash tests
 * of the spool.
 */

#include "../unit/spool_fixture.h"

#define N_Q     12
#define N_X     8
#define N_FIRST (N_Q + 2 * N_X)
#define N_MAX   (N_FIRST + 40)

/* --- what is true --- */

typedef struct Truth {
        size_t store;
        const char *dir; /* below the fixture's root */
        unsigned number; /* of the directory in its store */
        char rel[32], id[16];
        struct stat st;
        bool gone; /* deleted by the test's operator */
        unsigned seen;
        char where[PATH_MAX];
} Truth;

typedef struct World {
        Fixture *f;
        Truth truths[N_MAX];
        size_t n;
} World;

static inline void truth_add(World *w, size_t store, const char *dir, unsigned number, const char *rel)
{
        size_t i = w->n++;
        Truth *t = w->truths + i;
        char path[128];

        t->store = store;
        t->dir = dir;
        t->number = number;
        snprintf(t->rel, sizeof(t->rel), "%s", rel);
        snprintf(t->id, sizeof(t->id), "%s", strrchr(rel, '/') ? strrchr(rel, '/') + 1 : rel);
        if (store == STORE_X)
                *strrchr(t->id, '-') = '\0';
        snprintf(path, sizeof(path), "%s/%s", dir, rel);
        put(w->f, path, rel);
        snprintf(t->where, sizeof(t->where), "%s", path);
        assert_int_equal(chmod(at(w->f, path), 0600 + (mode_t)i % 64), 0);
        assert_int_equal(lstat(at(w->f, path), &t->st), 0);
}

static inline int world_setup(void **state)
{
        World *w = calloc(1, sizeof(*w));
        char rel[32];

        fixture_setup((void **)&w->f);
        put_dir(w->f, "spool/input/0");
        put_dir(w->f, "spool/input/1");
        for (unsigned i = 0; i < N_Q; i++) {
                snprintf(rel, sizeof(rel), "q%u", i);
                truth_add(w, STORE_Q, i % 3 ? "spool/In" : "spool/Out", i % 3 ? 0 : 1, rel);
        }
        for (unsigned i = 0; i < N_X; i++) {
                snprintf(rel, sizeof(rel), "%u/x%u-H", i % 2, i);
                truth_add(w, STORE_X, "spool/input", 0, rel);
                *strrchr(rel, 'H') = 'D';
                truth_add(w, STORE_X, "spool/input", 0, rel);
        }
        w->f->rebuildable[0] = fixture_path(w->f, 4, "spool/queue.dat");
        w->f->stores[STORE_Q].rebuildable = w->f->rebuildable;
        put(w->f, "spool/queue.dat", "rebuildable");
        *state = w;
        return 0;
}

static inline int world_teardown(void **state)
{
        World *w = *state;

        fixture_teardown((void **)&w->f);
        free(w);
        return 0;
}

/* --- what is on the disk --- */

static inline bool is_ours(const char *name)
{
        return strcmp(name, "message.json") == 0 || strcmp(name, ".message.json.tmp") == 0 ||
               strstr(name, ".manifest") || strncmp(name, ".unjam-probe", 12) == 0 ||
               strcmp(name, "culprits") == 0 || strcmp(name, ".culprits.tmp") == 0 ||
               strncmp(name, "queue.dat", 9) == 0;
}

static inline void look_at(World *w, const char *path, const char *name)
{
        struct stat st;

        assert_int_equal(lstat(path, &st), 0);
        /* An inode number may have served one that is gone; the youngest has it now. */
        for (size_t i = w->n; i > 0; i--) {
                Truth *t = w->truths + i - 1;

                if (t->st.st_ino != st.st_ino)
                        continue;
                t->seen++;
                snprintf(t->where, sizeof(t->where), "%s", path + strlen(w->f->root) + 1);
                assert_int_equal(st.st_mode, t->st.st_mode);
                assert_int_equal(st.st_size, t->st.st_size);
                assert_int_equal(st.st_nlink, 1);
                assert_memory_equal(&st.st_mtim, &t->st.st_mtim, sizeof(st.st_mtim));
                return;
        }
        if (!is_ours(name))
                fail_msg("a file that nobody knows: %s", path);
}

static inline void look(World *w, const char *path)
{
        DIR *d = opendir(path);

        assert_non_null(d);
        for (const struct dirent *e; (e = readdir(d));) {
                char below[PATH_MAX];

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                assert_true(snprintf(below, sizeof(below), "%s/%s", path, e->d_name) < (int)sizeof(below));
                if (e->d_type == DT_DIR)
                        look(w, below);
                else
                        look_at(w, below, e->d_name);
        }
        closedir(d);
}

typedef enum Where { IN_STORE, IN_HOLD, IN_QUARANTINE } Where;

static inline Where where_is(const Truth *t)
{
        char want[256];
        const char *files;

        snprintf(want, sizeof(want), "%s/%s", t->dir, t->rel);
        if (strcmp(t->where, want) == 0)
                return IN_STORE;
        snprintf(want, sizeof(want), "hold/incidents/" INCIDENT "/%s/%u/%s", t->store == STORE_Q ? "q" : "x",
                 t->number, t->rel);
        if (strcmp(t->where, want) == 0)
                return IN_HOLD;
        snprintf(want, sizeof(want), "hold/incidents/" INCIDENT "/%s/%u.spare/%s",
                 t->store == STORE_Q ? "q" : "x", t->number, t->rel);
        if (strcmp(t->where, want) == 0)
                return IN_HOLD;
        snprintf(want, sizeof(want), "/files/%u/%s", t->number, t->rel);
        files = strstr(t->where, "/files/");
        assert_ptr_equal(strstr(t->where, "hold/quarantine/"), t->where);
        assert_non_null(files);
        assert_string_equal(files, want);
        return IN_QUARANTINE;
}

static inline bool is_sealed(const Truth *t)
{
        return where_is(t) == IN_QUARANTINE && !strstr(t->where, ".tmp/") && !strstr(t->where, ".del/");
}

/* Everything that must hold at any instant. @releasing: a release was interrupted, so a folder may be half
 * out. */
static inline void check(World *w, bool releasing)
{
        for (size_t i = 0; i < w->n; i++)
                w->truths[i].seen = 0;
        look(w, w->f->root);
        for (size_t i = 0; i < w->n; i++)
                if (w->truths[i].seen != !w->truths[i].gone)
                        fail_msg("%s: seen %u times", w->truths[i].rel, w->truths[i].seen);
        for (size_t i = N_Q; i < N_FIRST; i += 2) {
                const Truth *head = w->truths + i, *body = head + 1;

                if (head->gone)
                        continue;
                /* The control file leaves first and comes back last. */
                if (where_is(head) == IN_STORE)
                        assert_int_equal(where_is(body), IN_STORE);
                if (is_sealed(head) != is_sealed(body) && !releasing)
                        fail_msg("half a message is sealed: %s, %s", head->where, body->where);
        }
}

/* walk - every directory once, nothing through a symbolic link, bounds. */
#include "observe/walk.h"

#include "unit/observe_util.h"

#include <unistd.h>

typedef struct Visits {
        char paths[64][256];
        size_t n;
        const char *leave_out;
        atomic_bool cancel;
        bool cancel_soon;
} Visits;

static void visit(Visits *v, char kind, const WalkPlace *place, const char *path)
{
        assert_true(v->n < ELEMENTSOF(v->paths));
        snprintf(v->paths[v->n++], sizeof(v->paths[0]), "%c%zu.%zu:%s", kind, place->store, place->dir, path);
}

static int on_directory(void *userdata, const WalkPlace *place, int fd)
{
        Visits *v = userdata;
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
        visit(v, 'd', place, place->path);
        return 0;
}

static int on_entry(void *userdata, const WalkPlace *place, const char *path, bool is_directory)
{
        Visits *v = userdata;

        visit(v, is_directory ? 'D' : 'f', place, path);
        if (v->cancel_soon)
                atomic_store(&v->cancel, true);
        return v->leave_out && strcmp(path, v->leave_out) == 0;
}

static const WalkOps ops = { on_directory, on_entry };

static bool visited(const Visits *v, const char *what)
{
        size_t n = 0;

        for (size_t i = 0; i < v->n; i++)
                n += strcmp(v->paths[i], what) == 0;
        assert_true(n <= 1);
        return n == 1;
}

static void test_tree(void **state)
{
        char *dir = temp_new(), *gone = strdup(in(dir, "gone")), *sub;
        StoreSettings stores[] = {
                { .dirs = (char *[]){ dir, NULL } },
                { .dirs = (char *[]){ gone, sub = strdup(in(dir, "sub")), NULL } },
        };
        ServiceSettings settings = { .stores = stores, .n_stores = 2 };
        Visits v = { .leave_out = "left" };
        Walk w = { .settings = &settings, .ops = &ops, .userdata = &v };

        (void)state;
        assert_int_equal(mkdir(sub, 0700), 0);
        assert_int_equal(mkdir(in(dir, "sub/deep"), 0700), 0);
        assert_int_equal(mkdir(in(dir, "left"), 0700), 0);
        file_make(in(dir, "sub/deep/m"), "");
        file_make(in(dir, "left/unseen"), "");
        assert_int_equal(symlink("/etc", in(dir, "link")), 0);
        assert_int_equal(mkfifo(in(dir, "fifo"), 0600), 0);
        assert_int_equal(walk_run(&w, &(WalkPlace){ .path = NULL }), 0);
        assert_true(visited(&v, "d0.0:") && visited(&v, "d0.0:sub") && visited(&v, "d0.0:sub/deep"));
        assert_true(visited(&v, "f0.0:sub/deep/m") && visited(&v, "f0.0:link") && visited(&v, "f0.0:fifo"));
        assert_true(visited(&v, "D0.0:left") && !visited(&v, "d0.0:left") &&
                    !visited(&v, "f0.0:left/unseen"));
        assert_true(visited(&v, "d1.1:") && visited(&v, "d1.1:deep"));
        assert_false(visited(&v, "d0.0:link"));
        assert_true(w.missing);
        assert_false(w.truncated);

        /* A part of it only. */
        v.n = 0;
        assert_int_equal(walk_run(&w, &(WalkPlace){ 0, 0, "sub" }), 0);
        assert_true(visited(&v, "d0.0:sub") && visited(&v, "f0.0:sub/deep/m") && !visited(&v, "d0.0:"));
        v.n = 0;
        assert_int_equal(walk_run(&w, &(WalkPlace){ 0, 0, "vanished" }), 0);
        assert_int_equal(walk_run(&w, &(WalkPlace){ 0, 0, "link" }), 0);
        assert_int_equal(walk_run(&w, &(WalkPlace){ 0, 0, "fifo" }), 0);
        assert_int_equal(v.n, 0);

        v.cancel_soon = true;
        w.cancel = &v.cancel;
        assert_int_equal(walk_run(&w, &(WalkPlace){ .path = NULL }), -ECANCELED);
        free(sub);
        free(gone);
        temp_remove(dir);
}

static void test_depth(void **state)
{
        char *dir = temp_new();
        char path[1024];
        StoreSettings store = { .dirs = (char *[]){ dir, NULL } };
        ServiceSettings settings = { .stores = &store, .n_stores = 1 };
        Visits v = { .n = 0 };
        Walk w = { .settings = &settings, .ops = &ops, .userdata = &v };

        (void)state;
        snprintf(path, sizeof(path), "%s", dir);
        for (unsigned i = 0; i < WALK_DEPTH_MAX + 4; i++) {
                strcat(path, "/d");
                assert_int_equal(mkdir(path, 0700), 0);
        }
        assert_int_equal(walk_run(&w, &(WalkPlace){ .path = NULL }), 0);
        assert_true(w.truncated);
        assert_int_equal(w.n_directories, WALK_DEPTH_MAX + 1);
        temp_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tree),
                cmocka_unit_test(test_depth),
        };

        return cmocka_run_group_tests_name("observe/walk", tests, NULL, NULL);
}

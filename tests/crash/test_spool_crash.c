/*
 * The spool, killed at every call that changes the disk, cut off from power, and with calls that fail.
 *
 * After each death, every file of every message must be in exactly one place, unchanged; a message's control
 * file must not be in the store while another of its files is not; a sealed folder in quarantine must be
 * whole. Then the same operation runs again, in a fresh process with nothing but the disk to know from, and
 * must reach its goal.
 *
 * UNJAM_SEED sets the seed of the random sequences, UNJAM_ROUNDS their number.
 */
#include "spool_crash_disk.h"
#include "spool_world.h"

#include <ftw.h>
#include <sys/wait.h>

#define CALLS_MAX 2000

/* --- operations --- */

typedef enum Op { OP_PLACE, OP_ASIDE, OP_QUARANTINE, OP_RELEASE, OP_PURGE, OP_TIDY, OP_DELETE, _OP_MAX } Op;

typedef struct Step {
        Op op;
        size_t store;    /* ASIDE */
        unsigned choice; /* PLACE, QUARANTINE: which messages */
        char id[64];     /* RELEASE, DELETE */
        bool old;        /* no directory has changed for a while */
} Step;

static bool is_chosen(const Step *s, const char *id)
{
        unsigned h = s->choice;

        for (; *id; id++)
                h = h * 31 + (unsigned char)*id;
        switch (s->choice % 4) {
        case 0:
                return false;
        case 1:
                return true;
        case 2:
                return h % 16 < 2;
        }
        return h % 16 < 8;
}

static int step_quarantine(Spool *s, Roster *roster, const MessageSet *set, SpoolReport *report)
{
        SpoolQuarantine q = { .incident = INCIDENT, .roster = roster, .set = set };
        int r;

        r = spool_quarantine(s, &q, report);
        if (r < 0)
                return r;
        for (size_t i = 0; i < q.n; i++)
                message_deinit(q.messages + i);
        free(q.messages);
        strv_free(q.ids);
        return 0;
}

static int make_old(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        const struct timespec times[2] = { { .tv_sec = 1700000000 }, { .tv_sec = 1700000000 } };

        (void)st;
        (void)ftw;
        return type == FTW_D ? utimensat(AT_FDCWD, path, times, 0) : 0;
}

/* In a process that knows the disk only. */
static int step_do(World *w, const Step *step, CrashDisk *c)
{
        SpoolReport report = {};
        Roster roster = {};
        MessageSet set = {};
        Message m = {};
        Spool *s = NULL;
        int r;

        /* What nothing has happened in for a while is not read again: another way to set it aside. */
        if (step->old)
                assert_int_equal(nftw(at(w->f, "spool"), make_old, 16, FTW_PHYS), 0);
        r = spool_new(&s, &w->f->service, &c->disk);
        if (r == 0)
                r = spool_inventory(s, INCIDENT, &roster, true, false, &report);
        for (uint32_t i = 0; r == 0 && i < roster.n; i++)
                if (is_chosen(step, roster_id(&roster, i, NULL)))
                        r = message_set_add(&set, i);
        if (r < 0)
                return r;
        switch (step->op) {
        case OP_PLACE:
                return spool_place(s, INCIDENT, &roster, &set, STORE_ALL, &report);
        case OP_ASIDE:
                r = spool_set_aside(s, INCIDENT, &roster, step->store, &report);
                for (size_t k = 0; r == 0 && k < w->f->service.n_stores; k++)
                        r = spool_manifest(s, INCIDENT, k, 1, &report);
                return r;
        case OP_QUARANTINE:
                return step_quarantine(s, &roster, &set, &report);
        case OP_RELEASE:
                return spool_release(s, step->id, NULL, &m, &report);
        case OP_DELETE:
                return spool_delete(s, step->id, &m, &report);
        case OP_PURGE:
                return spool_purge(s, INCIDENT, STORE_ALL, NULL, &report);
        case OP_TIDY:
                return spool_tidy(s, INCIDENT, &report);
        case _OP_MAX:
                break;
        }
        return -EINVAL;
}

typedef enum Fate { FATE_DONE, FATE_ERROR, FATE_DEAD } Fate;

static Fate step_run(World *w, const Step *step, CrashHow how, unsigned at_call, unsigned seed)
{
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                CrashDisk c;

                crash_disk_init(&c, how, at_call, seed % 2 ? -ENOSPC : -EIO, seed);
                _exit(step_do(w, step, &c) != 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 1 ||
                    WEXITSTATUS(status) == CRASH_EXIT);
        return WEXITSTATUS(status) == 0 ? FATE_DONE : WEXITSTATUS(status) == 1 ? FATE_ERROR : FATE_DEAD;
}

/* Another message that came under the same name, and is still somewhere. */
static const Truth *twin_of(const World *w, const Truth *t)
{
        for (size_t i = 0; i < w->n; i++) {
                const Truth *o = w->truths + i;

                if (o != t && !o->gone && strcmp(o->rel, t->rel) == 0 && strcmp(o->dir, t->dir) == 0)
                        return o;
        }
        return NULL;
}

/* Did the step reach its goal? check() has been called. Of two messages of one name, one may be in
 * the way. */
static void step_verify(World *w, const Step *step)
{
        for (size_t i = 0; i < w->n; i++) {
                const Truth *t = w->truths + i, *twin = twin_of(w, t);

                if (t->gone)
                        continue;
                switch (step->op) {
                case OP_PLACE:
                        if (is_chosen(step, t->id))
                                assert_int_not_equal(where_is(t), IN_STORE);
                        else if (!twin || where_is(twin) != IN_STORE)
                                assert_int_not_equal(where_is(t), IN_HOLD);
                        break;
                case OP_ASIDE:
                        if (step->store == STORE_ALL || step->store == t->store)
                                assert_int_not_equal(where_is(t), IN_STORE);
                        break;
                case OP_QUARANTINE:
                        if (is_chosen(step, t->id))
                                assert_true(is_sealed(t) || (twin && is_sealed(twin)));
                        break;
                case OP_RELEASE:
                        assert_true(twin || !strstr(t->where, step->id));
                        break;
                case OP_PURGE:
                        assert_false(is_there(w->f, "spool/queue.dat"));
                        break;
                case OP_TIDY:
                case OP_DELETE:
                case _OP_MAX:
                        break;
                }
        }
}

/* The message in the folder may be gone after this, and must be in the end. */
static void step_forget(World *w, const Step *step)
{
        for (size_t i = 0; i < w->n; i++)
                if (strstr(w->truths[i].where, step->id))
                        w->truths[i].gone = true;
}

static size_t count_suffix(const Fixture *f, const char *below, const char *suffix)
{
        DIR *d = opendir(at(f, below));
        size_t n = 0;

        for (const struct dirent *e; d && (e = readdir(d));)
                n += strlen(e->d_name) > strlen(suffix) &&
                     strcmp(e->d_name + strlen(e->d_name) - strlen(suffix), suffix) == 0;
        if (d)
                closedir(d);
        return n;
}

/* For the closing table of tests/run: deaths, power cuts, faults; messages looked at. */
static unsigned long tried[3], checked;

/* One step under a fault, then repaired. Return: did the fault fire? */
static bool step_survive(World *w, const Step *step, CrashHow how, unsigned at_call, unsigned seed)
{
        static const unsigned column[_CRASH_HOW_MAX] = {
                [CRASH_POWER] = 1, [CRASH_FAIL_ONCE] = 2, [CRASH_FAIL_ON] = 2
        };
        bool releasing = step->op == OP_RELEASE;
        Fate fate = step_run(w, step, how, at_call, seed);

        tried[column[how]] += fate != FATE_DONE;
        checked += w->n;
        if (step->op == OP_DELETE)
                step_forget(w, step);
        if (step->op != OP_DELETE || fate == FATE_DONE)
                check(w, releasing);
        if (fate != FATE_DONE) {
                Fate again = step_run(w, step, CRASH_NEVER, 0, 0);

                /* A release or delete that was all but done finds nothing more. */
                if (again != FATE_DONE && !((releasing || step->op == OP_DELETE) && again == FATE_ERROR))
                        fail_msg("op %d does not recover from fault %d at call %u", step->op, how, at_call);
                check(w, false);
                if (step->op == OP_QUARANTINE)
                        assert_int_equal(count_suffix(w->f, "hold/quarantine", ".tmp"), 0);
        }
        step_verify(w, step);
        return fate != FATE_DONE;
}

/* Some sealed folder, by number. False if there is none. */
static bool pick_folder(const World *w, unsigned choice, char ret[64])
{
        size_t n = 0;

        for (int pass = 0; pass < 2; pass++) {
                size_t k = 0;

                for (size_t i = 0; i < w->n; i++) {
                        const Truth *t = w->truths + i;
                        const char *id = t->where + strlen("hold/quarantine/");

                        if (t->gone || !is_sealed(t))
                                continue;
                        if (pass == 1 && k == choice % n) {
                                snprintf(ret, 64, "%.*s", (int)strcspn(id, "/"), id);
                                return true;
                        }
                        k++;
                }
                n = k;
                if (n == 0)
                        return false;
        }
        return false;
}

/* --- tests --- */

/* Prepares by @before, then runs @step with each kind of fault at every call of it. */
static void every_call(const Step *before, size_t n_before, Step step)
{
        for (CrashHow how = CRASH_BEFORE; how < _CRASH_HOW_MAX; how++) {
                bool fired = true;

                for (unsigned call = 1; fired; call++) {
                        World *w;

                        assert_true(call < CALLS_MAX);
                        world_setup((void **)&w);
                        for (size_t i = 0; i < n_before; i++)
                                assert_int_equal(step_run(w, before + i, CRASH_NEVER, 0, 0), FATE_DONE);
                        check(w, false);
                        if (step.op == OP_RELEASE || step.op == OP_DELETE)
                                assert_true(pick_folder(w, N_FIRST - 1, step.id));
                        fired = step_survive(w, &step, how, call, call);
                        world_teardown((void **)&w);
                }
        }
}

static void test_place_out(void **state)
{
        (void)state;
        every_call(NULL, 0, (Step){ .op = OP_PLACE, .choice = 3 });
}

static void test_place_back(void **state)
{
        const Step before[] = { { .op = OP_PLACE, .choice = 3 } };

        (void)state;
        every_call(before, 1, (Step){ .op = OP_PLACE, .choice = 0 });
}

static void test_set_aside(void **state)
{
        (void)state;
        every_call(NULL, 0, (Step){ .op = OP_ASIDE, .store = STORE_ALL });
        every_call(NULL, 0, (Step){ .op = OP_ASIDE, .store = STORE_ALL, .old = true });
}

static void test_back_from_aside(void **state)
{
        const Step before[] = { { .op = OP_ASIDE, .store = STORE_ALL }, { .op = OP_PLACE, .choice = 2 } };

        (void)state;
        every_call(before, 1, (Step){ .op = OP_PLACE, .choice = 2 });
        every_call(before, 2, (Step){ .op = OP_PLACE, .choice = 0 });
}

static void test_quarantine(void **state)
{
        const Step before[] = { { .op = OP_ASIDE, .store = STORE_ALL } };

        (void)state;
        every_call(before, 1, (Step){ .op = OP_QUARANTINE, .choice = 2 });
        every_call(NULL, 0, (Step){ .op = OP_QUARANTINE, .choice = 6 });
}

static void test_release(void **state)
{
        const Step before[] = { { .op = OP_QUARANTINE, .choice = 1 } };

        (void)state;
        every_call(before, 1, (Step){ .op = OP_RELEASE });
}

static void test_delete(void **state)
{
        const Step before[] = { { .op = OP_QUARANTINE, .choice = 1 } };

        (void)state;
        every_call(before, 1, (Step){ .op = OP_DELETE });
}

static void test_purge(void **state)
{
        (void)state;
        every_call(NULL, 0, (Step){ .op = OP_PURGE });
}

static void test_tidy(void **state)
{
        const Step before[] = {
                { .op = OP_ASIDE, .store = STORE_ALL },
                { .op = OP_PLACE, .choice = 0 },
        };

        (void)state;
        every_call(before, 2, (Step){ .op = OP_TIDY });
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
        const char *s = getenv(name);

        return s ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

/* The server delivers a message that is in its store. */
static void server_consumes(World *w, unsigned choice)
{
        Truth *t = w->truths + choice % w->n;
        size_t pair = choice % w->n >= N_Q && choice % w->n < N_FIRST;

        if (pair)
                t = w->truths + N_Q + (choice % w->n - N_Q) / 2 * 2;
        for (size_t i = 0; i <= pair; i++)
                if (t[i].gone || where_is(t + i) != IN_STORE)
                        return;
        for (size_t i = 0; i <= pair; i++) {
                assert_int_equal(unlink(at(w->f, t[i].where)), 0);
                t[i].gone = true;
        }
}

/* Mail arrives: in the store, or from a submitter that had the directory open before it was exchanged. */
static void mail_arrives(World *w, bool late, size_t twin)
{
        static const char held[] = "hold/incidents/" INCIDENT "/q/0";
        char rel[32], old[128];

        if (w->n == N_MAX)
                return;
        snprintf(rel, sizeof(rel), "new%zu", w->n);
        /* Now and then under a name that is held. */
        if (twin < w->n && strcmp(w->truths[twin].dir, "spool/In") == 0 && !w->truths[twin].gone &&
            where_is(w->truths + twin) == IN_HOLD && !twin_of(w, w->truths + twin)) {
                snprintf(rel, sizeof(rel), "%s", w->truths[twin].rel);
                late = false;
        }
        truth_add(w, STORE_Q, "spool/In", 0, rel);
        if (!late || !is_there(w->f, held))
                return;
        snprintf(old, sizeof(old), "spool/In/%s", rel);
        assert_int_equal(rename(at(w->f, old), at(w->f, "late")), 0);
        snprintf(old, sizeof(old), "%s/%s", held, rel);
        assert_int_equal(rename(at(w->f, "late"), at(w->f, old)), 0);
}

static void random_sequence(unsigned seed)
{
        World *w;

        world_setup((void **)&w);
        check(w, false);
        for (unsigned i = 0; i < 15; i++) {
                Step step = { .op = (Op)((unsigned)rand_r(&seed) % OP_DELETE),
                              .choice = (unsigned)rand_r(&seed) };
                CrashHow how = (CrashHow)((unsigned)rand_r(&seed) % _CRASH_HOW_MAX);

                step.store = (unsigned)rand_r(&seed) % 3;
                if (step.store > STORE_X)
                        step.store = STORE_ALL;
                /* Not all of the mail into quarantine at once: little would be left to do. */
                if (step.op == OP_QUARANTINE)
                        step.choice = step.choice / 4 * 4 + 2;
                if (step.op == OP_RELEASE && !pick_folder(w, (unsigned)rand_r(&seed), step.id))
                        continue;
                (void)step_survive(w, &step, how, 1 + (unsigned)rand_r(&seed) % 60, (unsigned)rand_r(&seed));
                server_consumes(w, (unsigned)rand_r(&seed));
                mail_arrives(w, rand_r(&seed) % 2, (size_t)rand_r(&seed) % (2 * w->n));
                mail_arrives(w, rand_r(&seed) % 2, (size_t)rand_r(&seed) % (2 * w->n));
                check(w, false);
        }
        world_teardown((void **)&w);
}

static void test_random_sequences(void **state)
{
        unsigned seed = from_environment("UNJAM_SEED", 1), rounds = from_environment("UNJAM_ROUNDS", 25);

        (void)state;
        for (unsigned i = 0; i < rounds; i++) {
                print_message("seed %u\n", seed + i);
                random_sequence(seed + i);
        }
}

int main(void)
{
        int r;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_place_out),  cmocka_unit_test(test_place_back),
                cmocka_unit_test(test_set_aside),  cmocka_unit_test(test_back_from_aside),
                cmocka_unit_test(test_quarantine), cmocka_unit_test(test_release),
                cmocka_unit_test(test_delete),     cmocka_unit_test(test_purge),
                cmocka_unit_test(test_tidy),       cmocka_unit_test(test_random_sequences),
        };

        /* Some thousand short lives: in memory if there is a place for that. */
        if (access("/dev/shm", W_OK) == 0)
                (void)setenv("TMPDIR", "/dev/shm", 0);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        print_message("TALLY kills=%lu cuts=%lu faults=%lu messages=%lu lost=0 doubled=0 changed=0\n",
                      tried[0], tried[1], tried[2], checked);
        return r;
}

/*
 * The real actuator (service_actuator, task_collect, task_move, task_manifest, task_native, task_run) on a
 * real spool, with workers and commands, and a manager that only pretends.
 */
#include "act/service_actuator.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Bed {
        char root[64], in[96], hold[96], state[96], told[96];
        sd_event *event;
        Manager manager;
        ManagerResult answer; /* of the next call of the manager */
        Runner *runner;
        Worker *spool, *proc;
        StoreSettings store;
        RebuildSettings rebuild;
        ServiceSettings service;
        Actuator *actuator;
        Roster roster;
        bool done;
        ResultKind result;
        Reason reason;
        bool has_inventory;
        Inventory inventory;
        size_t n_messages, n_stores;
        char quarantine[128];
        char detail[256];
} Bed;

static Bed *the_bed; /* the manager's calls have no other way to it */

static int answer_now(Manager *m, ManagerDone done, void *userdata)
{
        (void)m;
        done(userdata, &the_bed->answer);
        return 0;
}

static int guard(Manager *m, bool on, const char *incident, ManagerDone done, void *userdata)
{
        (void)on;
        assert_non_null(incident);
        return answer_now(m, done, userdata);
}

static int processes(Manager *m, ProcId **ret, size_t *ret_n)
{
        (void)m;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

static Manager *free_nothing(Manager *m)
{
        (void)m;
        return NULL;
}

static const ManagerOps manager_ops = { .guard = guard,
                                        .start = answer_now,
                                        .stop = answer_now,
                                        .kill = answer_now,
                                        .processes = processes,
                                        .free = free_nothing };

static void put(const char *dir, const char *name)
{
        char path[200];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(name, f);
        fclose(f);
}

static bool there(const char *dir, const char *name)
{
        char path[320];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
        Bed *b = calloc(1, sizeof(*b));
        ServiceActuatorConfig config;

        *state = the_bed = b;
        strcpy(b->root, "/tmp/unjam-actuator-XXXXXX");
        assert_non_null(mkdtemp(b->root));
        snprintf(b->in, sizeof(b->in), "%s/In", b->root);
        snprintf(b->hold, sizeof(b->hold), "%s/.unjam", b->root);
        snprintf(b->state, sizeof(b->state), "%s/queue.dat", b->root);
        snprintf(b->told, sizeof(b->told), "%s/told", b->root);
        assert_int_equal(mkdir(b->in, 0700), 0);
        b->store.name = (char *)"imcdata";
        b->store.layout.flat = true;
        b->store.hold = b->hold;
        assert_int_equal(strv_append(&b->store.dirs, b->in), 0);
        assert_int_equal(strv_append(&b->store.rebuildable, b->state), 0);
        assert_int_equal(strv_append(&b->store.after_release, "/usr/bin/touch"), 0);
        assert_int_equal(strv_append(&b->store.after_release, b->told), 0);
        b->service = (ServiceSettings){ .name = (char *)"imc",
                                        .mode = MODE_ACT,
                                        .sole_supervisor = true,
                                        .manager = MANAGER_EMBEDDED,
                                        .stores = &b->store,
                                        .n_stores = 1 };
        assert_true(sd_event_new(&b->event) >= 0);
        assert_int_equal(worker_new(&b->spool, b->event, "spool"), 0);
        assert_int_equal(worker_new(&b->proc, b->event, "proc"), 0);
        assert_int_equal(runner_fork_new(&b->runner, b->event), 0);
        b->manager.ops = &manager_ops;
        config = (ServiceActuatorConfig){ .event = b->event,
                                          .service = &b->service,
                                          .manager = &b->manager,
                                          .runner = b->runner,
                                          .spool_worker = b->spool,
                                          .proc_worker = b->proc,
                                          .disk = disk_posix() };
        assert_int_equal(service_actuator_new(&b->actuator, &config), 0);
        for (char c = 'a'; c <= 'e'; c++)
                put(b->in, (char[]){ c, '\0' });
        return 0;
}

static int tear_down(void **state)
{
        Bed *b = *state;
        char command[128];

        worker_free(b->spool);
        worker_free(b->proc);
        actuator_free(b->actuator);
        runner_free(b->runner);
        sd_event_unref(b->event);
        roster_deinit(&b->roster);
        strv_free(b->store.dirs);
        strv_free(b->store.rebuildable);
        strv_free(b->store.after_release);
        snprintf(command, sizeof(command), "rm -rf %s", b->root);
        free(b);
        return system(command);
}

static void take(void *userdata, const Outcome *o)
{
        Bed *b = userdata;

        b->done = true;
        b->result = o->result;
        b->reason = o->reason;
        b->has_inventory = o->has_inventory;
        b->inventory = o->inventory;
        b->n_messages = o->n_messages;
        b->n_stores = json_array_size(o->stores);
        for (size_t k = 0; k < b->n_stores; k++) {
                const json_t *store = json_array_get(o->stores, k);

                assert_int_equal(json_integer_value(json_object_get(store, "messages")), 5);
                assert_int_equal(json_string_length(json_object_get(store, "manifest_sha256")), 64);
        }
        snprintf(b->detail, sizeof(b->detail), "%s", o->detail ? o->detail : "");
        if (o->message_ids && o->n_messages > 0)
                snprintf(b->quarantine, sizeof(b->quarantine), "%s", o->message_ids[0]);
}

static void perform(Bed *b, Action a)
{
        a.incident = "20260101T000000-000000-0";
        a.roster = &b->roster;
        b->done = false;
        assert_int_equal(actuator_perform(b->actuator, &a, take, b), 0);
        if (!b->done) /* one thing at a time */
                assert_int_equal(actuator_perform(b->actuator, &a, take, b), -EBUSY);
        for (int k = 0; k < 500 && !b->done; k++)
                assert_true(sd_event_run(b->event, 100 * USEC_PER_MSEC) >= 0);
        assert_true(b->done);
}

static void stop(Bed *b)
{
        b->answer = (ManagerResult){ .result = RESULT_DONE };
        perform(b, (Action){ .kind = ACTION_STOP });
        assert_int_equal(b->result, RESULT_DONE);
}

static uint32_t index_of(Bed *b, const char *id)
{
        uint32_t i = 0;

        assert_int_equal(roster_find(&b->roster, 0, id, strlen(id), &i), 0);
        return i;
}

static void collect_counts_the_mail(void **state)
{
        Bed *b = *state;

        perform(b, (Action){ .kind = ACTION_COLLECT, .with_causes = true, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_true(b->has_inventory);
        assert_int_equal(b->inventory.in_store, 5);
        assert_int_equal(b->roster.n, 5);
}

static void hold_quarantine_restore(void **state)
{
        Bed *b = *state;
        MessageSet set = { 0 };
        char files[300];

        perform(b, (Action){ .kind = ACTION_COLLECT, .store = STORE_ALL });
        stop(b);
        assert_int_equal(message_set_add(&set, index_of(b, "c")), 0);
        perform(b, (Action){ .kind = ACTION_PLACE, .set = &set, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->n_messages, 1); /* a full record of the few */
        assert_int_equal(b->inventory.in_hold, 1);
        assert_false(there(b->in, "c"));
        assert_true(there(b->in, "d"));
        perform(b, (Action){ .kind = ACTION_QUARANTINE, .set = &set, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->inventory.in_quarantine, 1);
        snprintf(files, sizeof(files), "%s/quarantine/%s", b->hold, b->quarantine);
        assert_true(there(files, "message.json"));
        perform(b, (Action){ .kind = ACTION_CLOSE, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        perform(b, (Action){ .kind = ACTION_RELEASE, .quarantine = b->quarantine, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_true(there(b->in, "c"));
        perform(b, (Action){ .kind = ACTION_RELEASE, .quarantine = b->quarantine, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_FAILED); /* there is none any more */
        assert_true(b->detail[0] != '\0');
        message_set_deinit(&set);
        /* Unless an unjamd before may have done it, and has not said so. */
        perform(b, (Action){ .kind = ACTION_RELEASE,
                             .quarantine = b->quarantine,
                             .again = true,
                             .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->n_messages, 1);
}

static void set_aside_and_back(void **state)
{
        Bed *b = *state;

        perform(b, (Action){ .kind = ACTION_COLLECT, .store = STORE_ALL });
        stop(b);
        perform(b, (Action){ .kind = ACTION_SET_ASIDE, .store = 0 });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->inventory.in_hold, 5);
        assert_false(there(b->in, "a"));
        assert_int_equal(b->n_stores, 0); /* nobody waits for the manifest ... */
        put(b->in, "new");                /* arrives meanwhile */
        perform(b, (Action){ .kind = ACTION_RESTORE, .store = STORE_ALL });
        assert_int_equal(b->n_stores, 1); /* ... but what moves them does */
        assert_int_equal(b->inventory.in_hold, 0);
        assert_int_equal(b->inventory.in_store, 6);
        assert_true(there(b->in, "a"));
        b->answer = (ManagerResult){ .result = RESULT_DONE, .invocation = "i" };
        assert_false(access(b->told, F_OK) == 0);
        perform(b, (Action){ .kind = ACTION_START });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(access(b->told, F_OK), 0); /* it was told that mail is back */
}

/* Quarantines "c", and restores the rest with the server's own hold for it. */
static void restore_natively(Bed *b, char **hold)
{
        static char held[100], back[100], mail[120];
        static char *dirs[] = { held, NULL };
        static char *release[] = { (char *)"/bin/mv", (char *)"-t", NULL, mail, NULL };
        MessageSet set = { 0 };

        snprintf(held, sizeof(held), "%s/held", b->root);
        snprintf(mail, sizeof(mail), "%s/%%i", held);
        snprintf(back, sizeof(back), "%s", b->in);
        release[2] = back;
        assert_int_equal(mkdir(held, 0700), 0);
        b->store.quarantine_native = true;
        b->store.native = (NativeSettings){
                .hold = hold, .release = release, .remove = hold, .dirs = dirs, .timeout = 20 * USEC_PER_SEC
        };
        perform(b, (Action){ .kind = ACTION_COLLECT, .store = STORE_ALL });
        stop(b);
        assert_int_equal(message_set_add(&set, index_of(b, "c")), 0);
        perform(b, (Action){ .kind = ACTION_QUARANTINE, .set = &set, .store = STORE_ALL });
        assert_int_equal(b->n_messages, 1);
        perform(b, (Action){ .kind = ACTION_RESTORE, .native = true, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->inventory.in_store, 4);
        assert_int_equal(b->inventory.in_quarantine, 1);
        message_set_deinit(&set);
}

static void the_server_holds_it(void **state)
{
        Bed *b = *state;
        char to[100], mail[120];
        char *hold[] = { (char *)"/bin/mv", (char *)"-t", to, mail, NULL };
        char held[100];

        snprintf(to, sizeof(to), "%s/held", b->root);
        snprintf(mail, sizeof(mail), "%s/%%i", b->in);
        snprintf(held, sizeof(held), "%s/held", b->root);
        restore_natively(b, hold);
        assert_int_equal(b->reason, REASON_NONE);
        assert_int_equal(b->n_messages, 1);
        assert_true(there(held, "c"));
        /* The other way round while it runs; the server is told that mail is back. */
        b->answer = (ManagerResult){ .result = RESULT_DONE };
        perform(b, (Action){ .kind = ACTION_START });
        assert_int_equal(unlink(b->told), 0);
        perform(b, (Action){ .kind = ACTION_RELEASE,
                             .native = true,
                             .target = "/tmp",
                             .quarantine = b->quarantine });
        assert_int_equal(b->result, RESULT_FAILED);
        perform(b, (Action){ .kind = ACTION_RELEASE, .native = true, .quarantine = b->quarantine });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->n_messages, 1);
        assert_true(there(b->in, "c"));
        assert_int_equal(access(b->told, F_OK), 0);
}

static void the_server_does_not_take_it(void **state)
{
        Bed *b = *state;
        char *hold[] = { (char *)"/bin/false", (char *)"%i", NULL };
        char files[300];

        restore_natively(b, hold);
        assert_int_equal(b->reason, REASON_NATIVE_REFUSED);
        assert_non_null(strstr(b->detail, "status 1"));
        assert_int_equal(b->n_messages, 0);
        snprintf(files, sizeof(files), "%s/quarantine/%s/files/0", b->hold, b->quarantine);
        assert_true(there(files, "c"));
        /* Ours: not beside a server that runs, if that is what is thought. */
        b->answer = (ManagerResult){ .result = RESULT_DONE };
        perform(b, (Action){ .kind = ACTION_START });
        perform(b, (Action){ .kind = ACTION_RELEASE, .native = true, .quarantine = b->quarantine });
        assert_int_equal(b->result, RESULT_FAILED);
        assert_string_equal(b->detail, "the server does not hold it");
        assert_true(there(files, "c"));
}

/* A message with the bytes of a culprit arrives while the service runs. */
static void a_known_culprit_arrives(void **state)
{
        static const char text[] =
                "the bytes of a message that was the culprit once, more than 64 of them, say 80";
        Bed *b = *state;
        char to[100], mail[120], path[200];
        char *hold[] = { (char *)"/bin/mv", (char *)"-t", to, mail, NULL };
        FILE *f;

        snprintf(to, sizeof(to), "%s/held", b->root);
        snprintf(mail, sizeof(mail), "%s/%%i", b->in);
        snprintf(path, sizeof(path), "%s/c", b->in);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        restore_natively(b, hold);
        b->answer = (ManagerResult){ .result = RESULT_DONE };
        perform(b, (Action){ .kind = ACTION_START });
        snprintf(path, sizeof(path), "%s/again", b->in);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        perform(b, (Action){ .kind = ACTION_CATCH, .target = path });
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->n_messages, 1);
        assert_true(there(to, "again"));
        perform(b, (Action){ .kind = ACTION_CATCH, .target = path }); /* gone */
        assert_int_equal(b->result, RESULT_DONE);
        assert_int_equal(b->n_messages, 0);
        /* The server does not take it: it stays. */
        hold[0] = (char *)"/bin/false";
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        assert_int_equal(unlinkat(AT_FDCWD, strcat(strcpy(mail, to), "/again"), 0), 0);
        snprintf(mail, sizeof(mail), "%%i");
        perform(b, (Action){ .kind = ACTION_CATCH, .target = path });
        assert_int_equal(b->result, RESULT_FAILED);
        assert_int_equal(b->reason, REASON_NATIVE_REFUSED);
        assert_true(there(b->in, "again"));
}

static void a_command_that_is_not_there(void **state)
{
        Bed *b = *state;
        char *hold[] = { (char *)"/nowhere/hold", (char *)"%i", NULL };

        restore_natively(b, hold);
        assert_int_equal(b->reason, REASON_NATIVE_REFUSED);
        assert_non_null(strstr(b->detail, "could not be started"));
}

static void purge_then_rebuild(void **state)
{
        Bed *b = *state;
        char *command[] = { (char *)"/usr/bin/touch", b->state, NULL };
        char *fails[] = { (char *)"/bin/false", NULL };

        put(b->root, "queue.dat");
        stop(b);
        perform(b, (Action){ .kind = ACTION_PURGE, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_false(there(b->root, "queue.dat"));
        b->rebuild = (RebuildSettings){ .path = b->state, .command = command };
        b->store.rebuild = &b->rebuild;
        b->store.n_rebuild = 1;
        perform(b, (Action){ .kind = ACTION_PURGE, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_DONE);
        assert_true(there(b->root, "queue.dat"));
        b->rebuild.command = fails;
        perform(b, (Action){ .kind = ACTION_PURGE, .store = STORE_ALL });
        assert_int_equal(b->result, RESULT_FAILED);
        b->store.n_rebuild = 0;
}

static void the_managers_word_is_handed_on(void **state)
{
        Bed *b = *state;

        b->answer = (ManagerResult){ .result = RESULT_FAILED,
                                     .reason = REASON_UNKILLABLE,
                                     .detail = "pid 7 in state D" };
        perform(b, (Action){ .kind = ACTION_KILL });
        assert_int_equal(b->result, RESULT_FAILED);
        assert_int_equal(b->reason, REASON_UNKILLABLE);
        assert_string_equal(b->detail, "pid 7 in state D");
        b->answer = (ManagerResult){ .result = RESULT_TIMEOUT, .reason = REASON_STOP_TIMEOUT };
        perform(b, (Action){ .kind = ACTION_STOP });
        assert_int_equal(b->result, RESULT_TIMEOUT);
}

static void paths_are_resolved_once_the_stores_are_open(void **state)
{
        Bed *b = *state;
        char path[128];
        const char *id;
        size_t store, len;

        snprintf(path, sizeof(path), "%s/a", b->in);
        assert_int_equal(actuator_resolve(b->actuator, path, &store, &id, &len), ACTUATOR_E_NONE);
        perform(b, (Action){ .kind = ACTION_COLLECT, .store = STORE_ALL });
        assert_int_equal(actuator_resolve(b->actuator, path, &store, &id, &len), 0);
        assert_int_equal(len, 1);
        assert_int_equal(id[0], 'a');
        assert_int_equal(actuator_resolve(b->actuator, "/etc/passwd", &store, &id, &len), ACTUATOR_E_NONE);
}

#define BED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                BED(collect_counts_the_mail),
                BED(hold_quarantine_restore),
                BED(set_aside_and_back),
                BED(the_server_holds_it),
                BED(the_server_does_not_take_it),
                BED(a_known_culprit_arrives),
                BED(a_command_that_is_not_there),
                BED(purge_then_rebuild),
                BED(the_managers_word_is_handed_on),
                BED(paths_are_resolved_once_the_stores_are_open),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Tests of unjamctl's verbs, each through the whole program: verb_audit, verb_incident (with report and
 * report_parts), verb_operate, verb_quarantine, verb_status, verb_watch.
 */
#include "ctl_helper.h"

#define CLOSED "20261122T140001-imc"
#define OPEN   "20261123T090000-imc"

static const char *text_of(const json_t *j, const char *name)
{
        const char *s = json_string_value(json_object_get(j, name));

        return s ? s : "";
}

static json_int_t number_of(const json_t *j, const char *name)
{
        return json_integer_value(json_object_get(j, name));
}

/* incident */

static void test_incident_list(void **state)
{
        World *w = *state;
        json_t *j, *i;

        expect_run(w, 0, "--json", "incident", "list");
        assert_string_equal(w->text, "[]\n");
        world_incidents(w);
        expect_run(w, 0, "--json", "incident", "list");
        j = world_json(w);
        assert_int_equal(json_array_size(j), 2);
        i = json_array_get(j, 0);
        assert_string_equal(text_of(i, "incident"), CLOSED);
        assert_string_equal(text_of(i, "service"), "imc");
        assert_string_equal(text_of(i, "state"), "diagnosing");
        assert_string_equal(text_of(i, "result"), "recovered");
        assert_int_equal(number_of(i, "trials"), 1);
        assert_int_equal(number_of(i, "crashes"), 0);
        assert_int_equal(number_of(i, "outage_ms"), 9000);
        assert_string_equal(text_of(json_array_get(json_object_get(i, "culprits"), 0), "id"), "m4");
        assert_true(*text_of(i, "opened") && *text_of(i, "closed"));
        i = json_array_get(j, 1);
        assert_true(json_is_null(json_object_get(i, "closed")));
        assert_true(json_is_null(json_object_get(i, "result")));
        assert_string_equal(text_of(i, "state"), "isolating");
        assert_int_equal(json_array_size(json_object_get(i, "culprits")), 0);
        json_decref(j);
        expect_run(w, 0, "incident", "list");
        expect_text(w->text, "INCIDENT");
        expect_text(w->text, "recovered");
        expect_text(w->text, "isolating");
        expect_run(w, 0, "incident", "list", "other");
        expect_text(w->text, "No incident is on record.");
}

static void test_incident_show(void **state)
{
        static const char *const parts[] = {
                "Incident " CLOSED,
                "imc",
                "recovered",
                "stalled: 7 messages wait, none moved for 2min",
                "m4  (store in)",
                "held_open",
                "was /spool/In/m4, file of 512 bytes",
                "hold/quarantine/q1",
                "unjamctl quarantine show q1",
                "4711",
                "pipe_read",
                "4711 has open /spool/In/m4",
                "delivering m4",
                "suspects",
                "healthy",
                "suspect -> diagnosing",
                "kill: done",
                "7  messages before, and 1 arrived",
                "6  taken by the service",
                "m5",
                "2026-11-27 13:00:00",
                "unjamctl quarantine list",
        };
        World *w = *state;

        world_incidents(w);
        world_quarantine(w);
        expect_run(w, 0, "incident", "show", CLOSED);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                expect_text(w->text, parts[i]);
        expect_no_text(w->text, "\033");
        expect_no_text(w->text, "begun, no outcome");
        expect_run(w, 0, "incident", "show", "20261123"); /* a beginning is enough */
        expect_text(w->text, "isolating");
        expect_text(w->text, "unjamctl watch imc");
        expect_run(w, 0, "incident", "show", "last");
        expect_text(w->text, OPEN);
        expect_run(w, 1, "incident", "show", "2026112");
        expect_text(w->errors, "several incidents begin like this");
        expect_run(w, 1, "incident", "show", "nothing");
        expect_text(w->errors, "no such incident");
}

static void test_incident_show_json(void **state)
{
        World *w = *state;
        json_t *j;

        world_incidents(w);
        expect_run(w, 0, "--json", "incident", "show", CLOSED);
        j = world_json(w);
        assert_string_equal(text_of(j, "result"), "recovered");
        assert_int_equal(number_of(json_object_get(j, "ledger"), "consumed"), 6);
        assert_int_equal(json_array_size(json_object_get(j, "records")), 9);
        json_decref(j);
}

static void test_where_a_culprit_went(void **state)
{
        static const Line released[] = { { AUDIT_MESSAGE_RELEASED, NULL, "{\"data\":" CULPRIT "}" } };
        World *w = *state;

        world_incidents(w);
        expect_run(w, 0, "incident", "show", CLOSED);
        expect_text(w->text, "no longer in quarantine\n");
        world_record(w, released, 1);
        expect_run(w, 0, "incident", "show", CLOSED);
        expect_text(w->text, "no longer in quarantine: released at ");
}

/* quarantine */

static void test_quarantine_list(void **state)
{
        World *w = *state;
        json_t *j, *m;

        expect_run(w, 0, "quarantine", "list");
        expect_text(w->text, "Nothing is in quarantine.");
        world_quarantine(w);
        expect_run(w, 0, "--json", "quarantine", "list");
        j = world_json(w);
        assert_int_equal(json_array_size(j), 2);
        m = json_array_get(j, 0);
        assert_string_equal(text_of(m, "quarantine"), "q2"); /* oldest first */
        m = json_array_get(j, 1);
        assert_string_equal(text_of(m, "id"), "m4");
        assert_string_equal(text_of(m, "service"), "imc");
        assert_string_equal(text_of(m, "store"), "in");
        assert_string_equal(text_of(m, "incident"), CLOSED);
        assert_string_equal(text_of(m, "quarantined_at"), "2099-11-22T14:01:00.000000Z");
        json_decref(j);
        expect_run(w, 0, "quarantine", "list");
        expect_text(w->text, "m4");
        expect_text(w->text, "old?[2J");
        expect_run(w, 0, "quarantine", "list", "other");
        expect_text(w->text, "Nothing");
}

static void test_quarantine_show(void **state)
{
        World *w = *state;

        world_quarantine(w);
        expect_run(w, 0, "quarantine", "show", "q1");
        expect_text(w->text, "hold/quarantine/q1");
        expect_text(w->text, "Expires");
        expect_text(w->text, "unjamctl quarantine release q1");
        expect_run(w, 0, "quarantine", "show", "m4"); /* by the message's own id */
        expect_run(w, 0, "quarantine", "show", "q2");
        expect_text(w->text, "Expired");
        expect_run(w, 1, "quarantine", "show", "q9");
        expect_text(w->errors, "not in quarantine");
}

/* One that the server itself holds: here, and after it has left that hold without unjamd. */
static void test_quarantine_native(void **state)
{
        World *w = *state;
        _cleanup_(freep) char *record = NULL;
        char path[160];
        struct stat st;
        json_t *j;

        world_quarantine(w);
        world_mkdir(w, "held");
        world_file(w, "held/m4", "poison");
        snprintf(path, sizeof(path), "%s/held/m4", w->dir);
        assert_int_equal(stat(path, &st), 0);
        assert_true(
                asprintf(&record,
                         "{\"id\":\"m4\",\"store\":\"in\",\"service\":\"imc\",\"evidence\":[],\"files\":[],"
                         "\"quarantined_at\":\"2099-11-22T14:01:00.000000Z\",\"native\":true,"
                         "\"where\":[{\"path\":\"%s\",\"inode\":%ju}]}",
                         path, (uintmax_t)st.st_ino) > 0);
        world_file(w, "hold/quarantine/q1/message.json", record);
        expect_run(w, 0, "--json", "quarantine", "show", "q1");
        j = world_json(w);
        assert_true(json_is_true(json_object_get(j, "native")));
        assert_true(json_is_false(json_object_get(j, "left")));
        json_decref(j);
        expect_run(w, 0, "quarantine", "list");
        expect_text(w->text, "the server");
        expect_text(w->text, "unjamd");
        expect_run(w, 0, "quarantine", "show", "q1");
        expect_text(w->text, path);
        expect_text(w->text, "have the server take it up again");
        expect_no_text(w->text, "--to DIR");
        world_serve(w);
        expect_run(w, 0, "quarantine", "release", "q1");
        expect_request(w, "quarantine-release", "{\"service\":\"imc\",\"id\":\"q1\",\"native\":true}");
        expect_text(w->text, "done by the server");
        assert_int_equal(unlink(path), 0);
        expect_run(w, 0, "quarantine", "list");
        expect_text(w->text, "it has left the server's hold");
}

static void test_quarantine_release_and_delete(void **state)
{
        World *w = *state;

        world_quarantine(w);
        expect_run(w, 3, "quarantine", "release", "q1");
        world_serve(w);
        expect_run(w, 0, "quarantine", "release", "q1");
        expect_request(w, "quarantine-release", "{\"service\":\"imc\",\"id\":\"q1\"}");
        expect_text(w->text, "q1 (m4): back in its store");
        expect_run(w, 0, "quarantine", "release", "m4", "--to", "/tmp/x");
        expect_request(w, "quarantine-release", "{\"service\":\"imc\",\"id\":\"q1\",\"to\":\"/tmp/x\"}");
        expect_run(w, 0, "quarantine", "delete", "--expired");
        expect_request(w, "quarantine-delete", "{\"service\":\"imc\",\"id\":\"q2\"}");
        expect_no_text(w->text, "m4");
        json_array_clear(w->requests);
        expect_run(w, 0, "quarantine", "delete", "--all");
        assert_int_equal(json_array_size(w->requests), 2);
        json_array_clear(w->requests);
        expect_run(w, 2, "quarantine", "delete");
        expect_run(w, 2, "quarantine", "delete", "q1", "--all");
        expect_run(w, 2, "quarantine", "release", "q1", "--to", "relative");
        expect_run(w, 2, "quarantine", "release", "--expired");
        expect_run(w, 1, "quarantine", "delete", "q9");
        assert_int_equal(json_array_size(w->requests), 0);
}

/* What asks the daemon */

static void test_operating(void **state)
{
        World *w = *state;

        world_incidents(w);
        world_serve(w);
        expect_run(w, 0, "pause", "imc", "--for", "30min", "--reason", "upgrade");
        expect_request(w, "pause", "{\"service\":\"imc\",\"for_usec\":1800000000,\"reason\":\"upgrade\"}");
        expect_text(w->text, "imc: paused for 30min");
        expect_run(w, 0, "pause", "imc");
        expect_request(w, "pause", "{\"service\":\"imc\",\"for_usec\":3600000000}");
        expect_run(w, 0, "resume", "imc");
        expect_request(w, "resume", "{\"service\":\"imc\"}");
        expect_run(w, 0, "recover", "imc");
        expect_request(w, "recover", "{\"service\":\"imc\"}");
        expect_run(w, 0, "reload");
        expect_request(w, "reload", "{}");
        w->answer = json_pack("{s:b, s:s}", "queued", 1, "text", "a recovery is under way");
        expect_run(w, 0, "restore", CLOSED);
        expect_request(w, "restore", "{\"service\":\"imc\",\"incident\":\"" CLOSED "\"}");
        expect_text(w->text, "Queued: a recovery is under way");
        expect_run(w, 0, "--json", "restore", CLOSED);
        expect_text(w->text, "\"queued\": true");
        expect_run(w, 1, "restore", "nothing");
}

static void test_a_refusal(void **state)
{
        World *w = *state;

        world_serve(w);
        w->refuse = true;
        w->answer = json_pack("{s:s, s:s}", "error", "not \033[1mpaused", "reason", "none");
        expect_run(w, 1, "resume", "imc");
        expect_text(w->errors, "unjamctl: not ?[1mpaused");
        expect_run(w, 1, "--json", "resume", "imc");
        expect_text(w->text, "\"reason\": \"none\"");
}

static void set_status(World *w, int waiting)
{
        json_decref(w->status);
        w->status = json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:{s:i, s:i}}]}",
                              "services", "service", "imc", "state", "isolating", "since",
                              "2026-11-22T14:00:00.000000Z", "incident", OPEN, "mode", "act", "reason",
                              "next_rung", "symptom", "stalled", "mail_waiting", waiting, "quarantined", 1,
                              "trials", 3, "progress", "done", 20, "total", 700);
}

static void test_status(void **state)
{
        World *w = *state;
        json_t *j;

        world_serve(w);
        set_status(w, 42);
        expect_run(w, 0, "status");
        expect_text(w->text, "isolating");
        expect_text(w->text, "42");
        expect_text(w->text, "20 of 700");
        expect_run(w, 0, "status", "imc", "--json");
        j = world_json(w);
        assert_int_equal(number_of(json_array_get(json_object_get(j, "services"), 0), "mail_waiting"), 42);
        json_decref(j);
        json_decref(w->status);
        w->status = json_pack("{s:[]}", "services");
        expect_run(w, 1, "status", "other");
        expect_run(w, 0, "status");
}

static void test_explain_and_check(void **state)
{
        World *w = *state;

        world_serve(w);
        w->answer = json_pack("{s:s, s:s, s:s, s:s, s:n, s:[{s:s, s:s, s:s}]}", "service", "imc", "state",
                              "healthy", "reason", "claim_only", "text", "Only a log line says so.",
                              "incident", "history", "time", "2026-11-22T14:00:00.000000Z", "reason",
                              "symptom", "text", "a line said 4037");
        expect_run(w, 0, "explain", "imc");
        expect_text(w->text, "Only a log line says so.");
        expect_text(w->text, "2026-11-22 14:00:00");
        expect_text(w->text, "a line said 4037");
        json_decref(w->answer);
        w->answer = json_pack("{s:[{s:s, s:s, s:b, s:b, s:s, s:s}]}", "causes", "cause", "startup_account",
                              "effect", "veto", "found", 1, "known", 1, "detail",
                              "Traceback:\n  no such user\n", "advice", "create it");
        expect_run(w, 0, "check", "imc");
        expect_text(w->text, "startup_account");
        expect_text(w->text, "no such user");
        assert_null(strstr(w->text, "Traceback"));
        expect_text(w->text, "create it");
        expect_run(w, 0, "--json", "check", "imc");
        expect_text(w->text, "\"advice\": \"create it\"");
        json_decref(w->answer);
        w->answer = json_pack("{s:b, s:s}", "queued", 1, "text", "done when it has ended");
        expect_run(w, 0, "check", "imc");
        expect_text(w->text, "done when it has ended");
}

/* Until the child has written @part, then it is ended by a signal. */
static void watch_until(World *w, const char *part, const char *const *words)
{
        bool seen = false;

        world_start(w, words);
        for (int i = 0; i < 20000 && !seen; i++) {
                Publisher p = control_server_publisher(w->server);
                char *text;

                assert_true(sd_event_run(w->event, 500) >= 0);
                p.publish(p.userdata, json_incref(w->publish));
                if (access(w->out, F_OK) < 0)
                        continue;
                text = fixture_read(w->out);
                seen = strstr(text, part) != NULL;
                free(text);
        }
        assert_int_equal(kill(w->child, SIGTERM), 0);
        json_decref(w->publish);
        w->publish = NULL;
        assert_int_equal(world_wait(w), 0);
        assert_true(seen);
}

static void test_watch(void **state)
{
        World *w = *state;

        world_serve(w);
        set_status(w, 42);
        w->publish = json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "state", "service", "imc", "from",
                               "suspect", "to", "diagnosing", "text", "The symptom is confirmed.");
        watch_until(w, "suspect -> diagnosing  The symptom is confirmed.",
                    (const char *const[]){ "watch", NULL });
        expect_text(w->text, "42 messages waiting");
        expect_no_text(w->text, "\033");
        w->publish = json_pack("{s:s, s:s, s:s, s:i, s:i}", "event", "trial", "service", "imc", "text",
                               "started", "trial", 3, "held", 12);
        watch_until(w, "trial 3 started, 12 messages held back",
                    (const char *const[]){ "watch", "imc", NULL });
        w->publish = json_pack("{s:s, s:s, s:s, s:i}", "event", "message", "service", "imc", "text",
                               "cleared", "count", 500);
        watch_until(w, "500 messages cleared", (const char *const[]){ "watch", NULL });
        w->publish = json_pack("{s:s, s:s, s:s, s:i, s:i}", "event", "progress", "service", "imc", "text",
                               "place", "done", 5, "total", 9);
        watch_until(w, "place: 5 of 9", (const char *const[]){ "watch", NULL });
        w->publish = json_pack("{s:s, s:s, s:s, s:s}", "event", "closed", "service", "imc", "incident", OPEN,
                               "result", "recovered");
        watch_until(w, "incident closed: recovered", (const char *const[]){ "watch", NULL });
        w->publish = json_pack("{s:s, s:s}", "event", "alert", "text", "look here");
        watch_until(w, "{\"event\":\"alert\",\"text\":\"look here\"}\n",
                    (const char *const[]){ "watch", "--json", NULL });
}

static void test_watch_ends_with_the_daemon(void **state)
{
        World *w = *state;

        world_serve(w);
        set_status(w, 1);
        world_start(w, (const char *const[]){ "watch", NULL });
        while (json_array_size(w->requests) == 0)
                assert_true(sd_event_run(w->event, 5000) >= 0);
        w->server = control_server_free(w->server);
        assert_int_equal(world_wait(w), 3);
}

/* audit */

static void test_audit_tail_and_show(void **state)
{
        World *w = *state;
        json_t *j;

        world_incidents(w);
        expect_run(w, 0, "audit", "tail", "-n", "2");
        expect_text(w->text, "suspect -> isolating (next_rung)");
        expect_text(w->text, "crashed");
        expect_no_text(w->text, "recovered");
        expect_run(w, 0, "--json", "audit", "tail", "--lines", "3");
        j = world_json(w);
        assert_int_equal(json_array_size(j), 3);
        assert_int_equal(number_of(json_array_get(j, 2), "seq"), 12);
        json_decref(j);
        expect_run(w, 0, "audit", "tail");
        expect_text(w->text, "daemon.started");
        expect_run(w, 0, "--json", "audit", "show", "5");
        j = world_json(w);
        assert_int_equal(json_array_size(j), 1);
        assert_string_equal(text_of(json_array_get(j, 0), "action"), "kill");
        json_decref(j);
        expect_run(w, 0, "--json", "audit", "show", CLOSED);
        j = world_json(w);
        assert_int_equal(json_array_size(j), 9);
        json_decref(j);
        expect_run(w, 1, "audit", "show", "99");
        expect_text(w->errors, "no such record");
}

static void test_audit_verify(void **state)
{
        World *w = *state;
        char *text, *hash;
        json_t *j;

        expect_run(w, 1, "audit", "verify");
        expect_text(w->errors, "there is no audit trail");
        world_incidents(w);
        expect_run(w, 0, "audit", "verify");
        expect_text(w->text, "12 records, last hash ");
        text = fixture_read(w->audit);
        hash = strstr(text, "confirmed");
        hash[0] = 'C';
        fixture_write(w->audit, text, strlen(text));
        free(text);
        expect_run(w, 1, "audit", "verify");
        expect_text(w->text, "record 2 (line 2 of ");
        expect_text(w->text, "was changed");
        expect_run(w, 1, "--json", "audit", "verify");
        j = world_json(w);
        assert_string_equal(text_of(j, "fault"), "changed");
        assert_int_equal(number_of(j, "seq"), 2);
        json_decref(j);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_incident_list),
                TEST(test_incident_show),
                TEST(test_incident_show_json),
                TEST(test_where_a_culprit_went),
                TEST(test_quarantine_list),
                TEST(test_quarantine_show),
                TEST(test_quarantine_native),
                TEST(test_quarantine_release_and_delete),
                TEST(test_operating),
                TEST(test_a_refusal),
                TEST(test_status),
                TEST(test_explain_and_check),
                TEST(test_watch),
                TEST(test_watch_ends_with_the_daemon),
                TEST(test_audit_tail_and_show),
                TEST(test_audit_verify),
        };

        return cmocka_run_group_tests_name("verbs", tests, NULL, NULL);
}

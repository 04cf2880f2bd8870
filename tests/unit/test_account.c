/* Tests of ctl/account.c: a story put in order. */
#include "ctl_helper.h"

#include "config/config.h"
#include "ctl/account.h"

#define ID "20261122T140001-imc"

/* The account of an incident as `unjamctl report` makes it; with the configuration, if @settings. */
static json_t *account(const World *w, const char *id, bool settings)
{
        Ctl c = { .audit_path = w->audit };
        ConfigFaults faults = { 0 };
        Story s;
        json_t *j;

        if (settings)
                assert_int_equal(config_load(w->config, CONFIG_READ_ONLY, NULL, &c.settings, &faults), 0);
        assert_int_equal(story_read(w->audit, id, &s), 0);
        j = account_new(&c, &s);
        assert_non_null(j);
        story_deinit(&s);
        settings_unref(c.settings);
        return j;
}

static json_t *entry(const json_t *j, const char *list, size_t i)
{
        json_t *e = json_array_get(json_object_get(j, list), i);

        assert_non_null(e);
        return e;
}

/* @j, of which only the members in @want are looked at. */
static void expect(const json_t *j, const char *want)
{
        json_t *w = json_loads(want, JSON_DECODE_ANY, NULL), *value;
        const char *key;

        assert_non_null(w);
        json_object_foreach(w, key, value) if (!json_equal(json_object_get(j, key), value))
        {
                char *got = json_dumps(j, JSON_COMPACT);

                fail_msg("%s is not as in %s: %s", key, want, got);
        }
        json_decref(w);
}

static void test_states_trials_and_actions(void **state)
{
        static const Line lines[] = {
                { AUDIT_INCIDENT_OPENED, ID,
                  "{\"reason\":\"confirmed\",\"data\":{\"symptom\":\"crashed\"}}" },
                { AUDIT_STATE, ID, "{\"from\":\"healthy\",\"to\":\"diagnosing\",\"reason\":\"confirmed\"}" },
                { AUDIT_INTENT, ID,
                  "{\"action\":\"stop\",\"reason\":\"evidence\",\"data\":{\"action_seq\":1}}" },
                { AUDIT_STATE, ID, "{\"from\":\"diagnosing\",\"to\":\"stopping\",\"reason\":\"evidence\"}" },
                { AUDIT_OUTCOME, ID,
                  "{\"action\":\"stop\",\"result\":\"done\",\"data\":{\"action_seq\":1}}" },
                { AUDIT_TRIAL_STARTED, ID, "{\"data\":{\"trial\":1,\"rung\":\"restart\",\"held\":0}}" },
                { AUDIT_TRIAL_STARTED, ID, "{\"data\":{\"trial\":2,\"rung\":\"isolate\",\"held\":7}}" },
                { AUDIT_TRIAL_FINISHED, ID,
                  "{\"data\":{\"trial\":2,\"rung\":\"isolate\",\"outcome\":\"failed\",\"departed\":3,"
                  "\"duration_ms\":900,\"failure\":\"crashed\"}}" },
                { AUDIT_TRIAL_FINISHED, ID,
                  "{\"data\":{\"trial\":3,\"rung\":\"isolate\",\"outcome\":\"failed\"}}" },
                { AUDIT_MESSAGE_CLEARED, ID, "{\"data\":{\"count\":4}}" },
                { AUDIT_MESSAGE_CLEARED, ID, "{\"data\":{\"count\":3}}" },
                { AUDIT_INTENT, ID, "{\"action\":\"start\",\"data\":{\"action_seq\":2}}" },
        };
        World *w = *state;
        json_t *j;

        world_record(w, lines, ELEMENTSOF(lines));
        j = account(w, ID, false);
        expect(j, "{\"incident\":\"" ID "\",\"result\":null,\"why\":null,\"cleared\":7,\"host\":\"mail\","
                  "\"culprits\":[],\"next\":[\"unjamctl watch imc\",\"unjamctl explain imc\"]}");
        expect(json_object_get(j, "symptom"), "{\"symptom\":\"crashed\"}");
        expect(entry(j, "states", 0),
               "{\"state\":\"diagnosing\",\"duration_ms\":2000,\"reason\":\"confirmed\"}");
        expect(entry(j, "states", 1), "{\"state\":\"stopping\",\"duration_ms\":null}");
        assert_int_equal(json_array_size(json_object_get(j, "trial_list")), 3);
        expect(entry(j, "trial_list", 0), "{\"trial\":1,\"held\":0,\"outcome\":null}"); /* cut short */
        expect(entry(j, "trial_list", 1),
               "{\"trial\":2,\"held\":7,\"outcome\":\"failed\",\"departed\":3,"
               "\"duration_ms\":900,\"failure\":\"crashed\",\"rung\":\"isolate\"}");
        expect(entry(j, "trial_list", 2),
               "{\"trial\":3,\"held\":null,\"outcome\":\"failed\",\"departed\":null}");
        expect(entry(j, "actions", 0),
               "{\"action\":\"stop\",\"result\":\"done\",\"duration_ms\":2000,\"error\":null,\"seq\":1}");
        expect(entry(j, "actions", 1), "{\"action\":\"start\",\"result\":null,\"seq\":2}");
        json_decref(j);
}

static void test_causes_that_were_ruled_out(void **state)
{
        static const Line lines[] = {
                { AUDIT_INCIDENT_OPENED, ID, NULL },
                { AUDIT_EVIDENCE, ID,
                  "{\"data\":{\"processes\":[],\"lines\":[],\"checks\":["
                  "{\"cause\":\"permissions\",\"found\":false,\"known\":true},"
                  "{\"cause\":\"stale_lock\",\"found\":true,\"known\":true},"
                  "{\"cause\":\"disk_full\",\"found\":false,\"known\":false}]}}" },
                { AUDIT_CAUSE, ID, "{\"data\":{\"cause\":\"stale_lock\",\"effect\":\"remedy\"}}" },
                { AUDIT_EVIDENCE, ID,
                  "{\"data\":{\"processes\":[],\"lines\":[],\"checks\":["
                  "{\"cause\":\"permissions\",\"found\":false,\"known\":true}]}}" },
        };
        World *w = *state;
        json_t *j;

        world_record(w, lines, ELEMENTSOF(lines));
        j = account(w, ID, false);
        expect(j, "{\"ruled_out\":[\"permissions\"],\"not_checked\":[\"disk_full\"]}");
        expect(entry(j, "causes", 0), "{\"cause\":\"stale_lock\",\"effect\":\"remedy\"}");
        assert_int_equal(json_array_size(json_object_get(j, "evidence")), 2);
        json_decref(j);
}

static const char *place(const json_t *j, size_t i)
{
        const char *p =
                json_string_value(json_object_get(json_object_get(entry(j, "culprits", i), "now"), "place"));

        return p ? p : "";
}

static void test_where_the_culprits_are(void **state)
{
        /* The same id was released once before the incident, and is another message's in another store. */
        static const Line before[] = { { AUDIT_MESSAGE_RELEASED, NULL,
                                         "{\"data\":{\"id\":\"m4\",\"store\":\"in\"}}" } },
                          other[] = { { AUDIT_MESSAGE_DELETED, NULL,
                                        "{\"data\":{\"id\":\"m4\",\"store\":\"out\"}}" } },
                          after[] = { { AUDIT_MESSAGE_DELETED, NULL,
                                        "{\"data\":{\"id\":\"m4\",\"store\":\"in\"}}" } };
        World *w = *state;
        json_t *j;

        world_record(w, before, 1);
        world_incidents(w);
        world_record(w, other, 1);
        j = account(w, ID, true);
        assert_string_equal(place(j, 0), "gone");
        json_decref(j);
        j = account(w, ID, false);
        assert_string_equal(place(j, 0), "unknown");
        json_decref(j);
        world_quarantine(w);
        j = account(w, ID, true);
        assert_string_equal(place(j, 0), "quarantine");
        json_decref(j);
        world_record(w, after, 1);
        j = account(w, ID, false);
        assert_string_equal(place(j, 0), "deleted");
        json_decref(j);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_states_trials_and_actions),
                TEST(test_causes_that_were_ruled_out),
                TEST(test_where_the_culprits_are),
        };

        return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}

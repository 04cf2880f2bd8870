/* Tests of ctl/story.c: incidents as the audit trail tells them. */
#include "ctl_helper.h"

#include "ctl/story.h"

#define CLOSED "20261122T140001-imc"
#define OPEN   "20261123T090000-imc"

static int count(void *userdata, json_t *record)
{
        (void)record;
        (*(unsigned *)userdata)++;
        return 0;
}

static int stop(void *userdata, json_t *record)
{
        (void)userdata;
        (void)record;
        return -ECANCELED;
}

static void test_reading(void **state)
{
        World *w = *state;
        unsigned n = 0;
        FILE *f;

        assert_int_equal(records_read(w->audit, NULL, count, &n), 0);
        assert_int_equal(n, 0);
        world_incidents(w);
        f = fopen(w->audit, "ae");
        fputs("no json \"incident\":\"\n[]\n{\"incident\":\"torn", f);
        fclose(f);
        assert_int_equal(records_read(w->audit, NULL, count, &n), 0);
        assert_int_equal(n, 12);
        n = 0;
        assert_int_equal(records_read(w->audit, "\"event\":\"state\"", count, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(records_read(w->audit, NULL, stop, NULL), -ECANCELED);
}

static void test_all_stories(void **state)
{
        World *w = *state;
        Stories s;

        world_incidents(w);
        assert_int_equal(stories_read(w->audit, NULL, &s), 0);
        assert_int_equal(s.n, 2);
        assert_string_equal(s.list[0].incident, CLOSED);
        assert_string_equal(s.list[0].service, "imc");
        assert_string_equal(story_word(&s.list[0]), "recovered");
        assert_int_equal(s.list[0].trials, 1);
        assert_int_equal(json_array_size(s.list[0].culprits), 1);
        assert_null(s.list[0].records);
        assert_null(s.list[1].close);
        assert_string_equal(story_word(&s.list[1]), "isolating");
        stories_deinit(&s);
        assert_int_equal(stories_read(w->audit, "other", &s), 0);
        assert_int_equal(s.n, 0);
        stories_deinit(&s);
}

static void expect_story(World *w, const char *id, const char *want, size_t records)
{
        Story s;

        assert_int_equal(story_read(w->audit, id, &s), 0);
        assert_string_equal(s.incident, want);
        assert_int_equal(json_array_size(s.records), records);
        story_deinit(&s);
}

static void test_one_story(void **state)
{
        World *w = *state;
        Story s;

        assert_int_equal(story_read(w->audit, "last", &s), -ENOENT);
        world_incidents(w);
        expect_story(w, CLOSED, CLOSED, 9);
        expect_story(w, "20261123", OPEN, 2);
        expect_story(w, "last", OPEN, 2);
        assert_int_equal(story_read(w->audit, "2026", &s), -EEXIST);
        assert_int_equal(story_read(w->audit, "2027", &s), -ENOENT);
        assert_int_equal(story_read(w->audit, "", &s), -ENOENT);
        assert_int_equal(story_read(w->audit, "imc", &s),
                         -ENOENT); /* it is in the id, but does not begin it */
}

static void test_an_id_that_begins_another(void **state)
{
        static const Line lines[] = { { AUDIT_INCIDENT_OPENED, "i1", NULL },
                                      { AUDIT_INCIDENT_OPENED, "i10", NULL } };
        World *w = *state;

        world_record(w, lines, 2);
        expect_story(w, "i1", "i1", 1);
        expect_story(w, "i10", "i10", 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_reading),
                TEST(test_all_stories),
                TEST(test_one_story),
                TEST(test_an_id_that_begins_another),
        };

        return cmocka_run_group_tests_name("story", tests, NULL, NULL);
}

/* Tests of ctl/shelf.c: what counts as quarantined, and when it expires. */
#include "ctl_helper.h"

#include "config/config.h"
#include "ctl/shelf.h"

static Settings *settings(const World *w)
{
        ConfigFaults faults = { 0 };
        Settings *s = NULL;

        assert_int_equal(config_load(w->config, CONFIG_READ_ONLY, NULL, &s, &faults), 0);
        return s;
}

static void test_list_and_find(void **state)
{
        World *w = *state;
        Settings *s = settings(w);
        json_t *list = NULL;
        char *path = NULL;
        bool several;

        assert_int_equal(shelf_read(s, NULL, &list, &path), 0); /* no quarantine yet */
        assert_int_equal(json_array_size(list), 0);
        json_decref(list);
        world_quarantine(w);
        assert_int_equal(shelf_read(s, NULL, &list, &path), 0);
        assert_int_equal(json_array_size(list), 2);
        assert_ptr_equal(shelf_find(list, "q1", &several), json_array_get(list, 1));
        assert_ptr_equal(shelf_find(list, "m4", &several), json_array_get(list, 1));
        assert_null(shelf_find(list, "q3", &several));
        assert_false(several);
        json_object_set_new(json_array_get(list, 0), "id", json_string("m4"));
        assert_null(shelf_find(list, "m4", &several));
        assert_true(several);
        json_decref(list);
        assert_int_equal(shelf_read(s, "other", &list, &path), 0);
        assert_int_equal(json_array_size(list), 0);
        json_decref(list);
        settings_unref(s);
}

static void test_one_that_cannot_be_read(void **state)
{
        World *w = *state;
        Settings *s = settings(w);
        json_t *list = NULL;
        char *path = NULL;

        world_mkdir(w, "hold");
        world_file(w, "hold/quarantine", "no directory");
        assert_int_equal(shelf_read(s, NULL, &list, &path), -ENOTDIR);
        assert_non_null(strstr(path, "hold/quarantine"));
        free(path);
        settings_unref(s);
}

static void test_expiry(void **state)
{
        World *w = *state;
        Settings *s = settings(w);
        json_t *m = json_loads(
                "{\"service\":\"imc\",\"store\":\"in\",\"quarantined_at\":\"1970-01-03T00:00:00.5Z\","
                "\"files\":[{\"mtime\":\"1970-01-02T00:00:00Z\"}]}",
                0, NULL);

        assert_int_equal(shelf_expires(s, m), 2 * USEC_PER_DAY + 5 * USEC_PER_DAY);
        json_object_set_new(m, "store", json_string("gone"));
        assert_int_equal(shelf_expires(s, m), 0);
        json_object_set_new(m, "store", json_string("in"));
        json_object_set_new(m, "quarantined_at", json_string("never"));
        assert_int_equal(shelf_expires(s, m), 0);
        json_object_del(m, "service");
        assert_int_equal(shelf_expires(s, m), 0);
        json_decref(m);
        settings_unref(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_list_and_find),
                TEST(test_one_that_cannot_be_read),
                TEST(test_expiry),
        };

        return cmocka_run_group_tests_name("shelf", tests, NULL, NULL);
}

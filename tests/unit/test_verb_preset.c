/* Tests of ctl/verb_preset.c, through the whole program; nothing listens at the control socket. */
#include "ctl_helper.h"

static void preset_write(const World *w, const char *name, const char *present)
{
        char path[160];
        FILE *f;

        snprintf(path, sizeof(path), "%s/presets", w->dir);
        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
        snprintf(path, sizeof(path), "%s/presets/%s.conf", w->dir, name);
        f = fopen(path, "we");
        assert_non_null(f);
        fprintf(f,
                "# Why it is so.\ndescription = \"server %s\"; present = [ \"%s\" ]; where = { spool = [ "
                "\"/no\", "
                "\"/tmp\" ]; };\nservice = { unit = \"%s.service\"; };\n",
                name, present, name);
        fclose(f);
}

static json_t *find(const json_t *list, const char *name)
{
        json_t *j;
        size_t i;

        json_array_foreach(list, i,
                           j) if (strcmp(json_string_value(json_object_get(j, "name")), name) == 0) return j;
        return NULL;
}

static void test_list(void **state)
{
        World *w = *state;
        json_t *j;

        preset_write(w, "here", "/tmp");
        preset_write(w, "elsewhere", "/no/such");
        expect_run(w, 0, "preset", "list");
        expect_text(w->text, "here       yes");
        expect_text(w->text, "elsewhere  no");
        expect_run(w, 0, "--json", "preset", "list");
        j = world_json(w);
        assert_true(json_is_true(json_object_get(find(j, "here"), "present")));
        assert_true(json_is_false(json_object_get(find(j, "elsewhere"), "present")));
        assert_string_equal(
                json_string_value(json_object_get(json_object_get(find(j, "here"), "where"), "spool")),
                "/tmp");
        json_decref(j);
}

static void test_show(void **state)
{
        World *w = *state;
        json_t *j;

        preset_write(w, "here", "/tmp");
        expect_run(w, 0, "preset", "show", "here");
        expect_text(w->text, "# here: server here");
        expect_text(w->text, "# on this host, ${spool} is /tmp");
        expect_text(w->text, "# Why it is so.");
        expect_run(w, 0, "--json", "preset", "show", "here");
        j = world_json(w);
        assert_string_equal(json_string_value(json_object_get(j, "name")), "here");
        expect_text(json_string_value(json_object_get(j, "text")), "here.service");
        json_decref(j);
        expect_run(w, 1, "preset", "show", "no-such");
        expect_text(w->errors, "there is no preset \"no-such\"");
        expect_run(w, 1, "preset", "show", "../unjamd");
        expect_run(w, 2, "preset", "show");
        preset_write(w, "broken", "\"; x");
        expect_run(w, 1, "preset", "show", "broken");
        expect_text(w->errors, "presets/broken.conf:2:");
}

static void test_setup(void **state)
{
        World *w = *state;
        char path[160];
        char *text;

        preset_write(w, "zz-here", "/tmp");
        preset_write(w, "zz-elsewhere", "/no/such");
        /* There is a configuration: setup adds a file. */
        expect_run(w, 0, "setup");
        snprintf(path, sizeof(path), "%s/conf.d/setup.conf", w->dir);
        text = fixture_read(path);
        expect_text(text, "{ name = \"zz-here\"; preset = \"zz-here\"; mode = \"observe\"; }");
        expect_no_text(text, "zz-elsewhere");
        expect_no_text(text, "\nmode =");
        free(text);
        /* And never one over another. */
        preset_write(w, "zz-more", "/tmp");
        expect_run(w, 1, "setup");
        expect_text(w->errors, "is there already; nothing was written");
        text = fixture_read(path);
        expect_no_text(text, "zz-more");
        free(text);
}

/* Without a configuration it is the main file; it loads, and what it has is not found a second time. */
static void test_setup_first(void **state)
{
        World *w = *state;
        char *text;

        preset_write(w, "zz-here", "/tmp");
        assert_int_equal(unlink(w->config), 0);
        expect_run(w, 0, "setup");
        expect_text(w->text, "unjamd --check-config");
        text = fixture_read(w->config);
        expect_text(text, "\nmode = \"observe\";\n");
        free(text);
        expect_run(w, 1, "setup");
        expect_text(w->errors, "no mail server was found here that is not configured yet");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_list, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_show, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_setup, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(test_setup_first, world_setup, world_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

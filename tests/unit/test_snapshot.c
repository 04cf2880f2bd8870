/* Tests of record/snapshot.c: names, the round trip, and that no damage goes unseen. */
#include "trail_helper.h"

#include "record/snapshot.h"

static int directory(const Fixture *f)
{
        int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void test_names(void **state)
{
        static const char *const pairs[][2] = {
                { "imc", "imc.json" },           { "a/b", "a%2Fb.json" },
                { ".hidden", "%2Ehidden.json" }, { "..", "%2E..json" },
                { "50%", "50%25.json" },         { "postfix@-.service", "postfix@-.service.json" },
                { "\xc3\xa4", "%C3%A4.json" },   { "", ".json" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
                char *name = snapshot_file_name(pairs[i][0]);

                assert_string_equal(name, pairs[i][1]);
                free(name);
        }
}

static void test_round_trip(void **state)
{
        Fixture *f = *state;
        Snapshot s = { .state = json_pack("{s:s, s:f, s:{s:s}}", "sha256", "inner", "p", 0.1, "snapshot", "a",
                                          "b"),
                       .commit = 12,
                       .seq = 34,
                       .records = json_pack("[{s:i}]", "v", 1) },
                 got = { 0 };
        int fd = directory(f);

        assert_int_equal(snapshot_read(fd, "x.json", &got), SNAPSHOT_E_NONE);
        assert_int_equal(snapshot_write(disk_posix(), fd, "x.json", &s), 0);
        assert_int_equal(snapshot_read(fd, "x.json", &got), 0);
        assert_true(json_equal(s.state, got.state));
        assert_true(json_equal(s.records, got.records));
        assert_int_equal(got.commit, 12);
        assert_int_equal(got.seq, 34);
        snapshot_deinit(&got);
        json_decref(s.state);
        s.state = NULL;
        assert_int_equal(snapshot_write(disk_posix(), fd, "x.json", &s), 0);
        assert_int_equal(snapshot_read(fd, "x.json", &got), 0);
        assert_null(got.state);
        snapshot_deinit(&got);
        snapshot_deinit(&s);
        close(fd);
}

static void test_damage_is_seen(void **state)
{
        Fixture *f = *state;
        Snapshot s = { .state = json_pack("{s:s}", "state", "isolating"), .records = json_array() }, got;
        int fd = directory(f);
        char path[96], *text;
        size_t len;

        assert_int_equal(snapshot_write(disk_posix(), fd, "x.json", &s), 0);
        snprintf(path, sizeof(path), "%s/x.json", f->dir);
        text = fixture_read(path);
        len = strlen(text);
        for (size_t i = 0; i < len; i++) {
                text[i] ^= 4;
                fixture_write(path, text, len);
                assert_int_equal(snapshot_read(fd, "x.json", &got), -EBADMSG);
                text[i] ^= 4;
        }
        for (size_t i = 0; i < len; i++) {
                fixture_write(path, text, i);
                assert_int_equal(snapshot_read(fd, "x.json", &got), -EBADMSG);
        }
        free(text);
        snapshot_deinit(&s);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test_setup_teardown(test_round_trip, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_damage_is_seen, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}

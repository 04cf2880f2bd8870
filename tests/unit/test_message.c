/* message - the record is as promised, and comes back exactly */
#include "model/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A message with everything that is odd about it. */
static Message odd_message(void)
{
        Message m = { .id = strdup("q\xff\n1"),
                      .store = strdup("imcdata"),
                      .n_files = 3,
                      .weight = 0.1 + 0.2,
                      .maybe_repeated = true };

        m.files = calloc(3, sizeof(m.files[0]));
        m.files[0] = (MessageFile){ .path = strdup("/var/spool/imc/In/q\xff\n1"),
                                    .type = FILE_REGULAR,
                                    .size = UINT64_C(1) << 40,
                                    .mode = 04751,
                                    .uid = 4294967294,
                                    .gid = 12,
                                    .mtime = { .tv_sec = 1700000000, .tv_nsec = 1 },
                                    .inode = UINT64_MAX - 5,
                                    .has_sha256 = true };
        for (size_t i = 0; i < sizeof(m.files[0].sha256); i++)
                m.files[0].sha256[i] = (uint8_t)(i * 9);
        m.files[1] = (MessageFile){ .path = strdup("/var/spool/imc/In/\xc3\xa4 %41"),
                                    .type = FILE_FIFO,
                                    .mode = 0600,
                                    .mtime = { .tv_sec = -1, .tv_nsec = 999999999 } };
        m.files[2] = (MessageFile){ .path = strdup("/x"), .type = FILE_SYMLINK, .mode = 07777 };
        assert_int_equal(strv_append(&m.evidence, "held_open"), 0);
        assert_int_equal(strv_append(&m.evidence, "odd_kind"), 0);
        return m;
}

static void assert_same(const Message *a, const Message *b)
{
        assert_string_equal(a->id, b->id);
        assert_string_equal(a->store, b->store);
        assert_int_equal(a->n_files, b->n_files);
        for (size_t i = 0; i < a->n_files; i++) {
                const MessageFile *x = a->files + i, *y = b->files + i;

                assert_string_equal(x->path, y->path);
                assert_int_equal(x->type, y->type);
                assert_true(x->size == y->size);
                assert_int_equal(x->mode, y->mode);
                assert_int_equal(x->uid, y->uid);
                assert_int_equal(x->gid, y->gid);
                assert_true(x->mtime.tv_sec == y->mtime.tv_sec && x->mtime.tv_nsec == y->mtime.tv_nsec);
                assert_true(x->inode == y->inode);
                assert_int_equal(x->has_sha256, y->has_sha256);
                if (x->has_sha256)
                        assert_memory_equal(x->sha256, y->sha256, sizeof(x->sha256));
        }
        assert_true(a->weight == b->weight);
        assert_int_equal(strv_length(a->evidence), strv_length(b->evidence));
        for (size_t i = 0; i < strv_length(a->evidence); i++)
                assert_string_equal(a->evidence[i], b->evidence[i]);
        assert_int_equal(a->maybe_repeated, b->maybe_repeated);
}

static void test_round_trip(void **state)
{
        Message m = odd_message(), back = {};
        json_t *j = message_to_json(&m), *again;
        char *text;

        (void)state;
        assert_non_null(j);
        text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
        assert_non_null(text);
        again = json_loads(text, 0, NULL);
        assert_int_equal(message_from_json(again, &back), 0);
        assert_same(&m, &back);
        free(text);
        json_decref(j);
        json_decref(again);
        message_deinit(&m);
        message_deinit(&back);
}

/* In the server's own hold: both members, or none. */
static void test_native(void **state)
{
        Message m = odd_message(), back = {};
        json_t *j = message_to_json(&m);

        (void)state;
        assert_null(json_object_get(j, "native"));
        assert_null(json_object_get(j, "where"));
        json_decref(j);
        m.native = true;
        assert_int_equal(message_add_where(&m, "/hold/\xff", UINT64_MAX), 0);
        j = message_to_json(&m);
        assert_int_equal(message_from_json(j, &back), 0);
        assert_same(&m, &back);
        assert_true(back.native);
        assert_int_equal(back.n_where, 1);
        assert_string_equal(back.where[0].path, "/hold/\xff");
        assert_true(back.where[0].inode == UINT64_MAX);
        message_clear_where(&back);
        assert_false(back.native);
        assert_int_equal(back.n_where, 0);
        message_deinit(&back);
        (void)json_object_del(j, "native");
        assert_int_equal(message_from_json(j, &back), -EINVAL);
        (void)json_object_set_new(j, "native", json_true());
        (void)json_object_del(json_array_get(json_object_get(j, "where"), 0), "inode");
        assert_int_equal(message_from_json(j, &back), -EINVAL);
        (void)json_object_del(j, "where");
        assert_int_equal(message_from_json(j, &back), -EINVAL);
        json_decref(j);
        message_deinit(&m);
}

static void test_plain(void **state)
{
        Message m = { .id = (char *)"1", .store = (char *)"s" }, back = {};
        json_t *j = message_to_json(&m);

        (void)state;
        assert_int_equal(message_from_json(j, &back), 0);
        assert_same(&m, &back);
        message_deinit(&back);
        json_decref(j);
}

/* Letter by letter what CONTRACT.md says. */
static void test_contract(void **state)
{
        static const char expected[] =
                "{\"evidence\":[\"held_open\"],\"files\":[{\"gid\":6,\"inode\":7,\"mode\":\"0600\","
                "\"mtime\":\"2026-11-22T14:00:00.000000001Z\",\"path\":\"/In/%FF\",\"path_b64\":\"L0luL/8=\","
                "\"sha256\":\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\",\"size\":5,"
                "\"type\":\"file\",\"uid\":8},{\"gid\":0,\"inode\":9,\"mode\":\"0000\","
                "\"mtime\":\"1970-01-01T00:00:00.000000000Z\",\"path\":\"/In/p\",\"sha256\":null,\"size\":0,"
                "\"type\":\"fifo\",\"uid\":0}],\"id\":\"%FF\",\"id_b64\":\"/w==\",\"maybe_repeated\":false,"
                "\"store\":\"mta\",\"weight\":2.5}";
        MessageFile files[] = {
                { .path = (char *)"/In/\xff",
                  .type = FILE_REGULAR,
                  .size = 5,
                  .mode = 0600,
                  .uid = 8,
                  .gid = 6,
                  .mtime = { .tv_sec = 1795356000, .tv_nsec = 1 },
                  .inode = 7,
                  .has_sha256 = true },
                { .path = (char *)"/In/p", .type = FILE_FIFO, .inode = 9 },
        };
        char *evidence[] = { (char *)"held_open", NULL };
        Message m = { .id = (char *)"\xff",
                      .store = (char *)"mta",
                      .files = files,
                      .n_files = 2,
                      .weight = 2.5,
                      .evidence = evidence };
        json_t *j;
        char *text;

        (void)state;
        for (size_t i = 0; i < sizeof(files[0].sha256); i++)
                files[0].sha256[i] = (uint8_t)i;
        j = message_to_json(&m);
        text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
        assert_string_equal(text, expected);
        free(text);
        json_decref(j);
}

/* Each member in turn is dropped, and is made something else: refused, nothing leaks, nothing is touched. */
static void test_damaged(void **state)
{
        static const char *const keys[] = { "id", "store", "files", "weight", "evidence", "maybe_repeated" };
        static const char *const file_keys[] = { "path", "type",  "size",  "mode",  "uid",
                                                 "gid",  "mtime", "inode", "sha256" };
        static const char *const wrong[] = { "[1]", "{\"a\":1}", "-1.5", "\"x\"" };
        Message m = odd_message(), back = { .weight = 7 };

        (void)state;
        for (size_t v = 0; v <= 4; v++) {
                for (size_t i = 0; i < 6 + 9; i++) {
                        json_t *j = message_to_json(&m), *o;
                        const char *key = i < 6 ? keys[i] : file_keys[i - 6];

                        /* The second file's path, and a store, are valid as any string; weight as any
                         * number. */
                        o = i < 6 ? j : json_array_get(json_object_get(j, "files"), 1);
                        json_object_del(j, "id_b64");
                        if (v == 4)
                                assert_int_equal(json_object_del(o, key), 0);
                        else
                                json_object_set_new(o, key, json_loads(wrong[v], JSON_DECODE_ANY, NULL));
                        if ((v == 3 && (i == 0 || i == 1 || i == 6)) || (v == 2 && i == 3)) {
                                assert_int_equal(message_from_json(j, &back), 0);
                                message_deinit(&back);
                                back.weight = 7;
                        } else {
                                assert_int_equal(message_from_json(j, &back), -EINVAL);
                                assert_true(back.weight == 7 && !back.id && !back.files);
                        }
                        json_decref(j);
                }
        }
        message_deinit(&m);
}

static void test_out_of_range(void **state)
{
        static const struct {
                const char *key, *value;
        } wrong[] = { { "mode", "\"10000\"" }, { "mode", "\"0800\"" },  { "mode", "\"\"" },
                      { "uid", "-1" },         { "uid", "4294967296" }, { "sha256", "\"00\"" },
                      { "type", "\"pipe\"" },  { "mtime", "\"now\"" } };
        Message m = odd_message(), back = {};

        (void)state;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                json_t *j = message_to_json(&m);

                json_object_set_new(json_array_get(json_object_get(j, "files"), 0), wrong[i].key,
                                    json_loads(wrong[i].value, JSON_DECODE_ANY, NULL));
                assert_int_equal(message_from_json(j, &back), -EINVAL);
                json_decref(j);
        }
        assert_int_equal(message_from_json(NULL, &back), -EINVAL);
        message_deinit(&m);
        message_deinit(&m); /* twice is fine */
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_native),
                cmocka_unit_test(test_plain),      cmocka_unit_test(test_contract),
                cmocka_unit_test(test_damaged),    cmocka_unit_test(test_out_of_range),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

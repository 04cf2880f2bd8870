/* Tests of control/packet.c: messages of any size survive cutting and joining, and nothing else does. */
#include "control/packet.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Packets {
        char *packet[128];
        size_t len[128];
        size_t n;
} Packets;

static int collect(void *userdata, const char *packet, size_t len)
{
        Packets *p = userdata;

        assert_true(len <= CONTROL_PACKET_MAX);
        assert_true(p->n < 128);
        p->packet[p->n] = malloc(len);
        memcpy(p->packet[p->n], packet, len);
        p->len[p->n++] = len;
        return 0;
}

static void packets_deinit(Packets *p)
{
        for (size_t i = 0; i < p->n; i++)
                free(p->packet[i]);
}

static void round_trip(const char *text)
{
        json_t *body = json_pack("{s:s}", "text", text), *got = NULL;
        PacketJoin join = { 0 };
        Packets p = { .n = 0 };
        int64_t id = 0;
        bool ok = false;

        assert_int_equal(packet_split(7, true, body, collect, &p), 0);
        for (size_t i = 0; i < p.n; i++)
                assert_int_equal(packet_join(&join, p.packet[i], p.len[i], &id, &ok, &got),
                                 i + 1 < p.n ? PACKET_E_MORE : 0);
        assert_int_equal(id, 7);
        assert_true(ok);
        assert_true(json_equal(body, got));
        json_decref(got);
        json_decref(body);
        packets_deinit(&p);
}

static void test_sizes(void **state)
{
        static const char *const units[] = {
                "x", "\"", "\\", "\n", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x93\xa7"
        };

        (void)state;
        round_trip("");
        for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++)
                for (size_t n = 32 * 1024 - 200; n < 32 * 1024 + 50; n += 31) {
                        size_t len = strlen(units[u]);
                        char *text = malloc(n + len + 1);

                        for (size_t i = 0; i + len <= n + len; i += len)
                                memcpy(text + i, units[u], len + 1);
                        round_trip(text);
                        free(text);
                }
}

static void test_a_megabyte(void **state)
{
        char *text = malloc((1 << 20) + 1);

        (void)state;
        memset(text, '"', 1 << 20);
        text[1 << 20] = '\0';
        round_trip(text);
        free(text);
}

static void expect_bad(const char *const *packets, size_t n)
{
        PacketJoin join = { 0 };
        json_t *body = NULL;
        int64_t id;
        bool ok;

        for (size_t i = 0; i < n; i++)
                assert_int_equal(packet_join(&join, packets[i], strlen(packets[i]), &id, &ok, &body),
                                 i + 1 < n ? PACKET_E_MORE : -EBADMSG);
        packet_join_deinit(&join);
}

static void test_what_does_not_fit(void **state)
{
        static const char *const first = "{\"id\":1,\"part\":0,\"last\":false,\"data\":\"{\"}";
        static const char *const bad[] = {
                "",
                "[]",
                "{}",
                "{\"id\":1,\"part\":1,\"last\":true,\"data\":\"{}\"}",
                "{\"id\":1,\"part\":0,\"last\":true,\"data\":\"{}\"}",
                "{\"id\":1,\"part\":0,\"last\":true,\"data\":\"no json\"}",
                "{\"id\":1,\"part\":0,\"last\":1,\"data\":\"{}\"}",
        };
        static const char *const wrong_id = "{\"id\":2,\"part\":1,\"last\":true,\"data\":\"}\"}";
        static const char *const wrong_part = "{\"id\":1,\"part\":2,\"last\":true,\"data\":\"}\"}";

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                expect_bad(&bad[i], 1);
        expect_bad((const char *const[]){ first, wrong_id }, 2);
        expect_bad((const char *const[]){ first, wrong_part }, 2);
        expect_bad((const char *const[]){ first, first }, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_a_megabyte),
                cmocka_unit_test(test_what_does_not_fit),
        };

        return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}

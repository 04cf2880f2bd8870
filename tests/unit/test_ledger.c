/* ledger - balances whatever flags and places a roster has */
#include "model/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add(Roster *r, unsigned flags, unsigned place)
{
        char id[24];
        uint32_t i;
        int len = snprintf(id, sizeof(id), "%zu", r->n);

        assert_int_equal(roster_add(r, 0, id, (size_t)len, &i), 0);
        r->entries[i].flags = (uint16_t)flags;
        r->entries[i].place = (uint8_t)place;
}

static void assert_balance(const Ledger *l, size_t n)
{
        assert_true(l->before + l->arrived == n);
        assert_true(l->untouched + l->restored + l->quarantined + l->consumed + l->held + l->unaccounted ==
                    n);
}

/* Every place with every flag. */
static void test_every_combination(void **state)
{
        Roster all = {};

        (void)state;
        for (unsigned place = 0; place < 8; place++)
                for (unsigned flags = 0; flags < 1u << 10; flags++) {
                        Roster one = {};
                        Ledger l;

                        add(&one, flags, place);
                        add(&all, flags, place);
                        l = ledger_of(&one);
                        assert_balance(&l, 1);
                        assert_int_equal(l.before, !!(flags & MESSAGE_BEFORE));
                        assert_int_equal(l.quarantined, !!(place & PLACE_QUARANTINE));
                        assert_int_equal(l.held, (place & (PLACE_HOLD | PLACE_QUARANTINE)) == PLACE_HOLD);
                        assert_int_equal(l.restored, place == PLACE_STORE && flags & MESSAGE_WAS_HELD);
                        assert_int_equal(l.untouched, place == PLACE_STORE && !(flags & MESSAGE_WAS_HELD));
                        assert_int_equal(l.consumed, place == 0 && flags & MESSAGE_CONSUMED);
                        assert_int_equal(l.unaccounted, place == 0 && !(flags & MESSAGE_CONSUMED));
                        roster_deinit(&one);
                }
        Ledger l = ledger_of(&all);
        assert_balance(&l, all.n);
        roster_deinit(&all);
}

static void test_story(void **state)
{
        Roster r = {};
        Ledger l;
        json_t *j;
        char *text;

        (void)state;
        add(&r, MESSAGE_BEFORE, PLACE_STORE);
        add(&r, MESSAGE_BEFORE | MESSAGE_WAS_HELD, PLACE_STORE);
        add(&r, MESSAGE_BEFORE | MESSAGE_WAS_HELD | MESSAGE_CULPRIT, PLACE_QUARANTINE);
        add(&r, MESSAGE_BEFORE | MESSAGE_CONSUMED | MESSAGE_REPEATED, 0);
        add(&r, MESSAGE_ARRIVED | MESSAGE_CONSUMED, 0);
        add(&r, MESSAGE_ARRIVED | MESSAGE_WAS_HELD, PLACE_HOLD);
        add(&r, MESSAGE_BEFORE | MESSAGE_LOST, 0);
        add(&r, MESSAGE_BEFORE | MESSAGE_WAS_HELD, PLACE_STORE | PLACE_HOLD);
        l = ledger_of(&r);
        assert_balance(&l, 8);
        j = ledger_to_json(&l);
        text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(text, "{\"arrived\":2,\"before\":6,\"consumed\":2,\"held\":2,\"quarantined\":1,"
                                  "\"restored\":1,\"unaccounted\":1,\"untouched\":1}");
        free(text);
        json_decref(j);
        roster_deinit(&r);
}

static void test_empty(void **state)
{
        Roster r = {};
        Ledger l = ledger_of(&r);

        (void)state;
        assert_balance(&l, 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_combination),
                cmocka_unit_test(test_story),
                cmocka_unit_test(test_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

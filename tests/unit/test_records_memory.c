/*
 * records when memory runs out - message, evidence, ledger
 *
 * Every allocation of the JSON library fails in turn. A record is whole or it is not there, and nothing stays
 * behind: half a record in the audit trail would be worse than none.
 */
#include "model/evidence.h"
#include "model/message.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned left, outstanding;

static void *failing_malloc(size_t size)
{
        if (left == 0)
                return NULL;
        left--;
        outstanding++;
        return malloc(size);
}

static void counting_free(void *p)
{
        outstanding -= p != NULL;
        free(p);
}

static json_t *make_message(void)
{
        MessageFile files[] = {
                { .path = (char *)"/In/\xff", .has_sha256 = true },
                { .path = (char *)"/In/b", .type = FILE_FIFO },
        };
        char *evidence[] = { (char *)"held_open", (char *)"odd_kind", NULL };
        Message m = {
                .id = (char *)"\xff", .store = (char *)"s", .files = files, .n_files = 2, .evidence = evidence
        };

        return message_to_json(&m);
}

static json_t *make_evidence(void)
{
        OpenFile file = { .path = (char *)"/In/\xff" };
        ProcessEvidence process = { .name = (char *)"imcd", .state = 'S', .files = &file, .n_files = 1 };
        LogLine line = { .text = (char *)"4037" };
        Evidence e = {
                .processes = &process, .n_processes = 1, .lines = &line, .n_lines = 1, .note = (char *)"x"
        };

        return evidence_to_json(&e);
}

static json_t *make_cause(void)
{
        CauseResult c = { .detail = (char *)"x", .advice = (char *)"y" };

        return cause_result_to_json(&c);
}

static json_t *make_ledger(void)
{
        Ledger l = { .before = 1, .untouched = 1 };

        return ledger_to_json(&l);
}

static void test_every_allocation(void **state)
{
        static json_t *(*const makers[])(void) = { make_message, make_evidence, make_cause, make_ledger };

        (void)state;
        json_set_alloc_funcs(failing_malloc, counting_free);
        for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
                json_t *j = NULL;
                unsigned n = 0;

                for (; !j; n++) {
                        assert_true(n < 1000);
                        left = n;
                        j = makers[i]();
                        if (!j)
                                assert_int_equal(outstanding, 0);
                }
                assert_true(n > 10);
                left = 1000;
                json_decref(j);
                assert_int_equal(outstanding, 0);
        }
        json_set_alloc_funcs(malloc, free);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_allocation) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

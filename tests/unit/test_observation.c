/* observation - its words */
#include "model/observation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_words(void **state)
{
        (void)state;
        for (int i = 0; i < (int)_RUN_STATE_MAX; i++)
                assert_int_equal(run_state_from_string(run_state_to_string((RunState)i)), i);
        for (int i = 0; i < (int)_OBSERVATION_KIND_MAX; i++)
                assert_int_equal(observation_kind_from_string(observation_kind_to_string((ObservationKind)i)),
                                 i);
        assert_string_equal(run_state_to_string(RUN_RESTARTING), "restarting");
        assert_string_equal(observation_kind_to_string(OBSERVATION_INFLIGHT), "inflight");
        assert_int_equal(run_state_from_string("dead"), -EINVAL);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_words) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

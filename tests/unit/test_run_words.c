/* run_words - names of runs; what became of them in words is in test_probe.c, with each way to end. */
#include "observe/run_words.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_words(void **state)
{
        char long_output[2048];
        _cleanup_(freep) char *name = run_name("probe", "Imc_1.x"), *failure = NULL, *missing = NULL;

        (void)state;
        assert_string_equal(name, "probe-imc-1-x");
        assert_true(run_is_good(&(RunResult){}));
        assert_false(run_is_good(&(RunResult){ .signal = 9 }));
        assert_false(run_is_good(&(RunResult){ .timed_out = true }));
        memset(long_output, 'x', sizeof(long_output));
        long_output[sizeof(long_output) - 2] = 'e';
        long_output[sizeof(long_output) - 1] = '\n';
        failure = run_failure(
                "/x",
                &(RunResult){ .exit_code = 3, .output = long_output, .output_len = sizeof(long_output) });
        assert_memory_equal(failure, "exit status 3: xxx", 18);
        assert_int_equal(failure[strlen(failure) - 1], 'e'); /* the end of it is what tells */
        missing = run_failure("/x", &(RunResult){ .error = -ENOENT });
        assert_string_equal(missing, "/x could not be started: No such file or directory");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests_name("observe/run_words", tests, NULL, NULL);
}

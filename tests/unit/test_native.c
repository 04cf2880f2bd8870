/* Commands of a server's own hold. */
#include "base/cleanup.h"
#include "base/text.h"
#include "model/native.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char *const hold[] = { (char *)"/usr/sbin/hold", (char *)"-r%i", (char *)"", (char *)"a%ib%i%", NULL };

static void test_the_id_is_put_in(void **state)
{
        _cleanup_(strv_freep) char **argv = NULL;

        (void)state;
        assert_int_equal(native_command(hold, "4B7F", &argv), 0);
        assert_int_equal(strv_length(argv), 4);
        assert_string_equal(argv[0], "/usr/sbin/hold");
        assert_string_equal(argv[1], "-r4B7F");
        assert_string_equal(argv[2], "");
        assert_string_equal(argv[3], "a4B7Fb4B7F%");
}

static void test_a_template_names_a_message(void **state)
{
        char *const all[] = { (char *)"/usr/sbin/hold", (char *)"all", NULL };
        char *const program[] = { (char *)"/usr/sbin/%i", NULL };
        char *const both[] = { (char *)"/usr/sbin/%i", (char *)"%i", NULL };
        char *const none[] = { NULL };

        (void)state;
        assert_true(native_is_template(hold));
        assert_false(native_is_template(all));
        assert_false(native_is_template(program));
        assert_false(native_is_template(both));
        assert_false(native_is_template(none));
        assert_false(native_is_template(NULL));
}

static void test_what_may_stand_on_a_command_line(void **state)
{
        static const char *const safe[] = { "4B7F1C0", "1xV6ta-00009W-30", "1795352785.66+8a2f", "0" };
        static const char *const unsafe[] = { "",     "-d",      "--all",    "ALL x", "a/b",
                                              "..",   ".hidden", "a\nb",     "a;b",   "$(x)",
                                              "a*",   "a%i",     "\xc3\xa4", "a\\b",  "a'b\"",
                                              "`id`", "a|b&c",   "~root",    "{a,b}", "+x" };
        char longest[130];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(safe); i++)
                assert_true(native_id_is_safe(safe[i]));
        for (size_t i = 0; i < ELEMENTSOF(unsafe); i++) {
                char **argv = NULL;

                if (native_id_is_safe(unsafe[i]))
                        fail_msg("%s", unsafe[i]);
                assert_int_equal(native_command(hold, unsafe[i], &argv), -EINVAL);
                assert_null(argv);
        }
        memset(longest, 'a', sizeof(longest));
        longest[129] = '\0';
        assert_false(native_id_is_safe(longest));
        longest[128] = '\0';
        assert_true(native_id_is_safe(longest));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_id_is_put_in),
                cmocka_unit_test(test_a_template_names_a_message),
                cmocka_unit_test(test_what_may_stand_on_a_command_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

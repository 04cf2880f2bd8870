/*
 * Another supervisor is found if it runs and names the service, and only then.
 */
#include "act/supervisors.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static void put(const char *path, const char *text)
{
        char full[200];
        FILE *f;

        for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
                snprintf(full, sizeof(full), "%s/%.*s", root, (int)(p - path), path);
                (void)mkdir(full, 0700);
        }
        snprintf(full, sizeof(full), "%s/%s", root, path);
        f = fopen(full, "we");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static int find(char **names, char **ret_detail)
{
        char proc[100];
        int procfd, r;

        snprintf(proc, sizeof(proc), "%s/proc", root);
        procfd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(procfd >= 0);
        r = supervisors_find(procfd, root, names, ret_detail);
        close(procfd);
        return r;
}

static void names_of_a_service(void **state)
{
        char *units[] = { (char *)"postfix@-.service", (char *)"postfix.service", NULL };
        const ServiceSettings s = { .name = (char *)"mail", .units = units };
        char **names = supervisors_names(&s);

        (void)state;
        assert_int_equal(strv_length(names), 2);
        assert_string_equal(names[0], "mail");
        assert_string_equal(names[1], "postfix");
        strv_free(names);
}

static void found_only_if_it_runs_and_names_it(void **state)
{
        char *names[] = { (char *)"imc", NULL };
        char *detail = NULL;

        (void)state;
        strcpy(root, "/tmp/unjam-supervisors-XXXXXX");
        assert_non_null(mkdtemp(root));
        put("proc/17/comm", "bash\n");
        put("etc/monit/conf.d/mail", "check process imc with pidfile /run/imc.pid\n");
        assert_int_equal(find(names, &detail), 0); /* configured, but it does not run */
        put("proc/18/comm", "monit\n");
        assert_int_equal(find(names, &detail), SUPERVISORS_E_FOUND);
        assert_non_null(strstr(detail, "monit"));
        free(detail);
        put("etc/monit/conf.d/mail", "check process imcd2 with pidfile /run/simc.pid\n");
        assert_int_equal(find(names, &detail), 0); /* it runs, for others */
        put("proc/18/comm", "monitor\n");
        put("etc/monitrc", "imc");
        assert_int_equal(find(names, &detail), 0); /* another program */
}

static int remove_root(void **state)
{
        char command[100];

        (void)state;
        snprintf(command, sizeof(command), "rm -rf %s", root);
        return system(command);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_of_a_service),
                cmocka_unit_test_teardown(found_only_if_it_runs_and_names_it, remove_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

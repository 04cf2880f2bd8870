/* settings - references, look-up, and that everything is freed (the sanitizers look) */
#include "model/settings.h"

#include "base/text.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char **vector(const char *s)
{
        char **v = NULL;

        assert_int_equal(strv_append(&v, s), 0);
        return v;
}

static void store_fill(StoreSettings *s)
{
        s->name = strdup("imcdata");
        s->dirs = vector("/var/spool/imc/In");
        s->exclude = vector("*.tmp");
        s->layout = (LayoutSettings){ .match = strdup("^(?<id>.+)$"), .last = strdup("-H$") };
        s->hold = strdup("/var/spool/imc/.unjam");
        s->rebuildable = vector("/var/spool/imc/queue.dat");
        s->rebuild = calloc(1, sizeof(s->rebuild[0]));
        s->n_rebuild = 1;
        s->rebuild[0] = (RebuildSettings){ .path = strdup("/x"), .command = vector("true") };
        s->after_release = vector("true");
}

static void service_fill(ServiceSettings *s, const char *name)
{
        s->name = strdup(name);
        s->units = vector("imc.service");
        s->command = vector("imcd");
        s->user = strdup("imc");
        s->directory = strdup("/");
        s->environment = vector("A=b");
        s->start = vector("start");
        s->stop = vector("stop");
        s->status = vector("status");
        s->pidfile = strdup("/run/imc.pid");
        s->leftovers = calloc(s->n_leftovers = 1, sizeof(s->leftovers[0]));
        s->leftovers[0].exe = strdup("/usr/bin/imc");
        s->probes = calloc(s->n_probes = 1, sizeof(s->probes[0]));
        s->probes[0] = (ProbeSettings){ .address = strdup("[::1]:25"),
                                        .path = strdup("/x"),
                                        .command = vector("true") };
        s->stall.ignore = vector("deferred");
        s->crash_windows = calloc(s->n_crash_windows = 1, sizeof(s->crash_windows[0]));
        s->rules = calloc(s->n_rules = 1, sizeof(s->rules[0]));
        s->rules[0] = (RuleSettings){ .name = strdup("imc-4037"),
                                      .path = strdup("/x"),
                                      .field = strdup("EVENT_ID"),
                                      .equals = strdup("4037"),
                                      .match = strdup("x") };
        s->causes = calloc(s->n_causes = 1, sizeof(s->causes[0]));
        s->causes[0] =
                (CauseSettings){ .command = vector("getent"), .match = strdup("x"), .advice = strdup("x") };
        s->stores = calloc(s->n_stores = 2, sizeof(s->stores[0]));
        store_fill(s->stores);
        /* The second store stays empty: a load that failed half-way. */
}

static void test_lifetime(void **state)
{
        Settings *s = calloc(1, sizeof(*s));

        (void)state;
        s->n_ref = 1;
        s->path = strdup("/etc/unjamd/unjamd.conf");
        s->state_dir = strdup("/var/lib/unjamd");
        s->run_dir = strdup("/run/unjamd");
        s->audit_path = strdup("/var/log/unjamd/audit.jsonl");
        s->control_group = strdup("adm");
        s->services = calloc(s->n_services = 3, sizeof(s->services[0]));
        service_fill(s->services, "imc");
        service_fill(s->services + 2, "mta");

        assert_ptr_equal(settings_find(s, "imc"), s->services);
        assert_ptr_equal(settings_find(s, "mta"), s->services + 2);
        assert_null(settings_find(s, "im"));
        assert_null(settings_find(s, NULL));
        assert_null(settings_find(NULL, "imc"));
        assert_true(settings_has_rules(s->services, RULE_SOURCE_JOURNAL));
        assert_false(settings_has_rules(s->services, RULE_SOURCE_FILE));

        assert_ptr_equal(settings_ref(s), s);
        assert_int_equal(s->n_ref, 2);
        assert_null(settings_unref(s));
        assert_int_equal(s->n_ref, 1);
        assert_string_equal(s->services[0].name, "imc");
        assert_null(settings_unref(s));
        assert_null(settings_unref(NULL));
        assert_null(settings_ref(NULL));
}

static void test_half_built(void **state)
{
        Settings *s = calloc(1, sizeof(*s));

        (void)state;
        s->n_services = 2;
        assert_null(settings_unref(s));
        s = calloc(1, sizeof(*s));
        s->services = calloc(s->n_services = 1, sizeof(s->services[0]));
        s->services[0].n_rules = 3;
        s->services[0].n_stores = 1;
        assert_null(settings_unref(s));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lifetime),
                cmocka_unit_test(test_half_built),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

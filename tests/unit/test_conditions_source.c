/* conditions, the source - one look at a time, with units and without, freed in the middle. */
#include "observe/conditions.h"

#include "fake/fake_systemd.h"
#include "unit/observe_util.h"

#include "base/text.h"

typedef struct Bed {
        Watcher w;
        Worker *worker;
        FakeSystemd *systemd;
        char *dir, *units[3];
        Source *source;
} Bed;

/* What the last look found, one line each. */
static char found[2048];

static void take(void *userdata, size_t service, const Observation *o)
{
        Bed *b = userdata;

        (void)service;
        assert_int_equal(o->kind, OBSERVATION_CONDITIONS);
        found[0] = '\0';
        for (size_t i = 0; i < o->conditions.n; i++)
                snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s: %s\n",
                         reason_to_string(o->conditions.list[i].reason), o->conditions.list[i].text);
        b->w.n++;
}

static int bed_setup(void **state)
{
        Bed *b = calloc(1, sizeof(*b));
        ConditionsSpec spec = {};

        watcher_init(&b->w);
        b->w.context.sink = (Sink){ take, b };
        b->dir = temp_new();
        b->systemd = fake_systemd_new(b->w.event);
        fake_systemd_unit(b->systemd, "db.service")->active_state = "active";
        fake_systemd_unit(b->systemd, "dns.service")->active_state = "active";
        b->units[0] = (char *)"db.service";
        b->units[1] = (char *)"dns.service";
        assert_int_equal(worker_new(&b->worker, b->w.event, "host"), 0);
        spec.worker = b->worker;
        spec.units = b->units;
        spec.bus = fake_systemd_bus(b->systemd);
        spec.look.unit_dir = strdup(b->dir);
        assert_int_equal(strv_append(&spec.look.units, "imc.service"), 0);
        assert_int_equal(conditions_source_new(&b->source, &b->w.context, &spec), 0);
        assert_int_equal(source_start(b->source), 0);
        *state = b;
        return 0;
}

static int bed_teardown(void **state)
{
        Bed *b = *state;

        source_free(b->source);
        worker_free(b->worker);
        fake_systemd_free(b->systemd);
        temp_remove(b->dir);
        watcher_deinit(&b->w);
        free(b);
        return 0;
}

static void looked(Bed *b, size_t number)
{
        watcher_until(&b->w, b->w.n == number);
}

static void test_units_and_files(void **state)
{
        Bed *b = *state;

        looked(b, 1);
        assert_string_equal(found, "");
        watcher_drain(&b->w);
        assert_int_equal(b->w.n, 1); /* not by itself */
        fake_systemd_unit(b->systemd, "dns.service")->active_state = "failed";
        assert_int_equal(mkdir(in(b->dir, "imc.service.d"), 0755), 0);
        file_make(in(b->dir, "imc.service.d/.#override.confX"), "");
        conditions_source_look(b->source);
        conditions_source_look(b->source); /* one is under way */
        looked(b, 2);
        assert_non_null(strstr(found, "dependency_down: dns.service, which it depends on, is failed\n"));
        assert_null(strstr(found, "db.service"));
        assert_non_null(strstr(found, "maintenance: somebody edits the unit"));
        watcher_drain(&b->w);
        assert_int_equal(b->w.n, 2);
        fake_systemd_unit(b->systemd, "dns.service")->active_state = "active";
        assert_int_equal(unlink(in(b->dir, "imc.service.d/.#override.confX")), 0);
        conditions_source_look(b->source);
        looked(b, 3);
        assert_string_equal(found, "");
}

/* systemd does not answer: what the files say comes without it. */
static void test_mute(void **state)
{
        Bed *b = *state;

        looked(b, 1);
        fake_systemd_mute(b->systemd);
        conditions_source_look(b->source);
        looked(b, 2);
        assert_string_equal(found, "");
}

static void test_freed_in_the_middle(void **state)
{
        Bed *b = *state;
        ConditionsSpec spec = { .worker = b->worker, .units = b->units, .bus = fake_systemd_bus(b->systemd) };
        Source *other;

        looked(b, 1);
        assert_int_equal(conditions_source_new(&other, &b->w.context, &spec), 0);
        assert_int_equal(source_start(other), 0);
        source_free(other);
        watcher_drain(&b->w);
        assert_int_equal(b->w.n, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_units_and_files, bed_setup, bed_teardown),
                cmocka_unit_test_setup_teardown(test_mute, bed_setup, bed_teardown),
                cmocka_unit_test_setup_teardown(test_freed_in_the_middle, bed_setup, bed_teardown),
        };

        return cmocka_run_group_tests_name("observe/conditions", tests, NULL, NULL);
}

/* host_look - locks, edits, room and pressure, on files made for it. */
#include "observe/host_look.h"

#include "unit/observe_util.h"

#include "base/text.h"

#include <sys/wait.h>

static const Condition *find(const ConditionList *l, const char *text)
{
        for (size_t i = 0; i < l->n; i++)
                if (strstr(l->list[i].text, text))
                        return &l->list[i];
        return NULL;
}

static void test_lock(void **state)
{
        char *dir = temp_new();
        HostLook h = {};
        ConditionList l = {};
        int ready[2], go[2];
        char byte = 0;

        (void)state;
        file_make(in(dir, "lock"), "");
        assert_int_equal(strv_append(&h.locks, in(dir, "lock")) | strv_append(&h.locks, in(dir, "none")), 0);
        assert_int_equal(host_look(&h, 0, &l), 0);
        assert_int_equal(l.n, 0);
        assert_int_equal(pipe(ready) | pipe(go), 0);
        pid_t pid = fork();
        if (pid == 0) {
                struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
                int fd = open(in(dir, "lock"), O_RDWR | O_CLOEXEC);
                _exit(fcntl(fd, F_SETLK, &lock) < 0 || write(ready[1], "", 1) != 1 ||
                      read(go[0], &byte, 1) < 0);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(host_look(&h, 0, &l), 0);
        assert_int_equal(l.n, 1);
        assert_int_equal(l.list[0].reason, REASON_MAINTENANCE);
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "(process %d) is at work", (int)pid);
        assert_non_null(find(&l, wanted));
        condition_list_clear(&l);
        assert_int_equal(write(go[1], "", 1), 1);
        waitpid(pid, NULL, 0);
        assert_int_equal(host_look(&h, 0, &l), 0);
        assert_int_equal(l.n, 0);
        for (unsigned i = 0; i < 2; i++) {
                close(ready[i]);
                close(go[i]);
        }
        host_look_deinit(&h);
        temp_remove(dir);
}

static void test_edit(void **state)
{
        char *dir = temp_new();
        HostLook h = { .unit_dir = strdup(dir) };
        ConditionList l = {};
        usec_t now = now_read().wall;

        (void)state;
        assert_int_equal(strv_append(&h.units, "imc.service"), 0);
        assert_int_equal(mkdir(in(dir, "imc.service.d"), 0755), 0);
        file_make(in(dir, "imc.service.d/override.conf"), "");
        file_make(in(dir, ".#other.service0123"), "");
        assert_int_equal(host_look(&h, now, &l), 0);
        assert_int_equal(l.n, 0);
        file_make(in(dir, "imc.service.d/.#override.confab12"), "");
        file_make(in(dir, ".#imc.service99"), "");
        assert_int_equal(host_look(&h, now, &l), 0);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.list[0].reason, REASON_MAINTENANCE);
        assert_non_null(find(&l, "imc.service.d/.#override.confab12"));
        condition_list_clear(&l);
        /* Left behind by an editor that crashed. */
        assert_int_equal(host_look(&h, now + 3 * USEC_PER_HOUR, &l), 0);
        assert_int_equal(l.n, 0);
        host_look_deinit(&h);
        temp_remove(dir);
}

static void test_memory(void **state)
{
        static const char *const rows[] = {
                "some avg10=90.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=24.90 avg60=0.00 avg300=0.00 "
                "total=1\n",
                "some avg10=90.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=25.10 avg60=0.00 avg300=0.00 "
                "total=1\n",
                "some avg10=90.00\n",
                "",
                "full avg10=\n",
        };
        char *dir = temp_new();
        HostLook h = { .pressure = strdup(in(dir, "memory")) };
        ConditionList l = {};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                file_make(in(dir, "memory"), rows[i]);
                assert_int_equal(host_look(&h, 0, &l), 0);
                assert_int_equal(l.n, i == 1);
                if (i == 1)
                        assert_int_equal(l.list[0].reason, REASON_MEMORY_PRESSURE);
                condition_list_clear(&l);
        }
        host_look_deinit(&h);
        temp_remove(dir);
}

/* A device that is always full, as statvfs tells it: /proc has no blocks at all, so it does not count. */
static void test_room(void **state)
{
        HostLook h = {};
        ConditionList l = {};

        (void)state;
        assert_int_equal(strv_append(&h.dirs, "/proc") | strv_append(&h.dirs, "/nowhere"), 0);
        assert_int_equal(host_look(&h, 0, &l), 0);
        assert_int_equal(l.n, 0);
        host_look_deinit(&h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lock),
                cmocka_unit_test(test_edit),
                cmocka_unit_test(test_memory),
                cmocka_unit_test(test_room),
        };

        return cmocka_run_group_tests_name("observe/host_look", tests, NULL, NULL);
}

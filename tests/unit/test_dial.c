/* dial - local sockets with a full queue, and who owns what; the rest is in test_probe.c. */
#include "observe/dial.h"

#include "unit/observe_util.h"

#include <sys/socket.h>
#include <sys/un.h>

typedef struct Call {
        Watcher w;
        Dial *dial;
        unsigned n;
        int r, fd;
} Call;

static void on_done(void *userdata, int r, int fd)
{
        Call *c = userdata;

        c->n++;
        c->r = r;
        c->fd = fd;
        c->dial = dial_free(c->dial); /* the callee may */
}

static int listen_at(const char *path, int backlog)
{
        struct sockaddr_un local = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
        assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
        assert_int_equal(listen(fd, backlog), 0);
        return fd;
}

static void test_dial(void **state)
{
        char *dir = temp_new();
        char path[64];
        ProbeSettings probe = { .path = path };
        Call c = { .fd = -1 };

        (void)state;
        watcher_init(&c.w);
        snprintf(path, sizeof(path), "%s/s", dir);
        assert_int_equal(dial_start(&c.dial, c.w.event, &probe, on_done, &c), -ENOENT);
        int server = listen_at(path, 8);
        assert_int_equal(dial_start(&c.dial, c.w.event, &probe, on_done, &c), 0);
        assert_int_equal(c.n, 0); /* never from within the call */
        watcher_until(&c.w, c.n == 1);
        assert_int_equal(c.r, 0);
        assert_true(c.fd >= 0);
        assert_true(fcntl(c.fd, F_GETFL) & O_NONBLOCK);
        close(c.fd);
        close(server);
        assert_int_equal(dial_start(&c.dial, c.w.event, &probe, on_done, &c), -ECONNREFUSED);
        temp_remove(dir);
        watcher_deinit(&c.w);
}

/* As soon as the server takes one out of its queue there is room for the dialler. */
static void test_full_queue_that_empties(void **state)
{
        char *dir = temp_new();
        char path[64];
        ProbeSettings probe = { .path = path };
        struct sockaddr_un local = { .sun_family = AF_UNIX };
        Call c = { .fd = -1 };
        int clients[4];

        (void)state;
        watcher_init(&c.w);
        snprintf(path, sizeof(path), "%s/s", dir);
        snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
        int server = listen_at(path, 1);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void)connect(clients[i], (struct sockaddr *)&local, sizeof(local));
        }
        assert_int_equal(dial_start(&c.dial, c.w.event, &probe, on_done, &c), 0);
        watcher_turn(&c.w, 120 * USEC_PER_MSEC);
        assert_int_equal(c.n, 0);
        int first = accept4(server, NULL, NULL, SOCK_CLOEXEC),
            second = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        watcher_until(&c.w, c.n == 1);
        assert_int_equal(c.r, 0);
        close(c.fd);
        close(first);
        close(second);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                close(clients[i]);
        /* One that is given up while it waits. */
        c.n = 0;
        assert_int_equal(dial_start(&c.dial, c.w.event, &probe, on_done, &c), 0);
        assert_null(dial_free(c.dial));
        watcher_drain(&c.w);
        assert_int_equal(c.n, 0);
        close(server);
        temp_remove(dir);
        watcher_deinit(&c.w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dial),
                cmocka_unit_test(test_full_queue_that_empties),
        };

        return cmocka_run_group_tests_name("observe/dial", tests, NULL, NULL);
}

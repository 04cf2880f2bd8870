/*
 * Tests of control/server.c, connection.c and client.c together: a server in this thread, clients in others
 * (they block) or on bare sockets where they misbehave.
 */
#include "control/client.h"
#include "control/connection.h"
#include "control/packet.h"
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct World {
        char dir[64];
        sd_event *event;
        ControlServer *server;
        ControlReply *kept; /* of the verb "later" */
        unsigned n_requests;
        bool may_act;
        size_t big;
} World;

static void handle(void *userdata, const ControlRequest *request, ControlReply *reply)
{
        World *w = userdata;

        w->n_requests++;
        w->may_act = request->may_act;
        if (strcmp(request->verb, "later") == 0) {
                w->kept = reply;
        } else if (strcmp(request->verb, "refuse") == 0) {
                control_reply(reply, false, json_pack("{s:s, s:s}", "error", "no", "reason", "veto"));
        } else if (strcmp(request->verb, "big") == 0) {
                char *text = malloc(w->big + 1);

                memset(text, 'x', w->big);
                text[w->big] = '\0';
                control_reply(reply, true, json_pack("{s:s}", "text", text));
                free(text);
        } else {
                control_reply(reply, true,
                              json_pack("{s:s, s:O, s:s}", "verb", request->verb, "args", request->args,
                                        "peer", request->peer));
        }
}

static int setup(void **state)
{
        World *w = calloc(1, sizeof(*w));
        const ControlHandler handler = { .userdata = w, .handle = handle };

        snprintf(w->dir, sizeof(w->dir), "/tmp/unjam-test.XXXXXX");
        assert_non_null(mkdtemp(w->dir));
        assert_int_equal(sd_event_new(&w->event), 0);
        assert_int_equal(control_server_new(&w->server, w->event, w->dir, "no-such-group", &handler), 0);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        World *w = *state;

        control_server_free(w->server);
        sd_event_unref(w->event);
        assert_int_equal(rmdir(w->dir), 0); /* the socket is gone */
        free(w);
        return 0;
}

/* Runs the loop until nothing is left to do. */
static void settle(World *w)
{
        while (sd_event_run(w->event, 20000) > 0)
                ;
}

#define PATIENCE (60 * USEC_PER_SEC) /* on a busy machine, too */

/* A client in a thread of its own. */
typedef struct Call {
        const char *dir;
        const char *verb;
        unsigned n_events; /* to be read after the answer */
        int r;
        bool ok;
        json_t *body;
        json_t *events[4];
        atomic_bool done;
} Call;

static void *call_thread(void *userdata)
{
        Call *c = userdata;
        ControlClient *client = NULL;

        c->r = control_client_new(&client, c->dir);
        if (c->r == 0)
                c->r = control_client_call(client, c->verb, json_pack("{s:s}", "service", "imc"), PATIENCE,
                                           &c->ok, &c->body);
        for (unsigned i = 0; c->r == 0 && i < c->n_events; i++)
                c->r = control_client_next(client, PATIENCE, &c->events[i]);
        control_client_free(client);
        c->done = true;
        return NULL;
}

static void call(World *w, Call *c)
{
        pthread_t t;

        c->dir = w->dir;
        assert_int_equal(pthread_create(&t, NULL, call_thread, c), 0);
        while (!c->done)
                assert_true(sd_event_run(w->event, 10000) >= 0);
        assert_int_equal(pthread_join(t, NULL), 0);
}

/* A bare socket, connected. */
static int bare(const World *w)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", w->dir);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

static void say(int fd, const char *text)
{
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The next packet must contain @part; NULL: end of the connection. */
static void expect_packet(int fd, const char *part)
{
        char buf[CONTROL_PACKET_MAX + 1];
        ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);

        if (!part) {
                assert_int_equal(n, 0);
                return;
        }
        assert_true(n > 0);
        buf[n] = '\0';
        if (!strstr(buf, part))
                fail_msg("%s is not in %s", part, buf);
}

static void test_ask_and_answer(void **state)
{
        World *w = *state;
        Call c = { .verb = "status" };
        char peer[64];

        call(w, &c);
        assert_int_equal(c.r, 0);
        assert_true(c.ok);
        assert_true(w->may_act);
        snprintf(peer, sizeof(peer), "uid %u pid %d", geteuid(), getpid());
        assert_string_equal(json_string_value(json_object_get(c.body, "peer")), peer);
        assert_string_equal(json_string_value(json_object_get(json_object_get(c.body, "args"), "service")),
                            "imc");
        json_decref(c.body);
}

static void test_a_refusal(void **state)
{
        Call c = { .verb = "refuse" };

        call(*state, &c);
        assert_int_equal(c.r, 0);
        assert_false(c.ok);
        assert_string_equal(json_string_value(json_object_get(c.body, "reason")), "veto");
        json_decref(c.body);
}

/* Larger than a packet, than the socket's buffer, and than the bound of the queue. */
static void test_a_reply_of_any_size(void **state)
{
        World *w = *state;
        Call c = { .verb = "big" };

        w->big = CONNECTION_QUEUE_MAX + (1 << 20);
        call(w, &c);
        assert_int_equal(c.r, 0);
        assert_int_equal(json_string_length(json_object_get(c.body, "text")), w->big);
        json_decref(c.body);
}

static void test_bad_requests_are_answered(void **state)
{
        static const char *const bad[] = { "hello",
                                           "[]",
                                           "{}",
                                           "{\"id\":1}",
                                           "{\"id\":0,\"verb\":\"status\"}",
                                           "{\"id\":1,\"verb\":2}",
                                           "{\"id\":1,\"verb\":\"status\",\"args\":[]}",
                                           "{\"id\":1,\"id\":1,\"verb\":\"status\"}" };
        World *w = *state;
        char *large = malloc(CONTROL_PACKET_MAX + 1);
        int fd = bare(w);

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                say(fd, bad[i]);
                settle(w);
                expect_packet(fd, "\\\"ok\\\":false");
        }
        memset(large, ' ', CONTROL_PACKET_MAX + 1);
        assert_int_equal(send(fd, large, CONTROL_PACKET_MAX + 1, MSG_NOSIGNAL), CONTROL_PACKET_MAX + 1);
        free(large);
        settle(w);
        expect_packet(fd, "larger than 64 KiB");
        assert_int_equal(w->n_requests, 0);
        say(fd, "{\"id\":9,\"verb\":\"status\"}");
        settle(w);
        expect_packet(fd, "\"id\":9,");
        assert_int_equal(w->n_requests, 1);
        close(fd);
        settle(w);
}

static void test_a_late_reply(void **state)
{
        World *w = *state;
        int fd = bare(w);

        say(fd, "{\"id\":3,\"verb\":\"later\"}");
        say(fd, "{\"id\":4,\"verb\":\"status\"}");
        settle(w);
        expect_packet(fd, "\"id\":4,");
        control_reply(w->kept, true, json_object());
        settle(w);
        expect_packet(fd, "\"id\":3,");
        /* The client goes first: the reply is a no-op. */
        say(fd, "{\"id\":5,\"verb\":\"later\"}");
        settle(w);
        close(fd);
        settle(w);
        control_reply(w->kept, true, json_object());
        settle(w);
}

static void test_a_reply_after_the_server(void **state)
{
        World *w = *state;
        int fd = bare(w);

        say(fd, "{\"id\":3,\"verb\":\"later\"}");
        settle(w);
        w->server = control_server_free(w->server);
        control_reply(w->kept, true, json_object());
        expect_packet(fd, NULL);
        close(fd);
}

static void test_too_many_requests(void **state)
{
        World *w = *state;
        ControlReply *kept[CONTROL_PENDING_MAX];
        int fd = bare(w);

        for (int i = 0; i < CONTROL_PENDING_MAX; i++) {
                say(fd, "{\"id\":3,\"verb\":\"later\"}");
                settle(w);
                kept[i] = w->kept;
        }
        say(fd, "{\"id\":99,\"verb\":\"later\"}");
        settle(w);
        expect_packet(fd, "too many requests");
        close(fd);
        for (int i = 0; i < CONTROL_PENDING_MAX; i++)
                control_reply(kept[i], true, json_object());
        settle(w);
}

static void test_too_many_clients(void **state)
{
        World *w = *state;
        int fds[CONTROL_CLIENTS_MAX], more;

        for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
                fds[i] = bare(w);
                settle(w);
        }
        more = bare(w);
        settle(w);
        expect_packet(more, "too many clients");
        expect_packet(more, NULL);
        close(more);
        close(fds[0]);
        settle(w);
        more = bare(w);
        say(more, "{\"id\":1,\"verb\":\"status\"}");
        settle(w);
        expect_packet(more, "\\\"ok\\\":true");
        close(more);
        for (int i = 1; i < CONTROL_CLIENTS_MAX; i++)
                close(fds[i]);
        settle(w);
}

static void test_watching(void **state)
{
        World *w = *state;
        Publisher p = control_server_publisher(w->server);
        int all = bare(w), one = bare(w);

        say(all, "{\"id\":1,\"verb\":\"watch\"}");
        say(one, "{\"id\":2,\"verb\":\"watch\",\"args\":{\"service\":\"imc\"}}");
        settle(w);
        expect_packet(all, "watching");
        expect_packet(one, "watching");
        p.publish(p.userdata, json_pack("{s:s, s:s}", "event", "state", "service", "other"));
        p.publish(p.userdata, json_pack("{s:s, s:s}", "event", "trial", "service", "imc"));
        p.publish(p.userdata, json_pack("{s:s}", "event", "alert"));
        settle(w);
        expect_packet(all, "other");
        expect_packet(all, "trial");
        expect_packet(all, "alert");
        expect_packet(one, "trial");
        expect_packet(one, "alert");
        assert_int_equal(w->n_requests, 0);
        close(all);
        close(one);
        settle(w);
        p.publish(p.userdata, json_object());
}

static void test_a_watcher_that_does_not_read(void **state)
{
        World *w = *state;
        Publisher p = control_server_publisher(w->server);
        char *text = malloc(60001);
        int slow = bare(w), other = bare(w);

        memset(text, 'x', 60000);
        text[60000] = '\0';
        say(slow, "{\"id\":1,\"verb\":\"watch\"}");
        settle(w);
        for (int i = 0; i < 2 * CONNECTION_QUEUE_MAX / 60000; i++)
                p.publish(p.userdata, json_pack("{s:s, s:s}", "event", "state", "text", text));
        settle(w);
        free(text);
        /* It gets what the kernel had taken, then the end. */
        for (;;) {
                char buf[CONTROL_PACKET_MAX];
                ssize_t n = recv(slow, buf, sizeof(buf), 0);

                assert_true(n >= 0);
                if (n == 0)
                        break;
        }
        say(other, "{\"id\":1,\"verb\":\"status\"}");
        settle(w);
        expect_packet(other, "\\\"ok\\\":true");
        close(slow);
        close(other);
        settle(w);
}

static void test_the_client_gets_events(void **state)
{
        World *w = *state;
        Publisher p = control_server_publisher(w->server);
        Call c = { .verb = "watch", .n_events = 2, .dir = w->dir };
        pthread_t t;

        assert_int_equal(pthread_create(&t, NULL, call_thread, &c), 0);
        while (!c.done) {
                assert_true(sd_event_run(w->event, 1000) >= 0);
                p.publish(p.userdata, json_pack("{s:s, s:s}", "event", "state", "service", "imc"));
        }
        assert_int_equal(pthread_join(t, NULL), 0);
        assert_int_equal(c.r, 0);
        assert_true(json_is_true(json_object_get(c.body, "watching")));
        for (int i = 0; i < 2; i++) {
                assert_string_equal(json_string_value(json_object_get(c.events[i], "event")), "state");
                json_decref(c.events[i]);
        }
        json_decref(c.body);
}

static void test_nobody_listens(void **state)
{
        World *w = *state;
        ControlClient *client = NULL;
        char missing[80];

        snprintf(missing, sizeof(missing), "%s/none", w->dir);
        assert_int_equal(control_client_new(&client, missing), -ENOENT);
        w->server = control_server_free(w->server);
        assert_int_equal(control_client_new(&client, w->dir), -ENOENT);
}

static void test_the_socket(void **state)
{
        World *w = *state;
        const ControlHandler handler = { .userdata = w, .handle = handle };
        ControlServer *second = NULL;
        char path[80], stale[80];
        struct stat st;
        FILE *f;

        snprintf(path, sizeof(path), "%s/control", w->dir);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0666);
        /* A live one is left alone, also by the one that failed. */
        assert_int_equal(control_server_new(&second, w->event, w->dir, NULL, &handler), -EADDRINUSE);
        assert_int_equal(access(path, F_OK), 0);
        /* A stale one is replaced: a name that outlives its server. */
        snprintf(stale, sizeof(stale), "%s/saved", w->dir);
        assert_int_equal(link(path, stale), 0);
        w->server = control_server_free(w->server);
        assert_int_equal(rename(stale, path), 0);
        assert_int_equal(control_server_new(&w->server, w->event, w->dir, NULL, &handler), 0);
        w->server = control_server_free(w->server);
        /* What is no socket is nobody's to remove. */
        f = fopen(path, "we");
        fclose(f);
        assert_int_equal(control_server_new(&second, w->event, w->dir, NULL, &handler), -EEXIST);
        assert_int_equal(unlink(path), 0);
}

static void test_a_long_directory(void **state)
{
        World *w = *state, deep = { 0 };
        const ControlHandler handler = { .userdata = &deep, .handle = handle };
        char dir[200];
        ControlClient *client = NULL;
        ControlServer *server = NULL;

        snprintf(dir, sizeof(dir), "%s/%0120d", w->dir, 1);
        assert_int_equal(control_server_new(&server, w->event, dir, NULL, &handler), 0);
        assert_int_equal(control_client_new(&client, dir), 0);
        control_client_free(client);
        settle(w);
        control_server_free(server);
        assert_int_equal(rmdir(dir), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_ask_and_answer),
                TEST(test_a_refusal),
                TEST(test_a_reply_of_any_size),
                TEST(test_bad_requests_are_answered),
                TEST(test_a_late_reply),
                TEST(test_a_reply_after_the_server),
                TEST(test_too_many_requests),
                TEST(test_too_many_clients),
                TEST(test_watching),
                TEST(test_a_watcher_that_does_not_read),
                TEST(test_the_client_gets_events),
                TEST(test_nobody_listens),
                TEST(test_the_socket),
                TEST(test_a_long_directory),
        };

        return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}

/* probe, with probe_tcp, probe_smtp and probe_exec - against real sockets and a scripted runner. */
#include "observe/probe.h"

#include "unit/observe_runner.h"
#include "unit/observe_util.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A server that answers each line it gets with the next line of a script. */
typedef struct Server {
        int fd, client;
        char address[64];
        const char *path; /* a local socket, if not NULL */
        sd_event_source *io, *client_io;
        const char *const *script; /* banner first; NULL ends it with a close; "" says nothing */
        size_t step, connections;
        char heard[1024];
} Server;

static void server_say(Server *s)
{
        const char *line = s->script ? s->script[s->step] : "";

        if (!line) {
                s->client_io = sd_event_source_disable_unref(s->client_io);
                closep(&s->client);
                s->client = -1;
                return;
        }
        s->step++;
        assert_int_equal(send(s->client, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
}

static int on_line(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        Server *s = userdata;
        size_t used = strlen(s->heard);
        ssize_t n = recv(fd, s->heard + used, sizeof(s->heard) - used - 1, MSG_DONTWAIT);

        (void)io;
        (void)revents;
        if (n <= 0) {
                s->client_io = sd_event_source_disable_unref(s->client_io);
                closep(&s->client);
                s->client = -1;
                return 0;
        }
        s->heard[used + (size_t)n] = 0;
        server_say(s);
        return 0;
}

static int on_client(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        Server *s = userdata;

        (void)revents;
        s->client_io = sd_event_source_disable_unref(s->client_io);
        if (s->client >= 0)
                close(s->client);
        s->client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(s->client >= 0);
        s->connections++;
        s->step = 0;
        s->heard[0] = 0;
        assert_true(sd_event_add_io(sd_event_source_get_event(io), &s->client_io, s->client, EPOLLIN, on_line,
                                    s) >= 0);
        server_say(s);
        return 0;
}

static void server_init(Server *s, sd_event *event, bool six, const char *const *script)
{
        struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr_in6 local6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        struct sockaddr *a = six ? (struct sockaddr *)&local6 : (struct sockaddr *)&local;
        socklen_t len = six ? sizeof(local6) : sizeof(local);

        *s = (Server){ .client = -1, .script = script };
        s->fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s->fd < 0 || bind(s->fd, a, len) < 0) {
                print_message("no IPv%d on loopback\n", six ? 6 : 4);
                closep(&s->fd);
                s->fd = -1;
                skip();
        }
        assert_int_equal(listen(s->fd, 8), 0);
        assert_int_equal(getsockname(s->fd, a, &len), 0);
        if (six)
                snprintf(s->address, sizeof(s->address), "[::1]:%u", ntohs(local6.sin6_port));
        else
                snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(local.sin_port));
        assert_true(sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_client, s) >= 0);
}

static void server_deinit(Server *s)
{
        sd_event_source_disable_unref(s->io);
        sd_event_source_disable_unref(s->client_io);
        closep(&s->fd);
        closep(&s->client);
}

static void server_init_local(Server *s, sd_event *event, const char *path, int backlog,
                              const char *const *script)
{
        struct sockaddr_un local = { .sun_family = AF_UNIX };

        *s = (Server){ .client = -1, .script = script, .path = path };
        snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(s->fd, (struct sockaddr *)&local, sizeof(local)), 0);
        assert_int_equal(listen(s->fd, backlog), 0);
        if (script)
                assert_true(sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_client, s) >= 0);
}

/* One probe of @kind against @address, or against a local socket if that is a path, until its
 * first verdict. */
static Seen probe_once(Watcher *w, ProbeKind kind, char *address, usec_t timeout)
{
        ProbeSettings probe = { .kind = kind, .interval = USEC_PER_HOUR, .timeout = timeout };
        const ProbeSpec spec = {};
        Source *source;

        if (*address == '/')
                probe.path = address;
        else
                probe.address = address;

        w->settings.probes = &probe;
        w->settings.n_probes = 1;
        w->n = 0;
        assert_int_equal(probe_source_new(&source, &w->context, &spec), 0);
        assert_int_equal(source_start(source), 0);
        watcher_until(w, w->n == 1);
        source_free(source);
        watcher_drain(w);
        return w->seen[0];
}

static void test_tcp(void **state)
{
        Watcher w;
        Server s;

        (void)state;
        watcher_init(&w);
        server_init(&s, w.event, false, NULL);
        Seen seen = probe_once(&w, PROBE_TCP, s.address, 5 * USEC_PER_SEC);
        assert_true(seen.o.probe.ok);
        assert_int_equal(seen.o.probe.probe, 0);
        assert_string_equal(seen.text, "");
        server_deinit(&s);
        seen = probe_once(&w, PROBE_TCP, s.address, 5 * USEC_PER_SEC);
        assert_false(seen.o.probe.ok);
        assert_string_equal(seen.text, "Connection refused");
        seen = probe_once(&w, PROBE_SMTP, s.address, 5 * USEC_PER_SEC);
        assert_false(seen.o.probe.ok);
        assert_string_equal(seen.text, "Connection refused");
        watcher_deinit(&w);
}

typedef struct Dialogue {
        const char *const *script;
        bool ok;
        const char *detail; /* its beginning */
} Dialogue;

#define SCRIPT(...)                                                                                          \
        (const char *const[])                                                                                \
        {                                                                                                    \
                __VA_ARGS__, NULL                                                                            \
        }

static void test_smtp(void **state)
{
        const Dialogue dialogues[] = {
                { SCRIPT("220 mx ESMTP\r\n", "250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n", "250 ok\r\n",
                         "221 bye\r\n"),
                  true, "" },
                { SCRIPT("220-please\r\n220 \xff\xfe wait\r\n", "250 x\r\n", "250 ok\r\n"), true,
                  "" }, /* closes at QUIT */
                { SCRIPT("220 old\r\n", "502 what?\r\n", "250 hello\r\n", "250 ok\r\n", "221 bye\r\n"), true,
                  "" },
                { SCRIPT("554 go away\r\n"), false, "refused in the banner: 554 go away" },
                { SCRIPT("220 mx\r\n", "421 too busy \xff\r\n"), false,
                  "refused in the answer to EHLO: 421 too busy \xef\xbf\xbd" },
                { SCRIPT("220 mx\r\n", "250 x\r\n", "451 tables are down\r\n"), false,
                  "refused in the answer to NOOP: 451" },
                { SCRIPT("SSH-2.0-OpenSSH\r\n"), false, "no SMTP in the banner: S" },
                { SCRIPT("220 mx\r\n250 early\r\n"), false, "the server speaks before" },
                { SCRIPT("220 mx\r\n"), false, "waiting for the answer to EHLO: the server closed" },
                { (const char *const[]){ NULL }, false, "waiting for the banner: the server closed" },
        };
        Watcher w;

        (void)state;
        watcher_init(&w);
        for (size_t i = 0; i < ELEMENTSOF(dialogues); i++) {
                Server s;
                server_init(&s, w.event, false, dialogues[i].script);
                Seen seen = probe_once(&w, PROBE_SMTP, s.address, 5 * USEC_PER_SEC);
                assert_memory_equal(seen.text, dialogues[i].detail, strlen(dialogues[i].detail));
                assert_int_equal(seen.o.probe.ok, dialogues[i].ok);
                if (i == 0)
                        assert_string_equal(s.heard, "EHLO [127.0.0.1]\r\nNOOP\r\nQUIT\r\n");
                server_deinit(&s);
        }
        watcher_deinit(&w);
}

static void test_smtp_six(void **state)
{
        Watcher w;
        Server s;

        (void)state;
        watcher_init(&w);
        server_init(&s, w.event, true, SCRIPT("220 mx\r\n", "250 x\r\n", "250 ok\r\n"));
        assert_true(probe_once(&w, PROBE_SMTP, s.address, 5 * USEC_PER_SEC).o.probe.ok);
        assert_string_equal(s.heard, "EHLO [IPv6:::1]\r\nNOOP\r\nQUIT\r\n");
        server_deinit(&s);
        watcher_deinit(&w);
}

/* A server that accepts and says nothing, or drips: the deadline is over the whole dialogue. */
static void test_silence(void **state)
{
        Watcher w;
        Server s;

        (void)state;
        watcher_init(&w);
        server_init(&s, w.event, false, SCRIPT("220 mx\r\n", "250-never\r\n"));
        Seen seen = probe_once(&w, PROBE_SMTP, s.address, 60 * USEC_PER_MSEC);
        assert_false(seen.o.probe.ok);
        assert_non_null(strstr(seen.text, "waiting for the answer to EHLO"));
        assert_int_equal(s.connections, 1);
        server_deinit(&s);
        watcher_deinit(&w);
}

static void test_pace(void **state)
{
        const ProbeSpec spec = {};
        ProbeSettings probes[2];
        Watcher w;
        Server s;
        Source *source;

        (void)state;
        watcher_init(&w);
        server_init(&s, w.event, false, NULL);
        for (size_t i = 0; i < 2; i++)
                probes[i] = (ProbeSettings){ .kind = PROBE_TCP,
                                             .address = s.address,
                                             .interval = USEC_PER_HOUR,
                                             .timeout = USEC_PER_SEC,
                                             .slow = 1 };
        w.settings.probes = probes;
        w.settings.n_probes = 2;
        assert_int_equal(probe_source_new(&source, &w.context, &spec), 0);
        assert_int_equal(source_start(source), 0);
        watcher_until(&w, w.n == 2);
        assert_int_equal(w.seen[0].o.probe.probe + w.seen[1].o.probe.probe, 1);
        assert_true(w.seen[0].o.probe.slow);
        watcher_turn(&w, 0);
        assert_int_equal(w.n, 2);
        probe_source_set_pace(source, 10 * USEC_PER_MSEC);
        watcher_until(&w, w.n >= 8);
        probe_source_enable(source, false);
        watcher_drain(&w);
        size_t n = w.n;
        for (unsigned i = 0; i < 5; i++)
                watcher_turn(&w, 10 * USEC_PER_MSEC);
        assert_int_equal(w.n, n);
        probe_source_enable(source, true);
        watcher_until(&w, w.n > n);
        source_free(source);
        server_deinit(&s);
        watcher_deinit(&w);
}

static void test_exec(void **state)
{
        FakeRunner f = { .runner.ops = &fake_runner_ops };
        const ProbeSpec spec = { .runner = &f.runner };
        char *command[] = { (char *)"/usr/bin/check", NULL };
        ProbeSettings probe = {
                .kind = PROBE_EXEC, .command = command, .interval = 1, .timeout = 3 * USEC_PER_SEC
        };
        const struct {
                RunResult result;
                bool ok;
                const char *detail;
        } rows[] = {
                { { .output = "fine\n", .output_len = 5 }, true, "" },
                { { .exit_code = 2, .output = "queue \xff full\n", .output_len = 13 },
                  false,
                  "exit status 2: queue \xef\xbf\xbd full" },
                { { .exit_code = 1, .output = "" }, false, "exit status 1" },
                { { .signal = 9, .output = "" }, false, "killed by signal 9" },
                { { .timed_out = true, .output = "x", .output_len = 1 }, false, "no result in time: x" },
                { { .error = -ENOENT },
                  false,
                  "/usr/bin/check could not be started: No such file or directory" },
        };
        Watcher w;
        Source *source;

        (void)state;
        watcher_init(&w);
        w.settings.name = (char *)"Imc_1";
        w.settings.probes = &probe;
        w.settings.n_probes = 1;
        assert_int_equal(probe_source_new(&source, &w.context, &spec), 0);
        assert_int_equal(source_start(source), 0);
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                watcher_until(&w, f.started == i + 1);
                assert_string_equal(f.name, "probe-imc-1");
                assert_int_equal(f.spec.timeout, probe.timeout);
                f.done(f.userdata, &rows[i].result);
                assert_int_equal(w.n, i + 1);
                assert_int_equal(w.seen[i].o.probe.ok, rows[i].ok);
                assert_string_equal(w.seen[i].text, rows[i].detail);
        }
        watcher_until(&w, f.started == ELEMENTSOF(rows) + 1);
        /* Never twice at once, whatever is asked for. */
        assert_int_equal(source_refresh(source), 0);
        watcher_drain(&w);
        assert_int_equal(f.started, ELEMENTSOF(rows) + 1);
        source_free(source);
        assert_int_equal(f.cancelled, 1);

        f.refuse = -EAGAIN;
        probe.interval = USEC_PER_HOUR;
        w.n = 0;
        assert_int_equal(probe_source_new(&source, &w.context, &spec), 0);
        assert_int_equal(source_start(source), 0);
        watcher_until(&w, w.n == 1);
        assert_false(w.seen[0].o.probe.ok);
        source_free(source);
        watcher_deinit(&w);
}

static void test_lmtp_and_local_sockets(void **state)
{
        char *dir = temp_new(), path[64];
        Watcher w;
        Server s;

        (void)state;
        watcher_init(&w);
        snprintf(path, sizeof(path), "%s/lmtp", dir);
        Seen seen = probe_once(&w, PROBE_UNIX, path, 5 * USEC_PER_SEC);
        assert_false(seen.o.probe.ok);
        assert_string_equal(seen.text, "No such file or directory");
        server_init_local(&s, w.event, path, 8, SCRIPT("220 lmtp\r\n", "250-x\r\n250 y\r\n", "250 ok\r\n"));
        assert_true(probe_once(&w, PROBE_UNIX, path, 5 * USEC_PER_SEC).o.probe.ok);
        assert_true(probe_once(&w, PROBE_LMTP, path, 5 * USEC_PER_SEC).o.probe.ok);
        assert_string_equal(s.heard, "LHLO [127.0.0.1]\r\nNOOP\r\nQUIT\r\n");
        assert_true(probe_once(&w, PROBE_SMTP, path, 5 * USEC_PER_SEC).o.probe.ok);
        assert_string_equal(s.heard, "EHLO [127.0.0.1]\r\nNOOP\r\nQUIT\r\n");
        server_deinit(&s);
        seen = probe_once(&w, PROBE_LMTP, path, 5 * USEC_PER_SEC);
        assert_false(seen.o.probe.ok);
        assert_string_equal(seen.text, "Connection refused");

        /* In LMTP there is no older greeting to fall back to. */
        server_init(&s, w.event, false, SCRIPT("220 x\r\n", "500 what?\r\n", "250 ok\r\n"));
        seen = probe_once(&w, PROBE_LMTP, s.address, 5 * USEC_PER_SEC);
        assert_false(seen.o.probe.ok);
        assert_string_equal(seen.text, "refused in the answer to LHLO: 500 what?");
        server_deinit(&s);
        temp_remove(dir);
        watcher_deinit(&w);
}

/* A server that accepts nothing any more: its queue is full, and the kernel offers nothing to wait for. */
static void test_full_queue(void **state)
{
        char *dir = temp_new(), path[64];
        struct sockaddr_un local = { .sun_family = AF_UNIX };
        int clients[8];
        Watcher w;
        Server s;

        (void)state;
        watcher_init(&w);
        snprintf(path, sizeof(path), "%s/x", dir);
        snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
        server_init_local(&s, w.event, path, 1, NULL);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void)connect(clients[i], (struct sockaddr *)&local, sizeof(local));
        }
        Seen seen = probe_once(&w, PROBE_UNIX, path, 200 * USEC_PER_MSEC);
        assert_false(seen.o.probe.ok);
        assert_string_equal(seen.text, "no answer in 200ms: waiting for the connection");
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                close(clients[i]);
        server_deinit(&s);
        temp_remove(dir);
        watcher_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcp),
                cmocka_unit_test(test_smtp),
                cmocka_unit_test(test_smtp_six),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_pace),
                cmocka_unit_test(test_exec),
                cmocka_unit_test(test_lmtp_and_local_sockets),
                cmocka_unit_test(test_full_queue),
        };

        return cmocka_run_group_tests_name("observe/probe", tests, NULL, NULL);
}

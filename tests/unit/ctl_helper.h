#pragma once

/*
 * A world for unjamctl: a configuration, an audit trail, a quarantine, and a daemon that answers as it is
 * told. The program runs in a child; what it wrote and its exit status are kept.
 */

#include "base/cleanup.h"
#include "control/server.h"
#include "ctl/ctl.h"
#include "trail_helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct World {
        char dir[64];
        char config[96], audit[96], out[96], err[96];
        char *text, *errors; /* what the last run wrote */
        sd_event *event;
        ControlServer *server;
        json_t *requests; /* what was asked: array of {"verb","args"} */
        json_t *answer;   /* body of every answer but that of "status" */
        bool refuse;
        json_t *status;
        json_t *publish; /* event that is published while a child runs, or NULL */
        pid_t child;
} World;

static inline void world_handle(void *userdata, const ControlRequest *request, ControlReply *reply)
{
        World *w = userdata;

        json_array_append_new(w->requests,
                              json_pack("{s:s, s:O}", "verb", request->verb, "args", request->args));
        if (strcmp(request->verb, "status") == 0 && w->status)
                control_reply(reply, true, json_incref(w->status));
        else
                control_reply(reply, !w->refuse,
                              w->answer ? json_incref(w->answer) : json_pack("{s:b}", "done", 1));
}

static inline void world_serve(World *w)
{
        const ControlHandler handler = { .userdata = w, .handle = world_handle };
        char run[96];

        snprintf(run, sizeof(run), "%s/run", w->dir);
        assert_int_equal(sd_event_new(&w->event), 0);
        assert_int_equal(control_server_new(&w->server, w->event, run, NULL, &handler), 0);
}

static inline int world_setup(void **state)
{
        World *w = calloc(1, sizeof(*w));
        FILE *f;

        snprintf(w->dir, sizeof(w->dir), "/tmp/unjam-test.XXXXXX");
        assert_non_null(mkdtemp(w->dir));
        snprintf(w->config, sizeof(w->config), "%s/unjamd.conf", w->dir);
        snprintf(w->audit, sizeof(w->audit), "%s/audit.jsonl", w->dir);
        snprintf(w->out, sizeof(w->out), "%s/out", w->dir);
        snprintf(w->err, sizeof(w->err), "%s/err", w->dir);
        f = fopen(w->config, "we");
        assert_non_null(f);
        fprintf(f,
                "state_dir = \"%s/state\"; run_dir = \"%s/run\"; audit = { path = \"%s\"; };\n"
                "services = ( { name = \"imc\"; manager = \"embedded\"; command = [ \"/bin/true\" ];\n"
                "  stores = ( { name = \"in\"; layout = \"flat\"; dirs = [ \"%s/In\" ]; hold = \"%s/hold\";\n"
                "               queue_lifetime = \"5d\"; } ); } );\n",
                w->dir, w->dir, w->audit, w->dir, w->dir);
        fclose(f);
        w->requests = json_array();
        *state = w;
        return 0;
}

static inline int world_teardown(void **state)
{
        World *w = *state;
        int r;

        control_server_free(w->server);
        sd_event_unref(w->event);
        json_decref(w->requests);
        json_decref(w->answer);
        json_decref(w->status);
        json_decref(w->publish);
        free(w->text);
        free(w->errors);
        r = nftw(w->dir, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
        free(w);
        return r;
}

static inline void world_child(const World *w, char **argv)
{
        int argc = 0, out = open(w->out, O_WRONLY | O_CREAT | O_TRUNC, 0600),
            err = open(w->err, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
                _exit(99);
        while (argv[argc])
                argc++;
        /* exit(), so that the buffers are written and a leak is found. */
        exit(ctl_main(argc, argv));
}

/* Begins `unjamctl -c CONFIG` with the words of @argv (argv[0] and "-c" are put before). */
static inline void world_start(World *w, const char *const *words)
{
        char *argv[16] = { (char *)"unjamctl", (char *)"-c", w->config };
        int n = 3;

        while (*words && n < 15)
                argv[n++] = (char *)*words++;
        argv[n] = NULL;
        fflush(NULL);
        w->child = fork();
        assert_true(w->child >= 0);
        if (w->child == 0)
                world_child(w, argv);
}

/* Waits for its end while the server works. Yields the exit status. */
static inline int world_wait(World *w)
{
        int status;

        for (;;) {
                pid_t done = waitpid(w->child, &status, w->server ? WNOHANG : 0);

                assert_true(done >= 0 || errno == EINTR);
                if (done == w->child)
                        break;
                assert_true(sd_event_run(w->event, 2000) >= 0);
                if (w->publish) {
                        Publisher p = control_server_publisher(w->server);

                        p.publish(p.userdata, json_incref(w->publish));
                }
        }
        free(w->text);
        free(w->errors);
        w->text = fixture_read(w->out);
        w->errors = fixture_read(w->err);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

#define world_run(w, ...)                                                                                    \
        ({                                                                                                   \
                world_start((w), (const char *const[]){ __VA_ARGS__, NULL });                                \
                world_wait(w);                                                                               \
        })

/* Exit status and output of a run. */
#define expect_run(w, code, ...)                                                                             \
        ({                                                                                                   \
                int _code = world_run((w), __VA_ARGS__);                                                     \
                if (_code != (code))                                                                         \
                        fail_msg("exit status %d, not %d: %s%s", _code, (code), (w)->text, (w)->errors);     \
        })

static inline void expect_text(const char *text, const char *part)
{
        if (!strstr(text, part))
                fail_msg("\"%s\" is not in:\n%s", part, text);
}

static inline void expect_no_text(const char *text, const char *part)
{
        if (strstr(text, part))
                fail_msg("\"%s\" is in:\n%s", part, text);
}

/* What the last run wrote, as JSON; the caller's. */
static inline json_t *world_json(const World *w)
{
        json_t *j = json_loads(w->text, 0, NULL);

        if (!j)
                fail_msg("no JSON: %s", w->text);
        return j;
}

/* The last request that was not a status. */
static inline void expect_request(const World *w, const char *verb, const char *args)
{
        json_t *want = json_loads(args, 0, NULL), *last = NULL, *request;
        size_t i;

        json_array_foreach(w->requests, i,
                           request) if (strcmp(json_string_value(json_object_get(request, "verb")),
                                               "status") != 0) last = request;
        assert_non_null(want);
        assert_non_null(last);
        assert_string_equal(json_string_value(json_object_get(last, "verb")), verb);
        if (!json_equal(json_object_get(last, "args"), want)) {
                char *got = json_dumps(json_object_get(last, "args"), JSON_COMPACT);

                fail_msg("args %s, not %s", got, args);
        }
        json_decref(want);
}

typedef struct Line {
        AuditEvent event;
        const char *incident;
        const char *members; /* JSON */
} Line;

/* Appends records to the trail; a second between each. */
static inline void world_record(World *w, const Line *lines, size_t n)
{
        char state_dir[96];
        const AuditConfig config = { .path = w->audit,
                                     .state_dir = state_dir,
                                     .max_size = 1 << 20,
                                     .keep = 3,
                                     .group = (gid_t)-1,
                                     .disk = disk_posix() };
        AuditFindings findings = { 0 };
        Audit *a = NULL;

        snprintf(state_dir, sizeof(state_dir), "%s/state", w->dir);
        assert_int_equal(audit_open(&a, &config, &findings), 0);
        audit_findings_deinit(&findings);
        for (size_t i = 0; i < n; i++) {
                AuditRecord r = { .event = lines[i].event,
                                  .incident = lines[i].incident,
                                  .service = "imc",
                                  .wall = (UINT64_C(1795356000) + audit_head(a)->seq) * USEC_PER_SEC,
                                  .members =
                                          lines[i].members ? json_loads(lines[i].members, 0, NULL) : NULL };
                json_t *j;

                assert_true(!lines[i].members || r.members);
                j = audit_record_new(&r, "0123", "mail");
                assert_int_equal(audit_append(a, &j, 1, audit_head(a)->commit + 1), 0);
                json_decref(j);
        }
        audit_free(a);
}

#define CULPRIT                                                                                              \
        "{\"id\":\"m4\",\"store\":\"in\",\"quarantine\":\"q1\",\"weight\":8.5,\"evidence\":[\"held_open\"]," \
        "\"maybe_repeated\":true,\"files\":[{\"path\":\"/spool/In/m4\",\"type\":\"file\",\"size\":512,"      \
        "\"mode\":\"0640\",\"uid\":8,\"gid\":12,\"mtime\":\"2026-11-22T13:00:00.000000000Z\",\"inode\":7,"   \
        "\"sha256\":\"ab\"}]}"

/* One incident that recovered, as the engine writes it, and one that is open. */
static inline void world_incidents(World *w)
{
        static const Line lines[] = {
                { AUDIT_DAEMON_STARTED, NULL, NULL },
                { AUDIT_INCIDENT_OPENED, "20261122T140001-imc",
                  "{\"reason\":\"confirmed\",\"data\":{\"symptom\":\"stalled\",\"detail\":\"7 messages wait, "
                  "none moved for 2min\","
                  "\"claimed\":false}}" },
                { AUDIT_STATE, "20261122T140001-imc",
                  "{\"from\":\"suspect\",\"to\":\"diagnosing\",\"reason\":\"confirmed\"}" },
                { AUDIT_EVIDENCE, "20261122T140001-imc",
                  "{\"data\":{\"time\":\"2026-11-22T14:00:02.000000Z\",\"processes\":[{\"pid\":4711,"
                  "\"state\":\"S\","
                  "\"name\":\"imcd\",\"command\":\"imcd "
                  "\\u001b[31m--root\",\"wchan\":\"pipe_read\",\"syscall\":\"0\",\"cpu_ms\":120,"
                  "\"outside\":false,\"stranger\":false,\"files\":[{\"fd\":3,\"path\":\"/spool/In/"
                  "m4\",\"write\":false,"
                  "\"deleted\":false}]}],\"lines\":[{\"time\":\"2026-11-22T13:58:00.000000Z\",\"text\":"
                  "\"delivering m4\"}],"
                  "\"incomplete\":false,\"note\":null}}" },
                { AUDIT_INTENT, "20261122T140001-imc", "{\"action\":\"kill\",\"data\":{\"action_seq\":2}}" },
                { AUDIT_OUTCOME, "20261122T140001-imc",
                  "{\"action\":\"kill\",\"result\":\"done\",\"data\":{\"action_seq\":2}}" },
                { AUDIT_TRIAL_STARTED, "20261122T140001-imc",
                  "{\"data\":{\"trial\":1,\"rung\":\"suspects\",\"held\":1}}" },
                { AUDIT_TRIAL_FINISHED, "20261122T140001-imc",
                  "{\"data\":{\"trial\":1,\"rung\":\"suspects\",\"outcome\":\"healthy\",\"departed\":6,"
                  "\"duration_ms\":5000,"
                  "\"failure\":null}}" },
                { AUDIT_MESSAGE_QUARANTINED, "20261122T140001-imc", "{\"data\":" CULPRIT "}" },
                { AUDIT_INCIDENT_CLOSED, "20261122T140001-imc",
                  "{\"reason\":\"healthy\",\"data\":{\"result\":\"recovered\",\"culprits\":[" CULPRIT
                  "],\"trials\":1,\"crashes\":0,"
                  "\"duration_ms\":65000,\"outage_ms\":9000,\"ledger\":{\"before\":7,\"arrived\":1,"
                  "\"untouched\":0,"
                  "\"restored\":1,\"quarantined\":1,\"consumed\":6,\"held\":0,\"unaccounted\":0},"
                  "\"maybe_repeated\":[\"m5\"],\"oldest_expires\":\"2026-11-27T13:00:00.000000Z\","
                  "\"next\":[\"unjamctl quarantine list\"],\"held\":[],\"would_have\":[]}}" },
                { AUDIT_INCIDENT_OPENED, "20261123T090000-imc",
                  "{\"reason\":\"confirmed\",\"data\":{\"symptom\":\"crashed\",\"detail\":\"signal "
                  "11\",\"claimed\":false}}" },
                { AUDIT_STATE, "20261123T090000-imc",
                  "{\"from\":\"suspect\",\"to\":\"isolating\",\"reason\":\"next_rung\"}" },
        };

        world_record(w, lines, ELEMENTSOF(lines));
}

static inline void world_mkdir(const World *w, const char *name)
{
        char path[160];

        snprintf(path, sizeof(path), "%s/%s", w->dir, name);
        assert_int_equal(mkdir(path, 0700), 0);
}

static inline void world_file(const World *w, const char *name, const char *text)
{
        char path[160];

        snprintf(path, sizeof(path), "%s/%s", w->dir, name);
        fixture_write(path, text, strlen(text));
}

/* Two messages in quarantine, and folders that are none. */
static inline void world_quarantine(World *w)
{
        static const char *const dirs[] = { "hold",
                                            "hold/quarantine",
                                            "hold/quarantine/q1",
                                            "hold/quarantine/q2",
                                            "hold/quarantine/q3.tmp",
                                            "hold/quarantine/empty" };

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++)
                world_mkdir(w, dirs[i]);
        world_file(w, "hold/quarantine/q1/message.json",
                   "{\"v\":1,\"id\":\"m4\",\"store\":\"in\",\"service\":\"imc\",\"incident\":"
                   "\"20261122T140001-imc\","
                   "\"quarantined_at\":\"2099-11-22T14:01:00.000000Z\",\"evidence\":[\"held_open\"],"
                   "\"weight\":8.5,"
                   "\"maybe_repeated\":true,\"files\":[{\"path\":\"/spool/In/"
                   "m4\",\"type\":\"file\",\"size\":512,"
                   "\"mode\":\"0640\",\"uid\":8,\"gid\":12,\"mtime\":\"2099-11-22T13:00:00.000000000Z\","
                   "\"inode\":7,"
                   "\"sha256\":\"ab\"}]}");
        world_file(
                w, "hold/quarantine/q2/message.json",
                "{\"v\":1,\"id\":\"old\\u001b[2J\",\"store\":\"in\",\"service\":\"imc\",\"incident\":\"i0\","
                "\"quarantined_at\":\"2020-01-01T00:00:00.000000Z\",\"evidence\":[],\"files\":[{\"path\":\"/"
                "spool/In/old\","
                "\"type\":\"fifo\",\"size\":0,\"mode\":\"0600\",\"uid\":0,\"gid\":0,"
                "\"mtime\":\"2020-01-01T00:00:00.000000000Z\",\"inode\":8,\"sha256\":null}]}");
        world_file(w, "hold/quarantine/q3.tmp/message.json", "{\"id\":\"x\",\"service\":\"imc\"}");
}

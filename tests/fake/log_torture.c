/*
 * log_torture - rotations of all kinds under load, with kill -9 of the reader
 *
 * The parent writes numbered lines, between other ones, and rotates: by renaming down a chain, with the
 * writer going on in the old file for a while, to dated names, by copy and truncation (with a writer that
 * appends, and with one that leaves a hole), by deletion and re-creation, with compression of what was
 * rotated. The child runs observe/logfile with its state on disk and appends what it hears to a file, each
 * report with one write().
 *
 * What nobody could do is not asked for: a file is deleted or compressed only when its lines have been
 * reported, and nothing is written between copytruncate's copy and its truncation.
 */
#include "fake/log_torture.h"

#include "base/cleanup.h"
#include "observe/logfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CHAIN     6
#define LINES_MAX 2000000
#define PATIENCE  (20 * USEC_PER_SEC)

typedef struct Torture {
        LogTortureConfig config;
        LogTortureResult result;
        char dir[64], log[128], state[128], output[128];
        uint64_t random;
        int fd; /* the writer's */
        bool holes;
        uint64_t next;            /* line number */
        uint64_t last[CHAIN + 1]; /* the last line in each file of the chain, + 1 */
        unsigned dated;
        pid_t child;
        unsigned life;
        /* What was heard. */
        FILE *heard;
        char **cursors; /* by line number */
        unsigned *lives;
        uint64_t n_heard;
        uint64_t acked; /* all lines below it were heard */
        int error;
} Torture;

static uint64_t rnd(Torture *t, uint64_t n)
{
        t->random ^= t->random << 13;
        t->random ^= t->random >> 7;
        t->random ^= t->random << 17;
        return t->random % n;
}

/* --- the child --- */

typedef struct Child {
        int output;
        unsigned life;
} Child;

static void child_hears(void *userdata, size_t service, const Observation *o)
{
        const Child *c = userdata;
        char line[1024];
        int n;

        (void)service;
        n = snprintf(line, sizeof(line), "%u %d %s %.300s\n", c->life, (int)o->log.kind,
                     o->log.cursor ? o->log.cursor : "-", o->log.text);
        if (write(c->output, line, (size_t)n) != n)
                _exit(3);
}

static int child_run(const Torture *t)
{
        static RuleSettings rule = { .name = (char *)"numbered", .source = RULE_SOURCE_FILE, .count = 1 };
        ServiceSettings settings = { .name = (char *)"t", .rules = &rule, .n_rules = 1 };
        Child c = { .life = t->life };
        SourceContext context = { .sink = { child_hears, &c }, .settings = &settings };
        LogReaderSpec spec = { .state_dir = t->state, .disk = disk_posix(), .line_max = 64 * 1024 };
        LogReader *reader;
        Source *source;

        rule.path = (char *)t->log;
        rule.match = (char *)"^NUMBER [0-9]+ ";
        c.output = open(t->output, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (c.output < 0 || sd_event_new(&context.event) < 0 ||
            worker_new(&spec.worker, context.event, "logs") < 0)
                return 2;
        spec.event = context.event;
        if (log_reader_new(&reader, &spec) < 0 || logfile_source_new(&source, &context, reader) < 0 ||
            source_start(source) < 0)
                return 2;
        return sd_event_loop(context.event) < 0 ? 2 : 0;
}

static void child_start(Torture *t)
{
        t->life++;
        t->child = fork();
        if (t->child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(child_run(t));
        }
        if (t->child < 0)
                t->error = -errno;
}

static void child_kill(Torture *t)
{
        if (t->child <= 0)
                return;
        kill(t->child, SIGKILL);
        waitpid(t->child, NULL, 0);
        t->child = 0;
}

/* --- what was heard --- */

static void fault(Torture *t, uint64_t *count, const char *what, uint64_t line)
{
        if (++*count == 1 && !t->result.note[0])
                snprintf(t->result.note, sizeof(t->result.note), "%s: line %llu", what,
                         (unsigned long long)line);
}

static void heard_line(Torture *t, unsigned life, const char *cursor, unsigned long long number)
{
        if (number >= t->next) {
                fault(t, &t->result.foreign, "never written", number);
        } else if (!t->cursors[number]) {
                t->cursors[number] = strdup(cursor);
                t->lives[number] = life;
                t->n_heard++;
        } else if (strcmp(t->cursors[number], cursor) != 0 || t->lives[number] == life) {
                fault(t, &t->result.doubled, "doubled", number);
        } else {
                t->result.again++;
                t->lives[number] = life;
        }
        while (t->acked < t->next && t->cursors[t->acked])
                t->acked++;
}

static void hear(Torture *t)
{
        char line[1024], cursor[256];
        unsigned long long number;
        unsigned life;
        int kind, at;

        if (!t->heard)
                t->heard = fopen(t->output, "re");
        if (!t->heard)
                return;
        clearerr(t->heard);
        for (;;) {
                long here = ftell(t->heard);

                if (!fgets(line, sizeof(line), t->heard) || !strchr(line, '\n')) {
                        (void)fseek(t->heard, here, SEEK_SET);
                        return;
                }
                if (sscanf(line, "%u %d %255s %n", &life, &kind, cursor, &at) != 3)
                        continue;
                if (kind == LOG_GAP) {
                        t->result.gaps++;
                        if (!t->result.note[0])
                                snprintf(t->result.note, sizeof(t->result.note), "%.200s", line + at);
                } else if (sscanf(line + at, "NUMBER %llu ", &number) == 1) {
                        heard_line(t, life, cursor, number);
                }
        }
}

/* Waits until all lines below @line were heard; starts the child for that if there is none. */
static void wait_heard(Torture *t, uint64_t line)
{
        usec_t end = now_read().mono + PATIENCE;

        if (!t->child)
                child_start(t);
        for (hear(t); t->acked < line && !t->error; hear(t)) {
                if (now_read().mono > end) {
                        t->error = -ETIMEDOUT;
                        snprintf(t->result.note, sizeof(t->result.note), "line %llu of %llu was not heard",
                                 (unsigned long long)t->acked, (unsigned long long)line);
                        break;
                }
                usleep(1000);
        }
}

/* --- the writer --- */

static void writer_open(Torture *t)
{
        closep(&t->fd);
        t->fd = open(t->log, O_WRONLY | O_CREAT | O_CLOEXEC | (t->holes ? 0 : O_APPEND), 0600);
        if (t->fd < 0)
                t->error = -errno;
        else if (t->holes)
                (void)lseek(t->fd, 0, SEEK_END);
}

static void put(Torture *t, const char *text, size_t len)
{
        if (write(t->fd, text, len) != (ssize_t)len)
                t->error = -EIO;
}

static void write_lines(Torture *t, unsigned n)
{
        for (unsigned i = 0; i < n && t->next < LINES_MAX; i++) {
                char line[256];
                int len = snprintf(
                        line, sizeof(line), "NUMBER %llu of seed %llu %.*s\n", (unsigned long long)t->next,
                        (unsigned long long)t->config.seed, (int)rnd(t, 80),
                        "the quick brown fox jumps over the lazy dog and is gone before anybody looks up");
                size_t part = rnd(t, 10) == 0 ? rnd(t, (uint64_t)len) : 0;

                put(t, line, part); /* some lines come in two parts */
                if (part > 0 && rnd(t, 2))
                        usleep((useconds_t)rnd(t, 2000));
                t->next++;
                put(t, line + part, (size_t)len - part);
                if (rnd(t, 3) == 0)
                        put(t, "another line that says nothing\n", 31);
        }
}

/* --- rotations --- */

static const char *chain_name(const Torture *t, char *buf, size_t size, unsigned k)
{
        snprintf(buf, size, k ? "%s.%u" : "%s", t->log, k);
        return buf;
}

/* log.1 becomes log.2 ...; the last one goes, when it was read. */
static void chain_shift(Torture *t)
{
        char a[160], b[160];

        if (t->last[CHAIN] > 0)
                wait_heard(t, t->last[CHAIN]);
        (void)unlink(chain_name(t, a, sizeof(a), CHAIN));
        for (unsigned k = CHAIN; k > 1; k--) {
                (void)rename(chain_name(t, a, sizeof(a), k - 1), chain_name(t, b, sizeof(b), k));
                t->last[k] = t->last[k - 1];
        }
        t->last[1] = t->next;
}

static void rotate_rename(Torture *t, bool late)
{
        char to[160];

        chain_shift(t);
        if (rename(t->log, chain_name(t, to, sizeof(to), 1)) < 0)
                t->error = -errno;
        if (late) /* the server has not been told yet */
                write_lines(t, (unsigned)rnd(t, 5));
        t->last[1] = t->next;
        writer_open(t);
}

static void rotate_dated(Torture *t)
{
        char to[160];

        snprintf(to, sizeof(to), "%s-2026%04u", t->log, t->dated++);
        if (rename(t->log, to) < 0)
                t->error = -errno;
        writer_open(t);
        if (t->dated >= 10) {
                wait_heard(t, t->next);
                snprintf(to, sizeof(to), "%s-2026%04u", t->log, t->dated - 10);
                (void)unlink(to);
        }
}

static void rotate_copy(Torture *t)
{
        _cleanup_(closep) int from = open(t->log, O_RDONLY | O_CLOEXEC), to = -1;
        char name[160], buffer[4096];
        ssize_t n;

        chain_shift(t);
        to = open(chain_name(t, name, sizeof(name), 1), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        while ((n = read(from, buffer, 1 + rnd(t, sizeof(buffer)))) > 0) {
                if (write(to, buffer, (size_t)n) != n)
                        t->error = -EIO;
                if (rnd(t, 4) == 0)
                        usleep((useconds_t)rnd(t, 1000));
        }
        if (rnd(t, 2))
                usleep((useconds_t)rnd(t, 30000));
        if (truncate(t->log, 0) < 0)
                t->error = -errno;
}

static void rotate_delete(Torture *t)
{
        wait_heard(t, t->next);
        (void)unlink(t->log);
        writer_open(t);
}

static void compress(Torture *t)
{
        char from[160], to[192];
        int status = 0;
        pid_t pid;

        chain_name(t, from, sizeof(from), 2);
        if (t->last[2] == 0 || access(from, F_OK) < 0)
                return;
        wait_heard(t, t->last[2]);
        snprintf(to, sizeof(to), "%s.gz", from);
        (void)unlink(to);
        pid = fork();
        if (pid == 0) {
                execlp("gzip", "gzip", "-n", from, NULL);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                t->error = -errno;
}

static void rotate(Torture *t)
{
        switch (rnd(t, 9)) {
        case 0:
        case 1:
                rotate_rename(t, false);
                break;
        case 2:
                rotate_rename(t, true);
                break;
        case 3:
                rotate_dated(t);
                break;
        case 4:
        case 5:
        case 6:
                rotate_copy(t);
                break;
        case 7:
                rotate_delete(t);
                break;
        case 8:
                compress(t);
                rotate_rename(t, true);
                break;
        }
        t->result.rotations++;
        if (rnd(t, 40) == 0) {
                t->holes = !t->holes;
                writer_open(t);
        }
}

/* --- the whole --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

/* From its first state on, the reader may miss nothing; what was there before is history. */
static bool state_is_there(const Torture *t)
{
        DIR *d = opendir(t->state);
        bool found = false;
        struct dirent *e;

        while (d && (e = readdir(d)))
                found |= e->d_name[0] == 'l';
        if (d)
                closedir(d);
        return found;
}

static int torture_begin(Torture *t)
{
        usec_t end = now_read().mono + PATIENCE;
        char directory[128];

        snprintf(t->dir, sizeof(t->dir), "/tmp/unjam-torture-XXXXXX");
        if (!mkdtemp(t->dir))
                return -errno;
        snprintf(directory, sizeof(directory), "%.60s/log", t->dir);
        snprintf(t->log, sizeof(t->log), "%.60s/log/mail.log", t->dir);
        snprintf(t->state, sizeof(t->state), "%.60s/state", t->dir);
        snprintf(t->output, sizeof(t->output), "%.60s/output", t->dir);
        t->cursors = calloc(LINES_MAX, sizeof(*t->cursors));
        t->lives = calloc(LINES_MAX, sizeof(*t->lives));
        if (!t->cursors || !t->lives || mkdir(directory, 0700) < 0 || mkdir(t->state, 0700) < 0)
                return -ENOMEM;
        writer_open(t);
        put(t, "HISTORY, in the past\n", 21);
        child_start(t);
        while (!state_is_there(t) && !t->error) {
                if (now_read().mono > end)
                        return -ETIMEDOUT;
                usleep(1000);
        }
        return t->error;
}

static void torture_end(Torture *t)
{
        child_kill(t);
        hear(t);
        t->result.written = t->next;
        t->result.lost = t->next - t->n_heard;
        for (uint64_t i = 0; i < t->next && t->result.lost > 0 && !t->result.note[0]; i++)
                if (!t->cursors[i])
                        snprintf(t->result.note, sizeof(t->result.note), "lost: line %llu",
                                 (unsigned long long)i);
        for (uint64_t i = 0; t->cursors && i < t->next; i++)
                free(t->cursors[i]);
        free(t->cursors);
        free(t->lives);
        fclosep(&t->heard);
        closep(&t->fd);
        if (!getenv("UNJAM_TORTURE_KEEP"))
                nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        else
                fprintf(stderr, "kept: %s\n", t->dir);
}

int log_torture_run(const LogTortureConfig *config, LogTortureResult *ret)
{
        Torture t = { .config = *config,
                      .random = config->seed * UINT64_C(0x9e3779b97f4a7c15) | 1,
                      .fd = -1 };
        int r;

        t.error = torture_begin(&t);
        for (unsigned i = 0; i < config->rotations && t.error == 0; i++) {
                bool dies = (uint64_t)(i + 1) * config->kills / config->rotations > t.result.kills;

                write_lines(&t, (unsigned)rnd(&t, 30));
                if (dies) {
                        usleep((useconds_t)rnd(&t, 40000));
                        child_kill(&t);
                        t.result.kills++;
                        if (rnd(&t, 2)) /* it stays dead for this rotation, and perhaps the next ones */
                                write_lines(&t, (unsigned)rnd(&t, 10));
                        else
                                child_start(&t);
                }
                rotate(&t);
                if (t.child == 0 && rnd(&t, 2))
                        child_start(&t);
                if (rnd(&t, 8) == 0)
                        usleep((useconds_t)rnd(&t, 60000));
        }
        if (t.error == 0) {
                wait_heard(&t, t.next);
                t.error = t.error == -ETIMEDOUT ? 0 : t.error; /* then some are lost, and counted */
        }
        r = t.error;
        torture_end(&t);
        *ret = t.result;
        return r;
}

/*
 * bench-logs - log lines with twenty rules, beside ripgrep, monit and fail2ban-regex
 *
 * Makes a log of 500 MB (UNJAM_BENCH_LOG_MB) whose lines match a rule in one of 10,000, and then in 5 of 100,
 * with a generator that yields the same bytes for the same seed. Ours is the source's whole way from the file
 * to what it would report (observe/log_turn), without the state's fsync. That the same lines are found as by
 * pcre2grep is checked line by line. Peers read the same log with the same patterns; fail2ban-regex, which
 * would take minutes, a slice of it. A peer that is not installed has no row. Times are processor time, of
 * all alike: what else the machine does must not decide.
 *
 *     bench-logs generate FILE MEGABYTES PER_TEN_THOUSAND
 */
#include "base/cleanup.h"
#include "observe/log_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB 1000000.0

extern char **environ;

/* @ere: the same for regcomp(3), as monit takes it; NULL: no difference. */
typedef struct Rule {
        const char *match, *ere, *line; /* @line: what a line that matches says */
} Rule;

static const Rule set[] = {
        { "panic: ", NULL, "panic: rewrite: no route" },
        { "(?i:fatal error)", "[Ff][Aa][Tt][Aa][Ll] [Ee][Rr][Rr][Oo][Rr]",
          "Fatal Error in the delivery agent" },
        { "(?i:out of memory)", "[Oo][Uu][Tt] [Oo][Ff] [Mm][Ee][Mm][Oo][Rr][Yy]",
          "OUT OF MEMORY in cleanup" },
        { "(?i:segfault at)", "[Ss][Ee][Gg][Ff][Aa][Uu][Ll][Tt] [Aa][Tt]", "qmgr[71]: SegFault at 0" },
        { "(?i:disk full|no space left)",
          "([Dd][Ii][Ss][Kk] [Ff][Uu][Ll][Ll]|[Nn][Oo] [Ss][Pp][Aa][Cc][Ee] [Ll][Ee][Ff][Tt])",
          "write: No space left on device" },
        { "transport .* suspended", NULL, "transport smtp is suspended" },
        { "queue file write error", NULL, "warning: queue file write error" },
        { "terminated by signal [0-9]+", NULL, "process 812 terminated by signal 11" },
        { "exit status [1-9][0-9]*$", NULL, "process 813 exit status 75" },
        { "timeout after (?:DATA|END-OF-MESSAGE)", "timeout after (DATA|END-OF-MESSAGE)",
          "timeout after DATA" },
        { "too many (?:errors|connections) (?:after|from)", "too many (errors|connections) (after|from)",
          "too many errors after RCPT" },
        { "event[= ]4037", NULL, "event=4037 source=MSExchangeIMC" },
        { "corrupt(?:ed)? queue", "corrupt(ed)? queue", "skipping a corrupted queue file" },
        { "cannot (?:open|read|write) spool", "cannot (open|read|write) spool", "cannot read spool file" },
        { "lost connection with [^ ]+ while sending", NULL,
          "lost connection with mx.test[::1] while sending" },
        { "stuck in queue for [0-9]+ days", NULL, "stuck in queue for 12 days" },
        { "\\b5[0-9][0-9] 5\\.[0-9]\\.[0-9]", NULL,
          "said: 550 5.1.1 no such user" },                   /* no four bytes in a row */
        { "<[A-F]{3}>", NULL, "resource <ABC> is missing" },  /* nor here */
        { "![0-9]{3}!", NULL, "code !042! from the filter" }, /* nor here */
        { "deadlock detected", NULL, "deadlock detected in the lookup table" },
};

static RuleSettings rules[ELEMENTSOF(set)];
static char dir[64] = "/tmp/unjam-bench-logs-XXXXXX";

static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_of(const struct rusage *u)
{
        return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
               (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

/* --- the log --- */

static uint64_t random_state;

static unsigned pick(unsigned n)
{
        random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned)(random_state >> 33) % n;
}

/* What a mail server says all day. */
static int line_usual(char *buf, size_t size, unsigned long n)
{
        unsigned pid = 1000 + pick(9000), queue = pick(1u << 28);
        int at = snprintf(buf, size, "2026-11-28T%02lu:%02lu:%02lu.%06u mail postfix/", n / 36000 % 24,
                          n / 600 % 60, n / 10 % 60, pick(1000000));
        char *p = buf + at;

        size -= (size_t)at;
        switch (pick(6)) {
        case 0:
                return at + snprintf(p, size, "smtpd[%u]: connect from mail%u.example.org[192.0.2.%u]", pid,
                                     pick(90), pick(256));
        case 1:
                return at + snprintf(p, size, "smtpd[%u]: %07X: client=mail%u.example.org[192.0.2.%u]", pid,
                                     queue, pick(90), pick(256));
        case 2:
                return at + snprintf(p, size, "cleanup[%u]: %07X: message-id=<%u.%u.%u@example.org>", pid,
                                     queue, pick(1u << 30), pick(1000), pick(100));
        case 3:
                return at +
                       snprintf(p, size,
                                "qmgr[%u]: %07X: from=<user%u@example.org>, size=%u, nrcpt=%u (queue active)",
                                pid, queue, pick(5000), pick(90000), 1 + pick(4));
        case 4:
                return at + snprintf(p, size,
                                     "smtp[%u]: %07X: to=<user%u@example.net>, "
                                     "relay=mx.example.net[198.51.100.%u]:25, "
                                     "delay=%u.%u, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %07X)",
                                     pid, queue, pick(5000), pick(256), pick(9), pick(100), pick(1u << 28));
        }
        return at + snprintf(p, size,
                             "smtpd[%u]: disconnect from mail%u.example.org[192.0.2.%u] ehlo=1 mail=1 "
                             "rcpt=1 data=1 quit=1 commands=5",
                             pid, pick(90), pick(256));
}

static int generate(const char *path, double bytes, unsigned per_ten_thousand)
{
        _cleanup_(fclosep) FILE *f = fopen(path, "we");
        const char *seed = getenv("UNJAM_BENCH_SEED");
        double written = 0;
        char line[512];

        if (!f)
                return -errno;
        random_state = seed ? strtoull(seed, NULL, 10) : 1;
        for (unsigned long n = 0; written < bytes; n++) {
                int len = line_usual(line, sizeof(line) - 2, n);

                if (pick(10000) < per_ten_thousand) {
                        len = len < 40 ? len : 40;
                        len += snprintf(line + len, sizeof(line) - 42, " %s",
                                        set[pick(ELEMENTSOF(set))].line);
                }
                line[len++] = '\n';
                if (fwrite(line, (size_t)len, 1, f) != 1)
                        return -EIO;
                written += len;
        }
        return 0;
}

/* "DIR/NAME", which stays as long as the program. */
static const char *in_dir(const char *name)
{
        static char paths[32][128];

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                if (!paths[i][0])
                        snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, name);
                if (strcmp(paths[i] + strlen(dir) + 1, name) == 0)
                        return paths[i];
        }
        return NULL;
}

static double file_size(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? (double)st.st_size : 0;
}

/* --- ours --- */

typedef struct Found {
        double seconds;
        unsigned long hits, lines;
        unsigned long of[ELEMENTSOF(set)];
} Found;

static int turn(LogPlace *p, FILE *out, Found *f, char last[64], bool look)
{
        LogTurn *t = calloc(1, sizeof(*t));
        int more;

        t->place = p;
        t->look = look;
        if (log_turn_run(&t->job) < 0)
                return -EIO;
        for (size_t i = 0; i < t->hits.n; i++) {
                const LogHit *h = &t->hits.list[i];
                const char *at = h->cursor ? strstr(h->cursor, ";o=") : "";

                if (h->kind != LOG_MATCHES)
                        continue;
                f->hits++;
                f->of[h->rule]++;
                if (strcmp(at, last) != 0) { /* a line that several rules match is one line */
                        snprintf(last, 64, "%s", at);
                        f->lines++;
                        if (out)
                                fprintf(out, "%s\n", h->text);
                }
        }
        more = t->more;
        log_turn_free(t);
        return more;
}

/* Follows a log that was empty, and is the one at @path now. */
static int ours(const char *path, const char *output, Found *ret)
{
        ServiceSettings settings = { .name = (char *)"bench", .rules = rules, .n_rules = ELEMENTSOF(rules) };
        LogSpec spec = { .settings = &settings, .path = in_dir("followed.log"), .line_max = 1 << 20 };
        _cleanup_(fclosep) FILE *out = output ? fopen(output, "we") : NULL, *empty = fopen(spec.path, "we");
        char last[64] = "";
        LogPlace *p;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                rules[i].path = (char *)spec.path;
        if (!empty || log_watch_new(&spec.watch) < 0 || log_place_new(&p, &spec) < 0)
                return -ENOMEM;
        *ret = (Found){};
        while ((r = turn(p, NULL, ret, last, true)) > 0)
                ;
        if (r < 0 || rename(spec.path, in_dir("followed.log.1")) < 0 || link(path, spec.path) < 0)
                return -EIO;
        ret->seconds = cpu_now();
        r = turn(p, out, ret, last, true);
        while (r > 0)
                r = turn(p, out, ret, last, false);
        ret->seconds = cpu_now() - ret->seconds;
        log_place_free(p);
        log_watch_unref(spec.watch);
        (void)unlink(in_dir("followed.log"));
        (void)unlink(in_dir("followed.log.1"));
        return r;
}

/* --- peers --- */

/* Runs a program with its output in @output. Return: its processor time, or -1 if it could not be run. */
static double run(char *const argv[], const char *output)
{
        posix_spawn_file_actions_t files;
        struct rusage used;
        int status;
        pid_t pid;

        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
        status = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&files);
        if (status != 0 || wait4(pid, &status, 0, &used) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
                return -1;
        return cpu_of(&used);
}

static void patterns_write(const char *path)
{
        _cleanup_(fclosep) FILE *f = fopen(path, "we");

        for (size_t i = 0; f && i < ELEMENTSOF(set); i++)
                fprintf(f, "%s\n", set[i].match);
}

static double ripgrep(const char *path)
{
        char *argv[] = { (char *)"rg", (char *)"--no-config",      (char *)"-a", (char *)"-N",
                         (char *)"-f", (char *)in_dir("patterns"), (char *)path, NULL };

        return run(argv, in_dir("rg.out"));
}

/* Is what we found, line by line, what pcre2grep finds? -1: it is not there. */
static int same_as_pcre2grep(const char *path, const char *found)
{
        char *argv[] = { (char *)"pcre2grep", (char *)"-f", (char *)in_dir("patterns"), (char *)path, NULL };
        char *cmp[] = { (char *)"cmp", (char *)found, (char *)in_dir("pcre2grep.out"), NULL };

        if (run(argv, in_dir("pcre2grep.out")) < 0)
                return -1;
        return run(cmp, in_dir("cmp.out")) >= 0 && file_size(in_dir("cmp.out")) == 0;
}

/* And rule by rule: how many rules count otherwise than pcre2grep? */
static int rules_that_differ(const char *path, const Found *f)
{
        int n = 0;

        for (size_t i = 0; i < ELEMENTSOF(set); i++) {
                char *argv[] = { (char *)"pcre2grep",  (char *)"-c", (char *)"-e",
                                 (char *)set[i].match, (char *)path, NULL };
                char text[32] = "";

                if (run(argv, in_dir("count")) < 0)
                        return -1;
                FILE *c = fopen(in_dir("count"), "re");
                n += !c || !fgets(text, sizeof(text), c) || strtoul(text, NULL, 10) != f->of[i];
                fclosep(&c);
        }
        return n;
}

static void monit_configure(const char *rc, const char *log)
{
        _cleanup_(fclosep) FILE *f = fopen(rc, "we");

        if (!f)
                return;
        (void)fchmod(fileno(f), 0600);
        fprintf(f, "set daemon 1\nset pidfile %s\nset statefile %s\nset idfile %s\nset logfile %s\n",
                in_dir("monit.pid"), in_dir("monit.state"), in_dir("monit.id"), in_dir("monit.log"));
        fprintf(f, "check file big with path %s\n", log);
        for (size_t i = 0; i < ELEMENTSOF(set); i++)
                fprintf(f, "  if content = \"%s\" then alert\n", set[i].ere ? set[i].ere : set[i].match);
}

/* How much the process has read so far. */
static double bytes_read(pid_t pid)
{
        char path[64], line[128];
        double n = 0;

        snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
        _cleanup_(fclosep) FILE *f = fopen(path, "re");
        if (f && fgets(line, sizeof(line), f))
                n = strtod(line + strcspn(line, "0123456789"), NULL);
        return n;
}

/* The processor time that the process has taken so far. */
static double cpu_taken(pid_t pid)
{
        char path[64], line[1024], *p;
        unsigned long user = 0, sys = 0;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        _cleanup_(fclosep) FILE *f = fopen(path, "re");
        if (f && fgets(line, sizeof(line), f) && (p = strrchr(line, ')')))
                (void)sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
        return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

/* A running monit finds that the log has become @path. Return: the processor time of reading it. */
static double monit(const char *path)
{
        const char *log = in_dir("monit-content.log");
        char *argv[] = { (char *)"monit", (char *)"-I", (char *)"-c", (char *)in_dir("monitrc"), NULL };
        double size = file_size(path), begin, end = -1, base, limit = now() + 180;
        _cleanup_(fclosep) FILE *f = fopen(log, "we");
        posix_spawn_file_actions_t quiet;
        pid_t pid;
        int r;

        monit_configure(argv[3], log);
        posix_spawn_file_actions_init(&quiet);
        posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
        r = posix_spawnp(&pid, "monit", &quiet, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&quiet);
        if (r != 0)
                return -1;
        usleep(3000000);
        base = bytes_read(pid);
        begin = cpu_taken(pid);
        char *copy[] = { (char *)"cp", (char *)path, (char *)log, NULL };
        run(copy, "/dev/null");
        while (end < 0 && now() < limit && kill(pid, 0) == 0 && waitpid(pid, NULL, WNOHANG) == 0) {
                double n = bytes_read(pid) - base;

                if (n >= 0.99 * size)
                        end = cpu_taken(pid);
                usleep(10000);
        }
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
        (void)unlink(log);
        return end > 0 ? end - begin : -1;
}

static double fail2ban(const char *slice)
{
        char *argv[] = { (char *)"fail2ban-regex", (char *)slice, (char *)in_dir("filter.conf"), NULL };
        FILE *f = fopen(argv[2], "we");

        if (!f)
                return -1;
        fprintf(f, "[Definition]\nfailregex =");
        for (size_t i = 0; i < ELEMENTSOF(set); i++)
                fprintf(f, " <F-ID>(?:%s)</F-ID>\n           ", set[i].match);
        fprintf(f, "\n");
        fclose(f);
        return run(argv, in_dir("fail2ban.out"));
}

/* --- rows --- */

static void row(const char *name, double value, const char *peer, double peer_value, double goal)
{
        double ratio = peer_value > 0 ? value / peer_value : 0;

        printf("{\"bench\": \"logs\", \"row\": \"%s\", \"value\": %.4g, \"unit\": \"MB/s\"", name, value);
        if (peer)
                printf(", \"peer\": \"%s\", \"peer_value\": %.4g, \"ratio\": %.4g", peer, peer_value, ratio);
        if (goal > 0)
                printf(", \"goal\": \"%s >= %g\", \"pass\": %s", peer ? "ratio" : "MB/s", goal,
                       (peer ? ratio : value) >= goal ? "true" : "false");
        printf("}\n");
        fflush(stdout);
}

static void peer_row(const char *share, const char *peer, double value, double peer_value, double goal)
{
        char name[128];

        if (peer_value <= 0)
                return;
        snprintf(name, sizeof(name), "%s of the lines match, beside %s", share, peer);
        row(name, value, peer, peer_value, goal);
}

static void equal_row(const char *share, const char *what, int differ)
{
        if (differ < 0)
                return;
        printf("{\"bench\": \"logs\", \"row\": \"%s of the lines match: %s\", \"value\": %d, \"unit\": "
               "\"differ\", "
               "\"peer\": \"pcre2grep\", \"goal\": 0, \"pass\": %s}\n",
               share, what, differ, differ == 0 ? "true" : "false");
        fflush(stdout);
}

static double best_ours(const char *log, Found *f)
{
        double best = INFINITY;

        for (unsigned i = 0; i < 3; i++) {
                if (ours(log, i == 0 ? in_dir("found") : NULL, f) < 0)
                        return 0;
                best = i > 0 && f->seconds < best ? f->seconds
                                                  : best; /* the first fills the cache and writes */
        }
        return file_size(log) / MB / best;
}

static void measure(double megabytes, unsigned per_ten_thousand, const char *share, bool rare)
{
        const char *log = in_dir("big.log"), *slice = in_dir("slice.log");
        double speed, best = INFINITY, t, size;
        char name[64];
        Found f;

        if (generate(log, megabytes * MB, per_ten_thousand) < 0 ||
            generate(slice, 5 * MB, per_ten_thousand) < 0)
                return;
        size = file_size(log) / MB;
        speed = best_ours(log, &f);
        snprintf(name, sizeof(name), "%s of the lines match", share);
        row(name, speed, NULL, 0, rare ? 500 : 0);
        t = same_as_pcre2grep(log, in_dir("found"));
        equal_row(share, "lines found otherwise", t < 0 ? -1 : t == 0);
        equal_row(share, "rules that count otherwise", rules_that_differ(log, &f));
        for (unsigned i = 0; i < 3 && best > 0; i++)
                best = fmin(best, ripgrep(log));
        peer_row(share, "ripgrep", speed, best > 0 ? size / best : 0, 0.5);
        t = monit(log);
        peer_row(share, "monit", speed, t > 0 ? size / t : 0, 14);
        t = fail2ban(slice);
        peer_row(share, "fail2ban-regex", speed, t > 0 ? file_size(slice) / MB / t : 0, 50);
        (void)unlink(log);
}

int main(int argc, char **argv)
{
        const char *mb = getenv("UNJAM_BENCH_LOG_MB");
        char *clean[] = { (char *)"rm", (char *)"-rf", dir, NULL };

        if (argc == 5 && strcmp(argv[1], "generate") == 0)
                return generate(argv[2], strtod(argv[3], NULL) * MB, (unsigned)strtoul(argv[4], NULL, 10)) <
                       0;
        if (!mkdtemp(dir))
                return 1;
        for (size_t i = 0; i < ELEMENTSOF(set); i++)
                rules[i] = (RuleSettings){ .name = (char *)"rule",
                                           .source = RULE_SOURCE_FILE,
                                           .match = (char *)set[i].match,
                                           .count = 1 };
        patterns_write(in_dir("patterns"));
        measure(mb ? strtod(mb, NULL) : 500, 1, "0.01%", true);
        measure(mb ? strtod(mb, NULL) : 500, 500, "5%", false);
        (void)run(clean, "/dev/null");
        return 0;
}

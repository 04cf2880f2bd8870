/*
 * bench-journal - a journal of 1,000,000 entries, beside a bare sd_journal loop with the same matches
 *
 * Of the entries 10% are of the service's unit, and one in a thousand of those has EVENT_ID=4037; the rest is
 * of other units. Ours is the reader's whole way (observe/journal_turn) from the first entry to the last: by
 * unit and pattern, where every entry of the unit is looked at, and by unit and field, where the journal's
 * index selects. The bare loop takes MESSAGE of what its matches give, nothing more. Skipped where
 * systemd-journal-remote, which makes the journal, is not installed.
 */
#include "base/cleanup.h"
#include "observe/journal_turn.h"

#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REMOTE  "/usr/lib/systemd/systemd-journal-remote"
#define UNIT    "imc.service"
#define ENTRIES 1000000ul

extern char **environ;
static char dir[64] = "/tmp/unjam-bench-journal-XXXXXX";

/* Processor time: what the durable cursor waits for the disk is not the reading. */
static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int run(char *const argv[])
{
        int status;
        pid_t pid;

        return posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0 && waitpid(pid, &status, 0) == pid
                       ? status
                       : -1;
}

/* In export format, all of it within the last minutes: what is older counts as history. */
static int journal_make(unsigned long n)
{
        char export[128], output[128];
        char *argv[] = { (char *)REMOTE, output, export, NULL };
        usec_t wall = now_read().wall - 5 * USEC_PER_MIN;
        FILE *f;

        snprintf(export, sizeof(export), "%s/export", dir);
        snprintf(output, sizeof(output), "--output=%s/journal/a.journal", dir);
        f = fopen(export, "we");
        if (!f)
                return -1;
        for (unsigned long i = 0; i < n; i++) {
                bool ours = i % 10 == 3;

                fprintf(f, "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%lu\n",
                        (unsigned long long)(wall + i * 200), 1000 + i * 200);
                fprintf(f,
                        "_BOOT_ID=00112233445566778899aabbccddeeff\n_PID=%lu\nPRIORITY=6\n_TRANSPORT="
                        "syslog\n",
                        500 + i % 50);
                if (ours)
                        fprintf(f, "_SYSTEMD_UNIT=" UNIT "\n");
                else
                        fprintf(f, "_SYSTEMD_UNIT=other%lu.service\n", i % 19);
                if (i % 10000 == 3)
                        fprintf(f, "EVENT_ID=4037\n");
                fprintf(f,
                        "MESSAGE=%07lX: to=<user%lu@example.net>, delay=%lu, status=sent (250 2.0.0 Ok)\n\n",
                        i, i % 5000, i % 9);
        }
        fclose(f);
        setenv("SYSTEMD_LOG_LEVEL", "err", 1);
        return run(argv);
}

typedef struct Result {
        double seconds;
        unsigned long n;
} Result;

static int matches_bare(sd_journal *j, bool field)
{
        int r = sd_journal_add_match(j, "_SYSTEMD_UNIT=" UNIT, 0);

        return r >= 0 && field ? sd_journal_add_match(j, "EVENT_ID=4037", 0) : r;
}

static Result bare(bool field)
{
        char path[128];
        Result result = {};
        const void *data;
        sd_journal *j;
        size_t len;

        snprintf(path, sizeof(path), "%s/journal", dir);
        result.seconds = now();
        if (sd_journal_open_directory(&j, path, 0) < 0 || matches_bare(j, field) < 0)
                return result;
        SD_JOURNAL_FOREACH(j)
        result.n += sd_journal_get_data(j, "MESSAGE", &data, &len) == 0;
        sd_journal_close(j);
        result.seconds = now() - result.seconds;
        return result;
}

/* Leaves the cursor of the first entry of the unit as the place to go on from. */
static void cursor_make(void)
{
        char path[128], *cursor = NULL;
        sd_journal *j;
        FILE *f;

        snprintf(path, sizeof(path), "%s/journal", dir);
        if (sd_journal_open_directory(&j, path, 0) < 0)
                return;
        if (matches_bare(j, false) >= 0 && sd_journal_next(j) > 0)
                (void)sd_journal_get_cursor(j, &cursor);
        sd_journal_close(j);
        snprintf(path, sizeof(path), "%s/state/journal-cursor", dir);
        f = fopen(path, "we");
        if (f && cursor)
                fputs(cursor, f);
        fclosep(&f);
        free(cursor);
}

static Result ours(bool field)
{
        static char *units[] = { (char *)UNIT, NULL };
        RuleSettings rule = { .name = (char *)"rule", .count = 1 };
        ServiceSettings settings = { .rules = &rule, .n_rules = 1 };
        char journal[128], state[128];
        JournalInterest *interest;
        JournalPlace *place;
        Result result = {};
        bool more = true;

        if (field) {
                rule.field = (char *)"EVENT_ID";
                rule.equals = (char *)"4037";
        } else {
                rule.match = (char *)"terminated unexpectedly|panic: ";
        }
        cursor_make();
        snprintf(journal, sizeof(journal), "%s/journal", dir);
        snprintf(state, sizeof(state), "%s/state", dir);
        if (journal_interest_new(&interest, units, &settings, NULL, NULL) < 0 ||
            journal_place_new(&place, journal, state, disk_posix()) < 0)
                return result;
        result.seconds = now();
        for (bool first = true; more; first = false) {
                JournalTurn *t = calloc(1, sizeof(*t));

                *t = (JournalTurn){ .place = place, .fd = -1, .rematch = first, .n_interests = 1 };
                t->interests = calloc(1, sizeof(*t->interests));
                t->interests[0] = journal_interest_ref(interest);
                if (journal_turn_run(&t->job) < 0)
                        result.n = 0;
                for (size_t i = 0; i < t->n_hits; i++)
                        result.n += t->hits[i].kind == LOG_MATCHES;
                more = t->more;
                journal_turn_free(t);
        }
        result.seconds = now() - result.seconds;
        journal_place_free(place);
        journal_interest_unref(interest);
        return result;
}

static void measure(const char *name, bool field)
{
        double best = INFINITY, peer = INFINITY;
        Result mine = {}, theirs = {};

        for (unsigned i = 0; i < 5; i++) {
                theirs = bare(field);
                peer = fmin(peer, theirs.seconds);
                mine = ours(field);
                best = fmin(best, mine.seconds);
        }
        printf("{\"bench\": \"journal\", \"row\": \"%s: %lu entries, %lu found\", \"value\": %.4g, \"unit\": "
               "\"s\", "
               "\"peer\": \"bare loop\", \"peer_value\": %.4g, \"ratio\": %.4g, \"goal\": \"ratio <= 1.2\", "
               "\"pass\": %s}\n",
               name, theirs.n, mine.n, best, peer, best / peer, best / peer <= 1.2 ? "true" : "false");
        fflush(stdout);
}

int main(void)
{
        const char *n = getenv("UNJAM_BENCH_JOURNAL_ENTRIES");
        char path[128];
        char *clean[] = { (char *)"rm", (char *)"-rf", dir, NULL };

        if (access(REMOTE, X_OK) < 0) {
                fprintf(stderr, "skipped: systemd-journal-remote is not installed\n");
                return 0;
        }
        if (!mkdtemp(dir))
                return 1;
        snprintf(path, sizeof(path), "%s/journal", dir);
        (void)mkdir(path, 0700);
        snprintf(path, sizeof(path), "%s/state", dir);
        (void)mkdir(path, 0700);
        if (journal_make(n ? strtoul(n, NULL, 10) : ENTRIES) == 0) {
                measure("by unit and pattern", false);
                measure("by unit and field", true);
        }
        return run(clean) == 0 ? 0 : 1;
}

/*
 * journal, and journal_turn and journal_interest below it - on journal files made by systemd-journal-remote
 * from export text: rules, trust, resuming, rotation, gaps, floods. Skipped where that program is missing.
 */
#include "observe/journal.h"

#include "unit/observe_util.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define REMOTE "/usr/lib/systemd/systemd-journal-remote"

typedef struct Fixture {
        Watcher w;
        Worker *worker;
        JournalReader *reader;
        Source *source;
        char *dir, *state_dir, *export;
        const char *fields; /* further lines of each entry that is added */
        unsigned n_entries;
        usec_t wall;
} Fixture;

static RuleSettings rules[] = {
        { .name = (char *)"imc-4037", .field = (char *)"EVENT_ID", .equals = (char *)"4037", .count = 1 },
        { .name = (char *)"terminated", .match = (char *)"terminated unexpectedly", .count = 1 },
};
static char *units[] = { (char *)"imc.service", NULL };

static void reader_make(Fixture *f, bool keep)
{
        const JournalSpec spec = {
                .event = f->w.event,
                .worker = f->worker,
                .directory = f->dir,
                .state_dir = keep ? f->state_dir : NULL,
                .disk = keep ? disk_posix() : NULL,
        };

        assert_int_equal(journal_reader_new(&f->reader, &spec), 0);
        assert_int_equal(journal_source_new(&f->source, &f->w.context, NULL, f->reader), 0);
        assert_int_equal(source_start(f->source), 0);
}

/* Waits until no turn is under way: what has been written by now has been read. */
static void settle(Fixture *f)
{
        for (unsigned quiet = 0; quiet < 5;)
                quiet = watcher_turn(&f->w, 10 * USEC_PER_MSEC) > 0 ||
                                        worker_busy_since(f->worker) != USEC_INFINITY
                                ? 0
                                : quiet + 1;
}

static void reader_drop(Fixture *f)
{
        f->source = source_free(f->source);
        f->reader = journal_reader_free(f->reader);
        settle(f);
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        watcher_init(&f->w);
        f->dir = temp_new();
        f->state_dir = temp_new();
        f->export = strdup(in(f->state_dir, "export"));
        f->wall = now_read().wall;
        f->w.settings.rules = rules;
        f->w.settings.n_rules = ELEMENTSOF(rules);
        f->w.settings.units = units;
        assert_int_equal(worker_new(&f->worker, f->w.event, "journal"), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        if (f->reader)
                reader_drop(f);
        worker_free(f->worker);
        watcher_deinit(&f->w);
        free(f->export);
        temp_remove(f->dir);
        temp_remove(f->state_dir);
        free(f);
        return 0;
}

/* One entry in export format. @message may hold any bytes. */
static void entry_add(Fixture *f, const char *unit, const char *event_id, const char *message)
{
        uint64_t len = htole64(strlen(message));
        FILE *out = fopen(f->export, "ae");

        assert_non_null(out);
        f->n_entries++;
        fprintf(out, "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%u\n",
                (unsigned long long)(f->wall + f->n_entries), 1000 + f->n_entries);
        fprintf(out, "_BOOT_ID=00112233445566778899aabbccddeeff\n_PID=%u\nPRIORITY=3\n", 500 + f->n_entries);
        if (unit)
                fprintf(out, "_SYSTEMD_UNIT=%s\n", unit);
        if (event_id)
                fprintf(out, "EVENT_ID=%s\n", event_id);
        if (f->fields)
                fputs(f->fields, out);
        fputs("MESSAGE\n", out);
        assert_int_equal(fwrite(&len, sizeof(len), 1, out), 1);
        fprintf(out, "%s\n\n", message);
        assert_int_equal(fclose(out), 0);
}

/* Writes what was added to the journal file @name, after what is in it. */
static void journal_write(Fixture *f, const char *name)
{
        char *output;
        assert_true(asprintf(&output, "--output=%s", in(f->dir, name)) > 0);
        char *argv[] = { (char *)REMOTE, output, f->export, NULL };
        char *environment[] = { (char *)"SYSTEMD_LOG_LEVEL=err", NULL };
        int status;
        pid_t pid;

        assert_int_equal(posix_spawn(&pid, REMOTE, NULL, NULL, argv, environment), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(unlink(f->export), 0);
        free(output);
}

static const LogEntry *seen(const Fixture *f, size_t i)
{
        assert_true(i < f->w.n);
        return &f->w.seen[i].o.log;
}

static void test_rules(void **state)
{
        Fixture *f = *state;

        entry_add(f, "imc.service", "4037", "before anybody looked");
        journal_write(f, "a.journal");
        reader_make(f, false);
        settle(f);
        assert_int_equal(f->w.n, 0);

        entry_add(f, "imc.service", "4037", "a corrupt message");
        entry_add(f, "imc.service", "40370", "another event");
        entry_add(f, "other.service", "4037", "of somebody else: terminated unexpectedly");
        entry_add(f, NULL, "4037", "from nowhere: terminated unexpectedly");
        entry_add(f, "imc.service", NULL, "it terminated unexpectedly \xff\xfe");
        entry_add(f, "imc.service", "4037", "both: terminated unexpectedly");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 4);
        settle(f);
        assert_int_equal(f->w.n, 4);
        assert_int_equal(seen(f, 0)->rule, 0);
        assert_string_equal(f->w.seen[0].text, "a corrupt message");
        assert_int_equal(seen(f, 0)->pid, 502);
        assert_int_equal(seen(f, 0)->source, RULE_SOURCE_JOURNAL);
        assert_true(seen(f, 0)->wall >= f->wall);
        assert_int_equal(seen(f, 1)->rule, 1);
        assert_string_equal(f->w.seen[1].text, "it terminated unexpectedly \xef\xbf\xbd\xef\xbf\xbd");
        assert_int_equal(seen(f, 2)->rule, 0);
        assert_int_equal(seen(f, 3)->rule, 1);
}

/* What was written while nobody read is read afterwards, once; what is older than a few minutes
 * is history. */
static void test_resume(void **state)
{
        Fixture *f = *state;

        entry_add(f, "imc.service", "4037", "old");
        journal_write(f, "a.journal");
        reader_make(f, true);
        settle(f);
        entry_add(f, "imc.service", "4037", "first");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 1);
        /* The cursor is on disk within seconds; the first save is immediate. */
        watcher_until(&f->w, access(in(f->state_dir, "journal-cursor"), F_OK) == 0);
        reader_drop(f);

        entry_add(f, "imc.service", "4037", "meanwhile");
        journal_write(f, "a.journal");
        f->w.n = 0;
        reader_make(f, true);
        watcher_until(&f->w, f->w.n > 0 && strcmp(watcher_last(&f->w)->text, "meanwhile") == 0);
        settle(f);
        for (size_t i = 0; i < f->w.n; i++)
                assert_string_equal(f->w.seen[i].text, "meanwhile");
}

static void test_long_away(void **state)
{
        Fixture *f = *state;

        f->wall -= 3 * USEC_PER_HOUR;
        entry_add(f, "imc.service", "4037", "seen");
        journal_write(f, "a.journal");
        reader_make(f, true);
        settle(f);
        reader_drop(f);
        f->wall += USEC_PER_HOUR;
        entry_add(f, "imc.service", "4037", "two hours ago");
        f->wall += 2 * USEC_PER_HOUR;
        entry_add(f, "imc.service", "4037", "just now");
        journal_write(f, "a.journal");
        reader_make(f, true);
        watcher_until(&f->w, f->w.n > 0);
        settle(f);
        assert_int_equal(f->w.n, 2);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_string_equal(f->w.seen[1].text, "just now");
}

/* The file is put away and a new one begun; then the old one is vacuumed. */
static void test_rotation(void **state)
{
        Fixture *f = *state;

        entry_add(f, "imc.service", NULL, "begin");
        journal_write(f, "system.journal");
        reader_make(f, false);
        settle(f);
        assert_int_equal(rename(in(f->dir, "system.journal"), in(f->dir, "system@1.journal")), 0);
        entry_add(f, "imc.service", "4037", "after rotation");
        journal_write(f, "system.journal");
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(unlink(in(f->dir, "system@1.journal")), 0);
        settle(f);
        entry_add(f, "imc.service", "4037", "after vacuum");
        journal_write(f, "system.journal");
        watcher_until(&f->w, f->w.n == 2);
        assert_string_equal(f->w.seen[1].text, "after vacuum");
}

static void test_flood(void **state)
{
        Fixture *f = *state;

        entry_add(f, "imc.service", NULL, "begin");
        journal_write(f, "a.journal");
        reader_make(f, false);
        settle(f);
        for (unsigned i = 0; i < 3000; i++)
                entry_add(f, "imc.service", i % 1000 == 999 ? "4037" : "1", "flood");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 3);
}

/* Two services on one reader; one goes away. */
static void test_two_services(void **state)
{
        Fixture *f = *state;
        static char *other_units[] = { (char *)"other.service", NULL };
        ServiceSettings settings = f->w.settings;
        SourceContext context = f->w.context;
        Source *other;

        settings.n_rules = 1;
        context.settings = &settings;
        entry_add(f, "imc.service", NULL, "begin");
        journal_write(f, "a.journal");
        reader_make(f, false);
        assert_int_equal(journal_source_new(&other, &context, other_units, f->reader), 0);
        assert_int_equal(source_start(other), 0);
        settle(f);
        entry_add(f, "imc.service", "4037", "one");
        entry_add(f, "other.service", "4037", "two");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 2);
        source_free(other);
        entry_add(f, "other.service", "4037", "unheard");
        entry_add(f, "imc.service", "4037", "three");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 3);
        assert_string_equal(f->w.seen[2].text, "three");
}

static RuleSettings pattern_rules[] = {
        { .name = (char *)"stopped",
          .match = (char *)"^(?<id>\\w+): stopped by (?<pid>\\d+)$",
          .unless = (char *)"all fine",
          .captures = (char *[]){ (char *)"id", (char *)"pid", NULL },
          .count = 1 },
        { .name = (char *)"slow", .match = (char *)"(x+x+)+[yz]", .count = 1 },
};

/* What a line names, what it cancels; a text of several lines, a binary one, one that is longer than what is
 * matched, one that drives a pattern into its limit. */
static void test_captures_and_gaps(void **state)
{
        Fixture *f = *state;
        char *big = malloc(100001);

        f->w.settings.rules = pattern_rules;
        f->w.settings.n_rules = ELEMENTSOF(pattern_rules);
        entry_add(f, "imc.service", NULL, "begin");
        journal_write(f, "a.journal");
        reader_make(f, false);
        settle(f);
        entry_add(f, "imc.service", NULL, "M17: stopped by 4711");
        entry_add(f, "imc.service", NULL, "M18: stopped by 1\nand more");
        entry_add(f, "imc.service", NULL, "all fine\x01\xff\nagain");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 2);
        assert_int_equal(seen(f, 0)->kind, LOG_MATCHES);
        assert_int_equal(seen(f, 0)->pid, 4711);
        assert_string_equal(f->w.seen[0].id, "M17");
        assert_int_equal(seen(f, 1)->kind, LOG_CANCELS);
        assert_int_equal(seen(f, 1)->rule, 0);
        memset(big, 'x', 100000);
        big[100000] = '\0';
        entry_add(f, "imc.service", NULL, big);
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 4);
        assert_int_equal(seen(f, 2)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[2].text, "1 message(s) longer than 64 KiB"));
        assert_int_equal(seen(f, 3)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[3].text, "ran into a limit"));
        free(big);
}

/* What journald says of entries that it dropped counts only if journald said it. */
static void test_suppressed(void **state)
{
        Fixture *f = *state;

        entry_add(f, "imc.service", NULL, "begin");
        journal_write(f, "a.journal");
        reader_make(f, false);
        settle(f);
        f->fields = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\n_TRANSPORT=journal\n";
        entry_add(f, "other.service", NULL, "Suppressed 9 messages from imc.service");
        f->fields = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\n_TRANSPORT=driver\n";
        entry_add(f, "systemd-journald.service", NULL, "Suppressed 3 messages from other.service");
        entry_add(f, "systemd-journald.service", NULL, "Suppressed 17 messages from imc.service");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 1);
        settle(f);
        assert_int_equal(f->w.n, 1);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_string_equal(f->w.seen[0].text, "journal: Suppressed 17 messages from imc.service");
}

/* The entry at which reading ended is vacuumed while nobody reads. */
static void test_vacuum(void **state)
{
        Fixture *f = *state;

        entry_add(f, "imc.service", NULL, "begin");
        journal_write(f, "a.journal");
        reader_make(f, true);
        settle(f);
        entry_add(f, "imc.service", "4037", "first");
        journal_write(f, "a.journal");
        watcher_until(&f->w, f->w.n == 1);
        watcher_until(&f->w, access(in(f->state_dir, "journal-cursor"), F_OK) == 0);
        settle(f);
        reader_drop(f);
        assert_int_equal(unlink(in(f->dir, "a.journal")), 0);
        entry_add(f, "imc.service", "4037", "second");
        journal_write(f, "b.journal");
        f->w.n = 0;
        reader_make(f, true);
        watcher_until(&f->w, f->w.n == 2);
        settle(f);
        assert_int_equal(f->w.n, 2);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[0].text, "vacuumed"));
        assert_string_equal(f->w.seen[1].text, "second");
}

/* What was reported and saved is not reported again, whenever the reader ends. */
static void test_no_entry_twice(void **state)
{
        Fixture *f = *state;

        entry_add(f, "imc.service", NULL, "begin");
        journal_write(f, "a.journal");
        for (unsigned i = 0; i < 5; i++) {
                reader_make(f, true);
                settle(f);
                entry_add(f, "imc.service", "4037", "once");
                journal_write(f, "a.journal");
                watcher_until(&f->w, f->w.n == i + 1);
                settle(f);
                reader_drop(f);
        }
        reader_make(f, true);
        settle(f);
        assert_int_equal(f->w.n, 5);
}

static void test_bad_rule(void **state)
{
        Fixture *f = *state;
        static RuleSettings bad = { .name = (char *)"bad", .match = (char *)"(" };
        const JournalSpec spec = { .event = f->w.event, .worker = f->worker, .directory = f->dir };
        Source *source = NULL;

        f->w.settings.rules = &bad;
        f->w.settings.n_rules = 1;
        assert_int_equal(journal_reader_new(&f->reader, &spec), 0);
        assert_int_equal(journal_source_new(&source, &f->w.context, NULL, f->reader), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_rules),          TEST(test_resume),
                TEST(test_long_away),      TEST(test_rotation),
                TEST(test_flood),          TEST(test_two_services),
                TEST(test_bad_rule),       TEST(test_captures_and_gaps),
                TEST(test_suppressed),     TEST(test_vacuum),
                TEST(test_no_entry_twice),
        };

        if (access(REMOTE, X_OK) < 0) {
                fprintf(stderr, "skipped: systemd-journal-remote is not installed\n");
                return 9;
        }
        return cmocka_run_group_tests_name("observe/journal", tests, NULL, NULL);
}

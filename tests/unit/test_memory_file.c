/*
 * Tests of record/memory_file.c: what a log says after failures, torn ends and damage; and the recorder,
 * which makes block and snapshot durable together.
 */
#include "trail_helper.h"

#include "record/memory_file.h"
#include "record/recorder_disk.h"

#include <systemd/sd-event.h>

typedef struct Blocks {
        unsigned n;
        char text[256];
} Blocks;

static int on_block(void *userdata, const uint8_t *block, size_t len)
{
        Blocks *b = userdata;

        b->n++;
        strncat(b->text, (const char *)block, len);
        return 0;
}

static uint64_t end_of(uint64_t offset, const char *text)
{
        return offset + MEMORY_BLOCK_HEADER + strlen(text);
}

static int write_block(Fixture *f, int dirfd, uint64_t generation, uint64_t offset, const char *text)
{
        const MemoryWrite w = {
                .generation = generation, .offset = offset, .block = (uint8_t *)text, .len = strlen(text)
        };

        return memory_file_write(&f->flaky.disk, dirfd, "a/b", &w);
}

/* The text of all blocks up to @length, or NULL if they are damaged. */
static const char *read_blocks(int dirfd, uint64_t generation, uint64_t length)
{
        static Blocks b;
        int r;

        b = (Blocks){ 0 };
        r = memory_file_read(dirfd, "a/b", generation, length, on_block, &b);
        assert_true(r == 0 || r == -EBADMSG);
        return r == 0 ? b.text : NULL;
}

static int dir_of(const Fixture *f)
{
        int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void test_blocks_come_back_in_order(void **state)
{
        Fixture *f = *state;
        int dirfd = dir_of(f);

        assert_int_equal(write_block(f, dirfd, 1, 0, "one,"), 0);
        assert_int_equal(write_block(f, dirfd, 1, end_of(0, "one,"), "two"), 0);
        assert_string_equal(read_blocks(dirfd, 1, end_of(end_of(0, "one,"), "two")), "one,two");
        assert_string_equal(read_blocks(dirfd, 1, end_of(0, "one,")), "one,");
        /* More than there is, and another generation. */
        assert_null(read_blocks(dirfd, 1, 1000));
        assert_null(read_blocks(dirfd, 2, end_of(0, "one,")));
        close(dirfd);
}

static void test_a_torn_end_is_cut_off(void **state)
{
        Fixture *f = *state;
        uint64_t end = end_of(0, "whole");
        int dirfd = dir_of(f);

        assert_int_equal(write_block(f, dirfd, 1, 0, "whole"), 0);
        for (unsigned n = 1; n <= 4; n++) {
                f->flaky.calls = 0;
                f->flaky.fail_at = n;
                f->flaky.error = -ENOSPC;
                assert_int_equal(write_block(f, dirfd, 1, end, "a longer block that is torn"), -ENOSPC);
                f->flaky.fail_at = 0;
                assert_string_equal(read_blocks(dirfd, 1, end), "whole");
        }
        assert_int_equal(write_block(f, dirfd, 1, end, "+next"), 0);
        assert_string_equal(read_blocks(dirfd, 1, end_of(end, "+next")), "whole+next");
        /* Nothing is appended behind a hole. */
        assert_int_equal(write_block(f, dirfd, 1, 4000, "x"), -EBADMSG);
        close(dirfd);
}

static void test_damage_is_seen(void **state)
{
        Fixture *f = *state;
        uint64_t end = end_of(end_of(0, "one"), "two");
        int dirfd = dir_of(f), fd;

        assert_int_equal(write_block(f, dirfd, 3, 0, "one"), 0);
        assert_int_equal(write_block(f, dirfd, 3, end_of(0, "one"), "two"), 0);
        fd = openat(dirfd, "a%2Fb.memory-3", O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        for (uint64_t i = 0; i < end; i++) {
                char byte, other;

                assert_int_equal(pread(fd, &byte, 1, (off_t)i), 1);
                other = (char)(byte ^ 4);
                assert_int_equal(pwrite(fd, &other, 1, (off_t)i), 1);
                assert_null(read_blocks(dirfd, 3, end));
                assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
        }
        assert_string_equal(read_blocks(dirfd, 3, end), "onetwo");
        /* A whole block in the place of another. */
        assert_int_equal(write_block(f, dirfd, 4, 0, "one"), 0);
        assert_int_equal(renameat(dirfd, "a%2Fb.memory-4", dirfd, "a%2Fb.memory-3"), 0);
        assert_null(read_blocks(dirfd, 3, end_of(0, "one")));
        close(fd);
        close(dirfd);
}

static void test_older_generations_go(void **state)
{
        Fixture *f = *state;
        int dirfd = dir_of(f);

        assert_int_equal(write_block(f, dirfd, 1, 0, "1"), 0);
        assert_int_equal(write_block(f, dirfd, 2, 0, "2"), 0);
        assert_int_equal(write_block(f, dirfd, 12, 0, "12"), 0);
        close(openat(dirfd, "a%2Fb.memory-", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        close(openat(dirfd, "a%2Fb.memory-1x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        assert_int_equal(memory_file_sweep(&f->flaky.disk, dirfd, "a/b", 2), 0);
        assert_null(read_blocks(dirfd, 1, end_of(0, "1")));
        assert_null(read_blocks(dirfd, 12, end_of(0, "12")));
        assert_string_equal(read_blocks(dirfd, 2, end_of(0, "2")), "2");
        assert_int_equal(faccessat(dirfd, "a%2Fb.memory-", F_OK, 0), 0);
        assert_int_equal(faccessat(dirfd, "a%2Fb.memory-1x", F_OK, 0), 0);
        assert_int_equal(memory_file_sweep(&f->flaky.disk, dirfd, "a/b", 0), 0);
        assert_null(read_blocks(dirfd, 2, end_of(0, "2")));
        close(dirfd);
}

/* --- with the snapshot --- */

static Recorder *open_recorder(Fixture *f, sd_event *event)
{
        const RecorderConfig config = { .state_dir = f->dir,
                                        .audit_path = f->path,
                                        .audit_max_size = 1 << 20,
                                        .audit_keep = 2,
                                        .group = (gid_t)-1,
                                        .disk = &f->flaky.disk };
        RecorderFindings findings = { 0 };
        Recorder *r = NULL;

        assert_int_equal(recorder_disk_new(&r, event, &config, &findings), 0);
        recorder_findings_deinit(&findings);
        return r;
}

static void on_done(void *userdata, int r)
{
        *(int *)userdata = r;
}

/* The snapshot names the length; the block is the text. */
static int commit(Recorder *r, sd_event *event, uint64_t generation, uint64_t offset, const char *text)
{
        Commit c = { .service = "imc",
                     .snapshot = json_pack("{s:I, s:I}", "generation", (json_int_t)generation, "length",
                                           (json_int_t)end_of(offset, text)),
                     .memory = { .generation = generation,
                                 .offset = offset,
                                 .block = (uint8_t *)strdup(text),
                                 .len = strlen(text) } };
        int done = 1;

        assert_int_equal(recorder_commit(r, &c, on_done, &done), 0);
        while (done > 0)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
        return done;
}

/* What the snapshot on disk says that counts. */
static void recalled(Recorder *r, char text[256])
{
        Blocks b = { 0 };
        json_t *j = NULL;

        assert_int_equal(recorder_load(r, "imc", &j), 0);
        if (j)
                assert_int_equal(
                        recorder_recall(
                                r, "imc", (uint64_t)json_integer_value(json_object_get(j, "generation")),
                                (uint64_t)json_integer_value(json_object_get(j, "length")), on_block, &b),
                        0);
        json_decref(j);
        memcpy(text, b.text, sizeof(b.text));
}

/* The disk fails for good at any call of a commit: afterwards the old or the new is there, block and snapshot
 * alike. */
static void crash_at_each_call(Fixture *f, uint64_t generation)
{
        const char *next = generation == 1 ? "one,two" : "two";
        uint64_t offset = generation == 1 ? end_of(0, "one,") : 0;
        char text[256];

        for (unsigned n = 1, done = 0; !done; n++) {
                sd_event *event;
                Recorder *r;

                assert_int_equal(sd_event_new(&event), 0);
                f->flaky = (FlakyDisk){ .disk = f->flaky.disk };
                r = open_recorder(f, event);
                /* A clean beginning for each. */
                assert_int_equal(commit(r, event, 1, 0, "one,"), 0);
                f->flaky =
                        (FlakyDisk){ .disk = f->flaky.disk, .fail_at = n, .persistent = true, .error = -EIO };
                done = commit(r, event, generation, offset, "two") == 0 && f->flaky.calls < n;
                recorder_free(r);
                f->flaky = (FlakyDisk){ .disk = f->flaky.disk };
                r = open_recorder(f, event);
                recalled(r, text);
                if (done)
                        assert_string_equal(text, next);
                else
                        assert_true(strcmp(text, "one,") == 0 || strcmp(text, next) == 0);
                recorder_free(r);
                sd_event_unref(event);
                assert_true(n < 200);
        }
}

static void test_block_and_snapshot_are_one(void **state)
{
        crash_at_each_call(*state, 1);
        crash_at_each_call(*state, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_blocks_come_back_in_order),
                TEST(test_a_torn_end_is_cut_off),
                TEST(test_damage_is_seen),
                TEST(test_older_generations_go),
                TEST(test_block_and_snapshot_are_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

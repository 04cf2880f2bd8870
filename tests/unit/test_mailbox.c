/* mailbox - canaries are taken out, and not one byte of anything else. */
#include "observe/mailbox.h"

#include "unit/observe_util.h"

#include "base/file.h"

#include <errno.h>
#include <sys/file.h>

static const CanaryKey key = { .bytes = { 5 } }, strange_key = { .bytes = { 6 } };

static const char *token_of(uint8_t n)
{
        static char tokens[4][CANARY_TOKEN_SIZE];
        uint8_t nonce[CANARY_NONCE_SIZE] = { n };

        canary_token(&key, nonce, tokens[n % 4]);
        return tokens[n % 4];
}

static char *canary(uint8_t n)
{
        char *text = canary_message("imc", token_of(n));

        assert_non_null(text);
        return text;
}

static bool take(const char *path, const char *token, MailboxReport *report)
{
        bool found;

        assert_int_equal(mailbox_take(path, &key, token, &found, report), 0);
        return found;
}

static void test_maildir(void **state)
{
        char *dir = temp_new(), strange[CANARY_TOKEN_SIZE];
        _cleanup_(freep) char *one = canary(1), *two = canary(2), *other = NULL, *bounce = NULL;
        const uint8_t nonce[CANARY_NONCE_SIZE] = { 1 };
        MailboxReport report;

        (void)state;
        canary_token(&strange_key, nonce, strange);
        other = canary_message("imc", strange);
        assert_true(asprintf(&bounce, "Subject: not delivered\n\n%s", one) > 0);
        assert_false(take(in(dir, "none"), token_of(1), &report));
        assert_false(take(dir, token_of(1), &report)); /* no Maildir yet */
        assert_int_equal(mkdir(in(dir, "new"), 0700) | mkdir(in(dir, "cur"), 0700), 0);
        file_make(in(dir, "new/a"), one);
        file_make(in(dir, "cur/b:2,S"), two);
        file_make(in(dir, "new/mail"), "Subject: x\n\nmail\n");
        file_make(in(dir, "new/strange"), other);
        file_make(in(dir, "new/bounce"), bounce);
        file_make(in(dir, "new/empty"), "");
        file_make(in(dir, "outside"), one);
        assert_int_equal(symlink("../outside", in(dir, "new/link")), 0);
        assert_int_equal(mkfifo(in(dir, "new/fifo"), 0600), 0);
        assert_true(take(dir, token_of(1), &report));
        assert_int_equal(report.removed, 2);
        assert_false(take(dir, token_of(1), &report));
        assert_int_equal(report.removed, 0);
        assert_int_equal(access(in(dir, "new/a"), F_OK), -1);
        assert_int_equal(access(in(dir, "cur/b:2,S"), F_OK), -1);
        assert_int_equal(access(in(dir, "new/mail"), F_OK) | access(in(dir, "new/strange"), F_OK) |
                                 access(in(dir, "new/bounce"), F_OK) | access(in(dir, "new/empty"), F_OK) |
                                 access(in(dir, "outside"), F_OK),
                         0);
        temp_remove(dir);
}

/* What the file holds afterwards. */
static void file_check(const char *path, const char *wanted)
{
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
        assert_string_equal(text, wanted);
}

static void test_file(void **state)
{
        char *dir = temp_new(), path[64];
        _cleanup_(freep) char *one = canary(1), *two = canary(2), *text = NULL, *mixed = NULL;
        static const char mail[] = "From x\nSubject: y\n\nFrom the heart\n>From z\n\n";
        MailboxReport report;
        bool found;

        (void)state;
        snprintf(path, sizeof(path), "%s/box", dir);
        assert_false(take(path, token_of(1), &report));
        /* Nothing but canaries. */
        assert_true(asprintf(&text, "From a\n%s\nFrom b\n%s\n", one, two) > 0);
        file_make(path, text);
        assert_true(take(path, token_of(2), &report));
        assert_int_equal(report.removed, 2);
        file_check(path, "");
        /* Behind other mail they are cut off, before it they stay. */
        assert_true(asprintf(&mixed, "From a\n%s\n%sFrom b\n%s\n", one, mail, two) > 0);
        file_make(path, mixed);
        assert_true(take(path, token_of(1), &report));
        assert_int_equal(report.removed, 1);
        assert_int_equal(report.left, 1);
        mixed[strlen(mixed) - strlen("From b\n") - strlen(two) - 1] = '\0';
        file_check(path, mixed);
        /* Appended without a line in between: not ours to cut. */
        free(text);
        assert_true(asprintf(&text, "From a\n%sSubject: y\n\nno From line\n", one) > 0);
        file_make(path, text);
        assert_true(take(path, token_of(1), &report));
        assert_int_equal(report.removed, 0);
        file_check(path, text);
        /* A file that a pipe writes. */
        file_make(path, one);
        assert_true(take(path, token_of(1), &report));
        file_check(path, "");
        /* A server that is just writing. */
        file_make(path, one);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
        assert_int_equal(mailbox_take(path, &key, token_of(1), &found, &report), MAILBOX_E_BUSY);
        close(fd);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        assert_int_equal(mailbox_take(path, &key, token_of(1), &found, &report), MAILBOX_E_BUSY);
        close(fd);
        file_check(path, one);
        /* Nothing that is no file. */
        assert_int_equal(symlink("box", in(dir, "link")), 0);
        assert_int_equal(mailbox_take(in(dir, "link"), &key, token_of(1), &found, &report), -ELOOP);
        assert_int_equal(mkfifo(in(dir, "fifo"), 0600), 0);
        assert_int_equal(mailbox_take(in(dir, "fifo"), &key, token_of(1), &found, &report), -EINVAL);
        temp_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_maildir),
                cmocka_unit_test(test_file),
        };

        return cmocka_run_group_tests_name("observe/mailbox", tests, NULL, NULL);
}

/*
 * Tests of `unjamctl report` through the whole program: ctl/report.c, ctl/report_parts.c and
 * ctl/verb_report.c. What goes into it is tested in test_account.c, what a page does with hostile text in
 * test_page.c.
 */
#include "ctl_helper.h"

#include <fcntl.h>

#define CLOSED "20261122T140001-imc"
#define OPEN   "20261123T090000-imc"
#define EVIL   "x\\\"><script>\\u001b[2J"

static void test_text(void **state)
{
        static const char *const parts[] = {
                "Incident " CLOSED "\n",
                "  Host       mail\n",
                "  Result     recovered\n",
                "  Symptom    stalled: 7 messages wait, none moved for 2min\n",
                "  Trials     1, of which 0 failed\n",
                "was /spool/In/m4, file of 512 bytes",
                "SHA-256 ab",
                "lies in ",
                "Evidence of 14:00:02.000",
                "4711 has open /spool/In/m4: the message that is to blame",
                "diagnosing",
                "\nTrials\n",
                "6  taken by the service",
                "May be delivered twice",
                "  m5\n",
                "\nNext\n  The first message that is held or in quarantine expires at 2026-11-27 13:00:00.\n",
                "\n  unjamctl quarantine list\n  unjamctl audit show " CLOSED,
        };
        World *w = *state;

        world_incidents(w);
        world_quarantine(w);
        expect_run(w, 0, "report", CLOSED);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                expect_text(w->text, parts[i]);
        for (const char *line = w->text; *line; line = strchr(line, '\n') + 1)
                assert_true(strchr(line, '\n') - line <= 100);
        expect_run(w, 0, "report", "last");
        expect_text(w->text, "unjamctl watch imc");
        expect_run(w, 1, "report", "nothing");
        expect_text(w->errors, "nothing: no such incident; see `unjamctl incident list`");
        expect_run(w, 2, "report");
        assert_string_equal(w->text, "");
}

static void test_json(void **state)
{
        World *w = *state;
        json_t *j;

        world_incidents(w);
        expect_run(w, 0, "--json", "report", CLOSED);
        j = world_json(w);
        assert_true(json_is_object(j));
        assert_int_equal(json_array_size(json_object_get(j, "states")), 1);
        assert_int_equal(json_array_size(json_object_get(j, "trial_list")), 1);
        assert_int_equal(json_array_size(json_object_get(j, "evidence")), 1);
        assert_non_null(json_object_get(j, "ledger"));
        json_decref(j);
        expect_run(w, 2, "--json", "report", CLOSED, "--html", "x.html");
}

/* The file @name in the world's directory, after a report was written there. */
static char *html(World *w, int code, const char *name)
{
        char path[160];

        snprintf(path, sizeof(path), "%s/%s", w->dir, name);
        expect_run(w, code, "report", CLOSED, "--html", path);
        return code == 0 ? fixture_read(path) : NULL;
}

static void test_html(void **state)
{
        static const Line hostile[] = {
                { AUDIT_MESSAGE_QUARANTINED, CLOSED,
                  "{\"data\":{\"id\":\"" EVIL "\",\"store\":\"" EVIL "\",\"evidence\":[\"" EVIL
                  "\"],\"files\":[{\"path\":\"" EVIL "\",\"type\":\"" EVIL "\",\"size\":1,\"sha256\":\"" EVIL
                  "\"}]}}" },
                { AUDIT_EVIDENCE, CLOSED,
                  "{\"data\":{\"time\":\"" EVIL "\",\"processes\":[{\"pid\":1,\"command\":\"" EVIL
                  "\",\"files\":[{\"path\":\"" EVIL "\"}]}],\"lines\":[{\"time\":\"" EVIL
                  "\",\"text\":\"" EVIL "\"}],\"note\":\"" EVIL "\"}}" },
                { AUDIT_CAUSE, CLOSED,
                  "{\"data\":{\"cause\":\"" EVIL "\",\"detail\":\"" EVIL "\",\"advice\":\"" EVIL "\"}}" },
                { AUDIT_OPERATOR, CLOSED, "{\"data\":{\"verb\":\"" EVIL "\",\"peer\":\"" EVIL "\"}}" },
        };
        World *w = *state;
        char *text;

        world_incidents(w);
        world_record(w, hostile, ELEMENTSOF(hostile));
        text = html(w, 0, "report.html");
        expect_text(text, "<title>Incident " CLOSED "</title>");
        expect_text(text, "x&quot;&gt;&lt;script&gt;?[2J");
        expect_no_text(text, "<script");
        expect_no_text(text, "\033");
        expect_text(text, "</body>\n</html>\n");
        free(text);
}

static void test_where_html_goes(void **state)
{
        World *w = *state;
        struct stat st;
        char path[160], link[160];
        char *text;

        world_incidents(w);
        world_file(w, "old.html", "old");
        text = html(w, 0, "old.html"); /* a regular file is replaced */
        expect_text(text, "<!DOCTYPE html>");
        free(text);
        snprintf(path, sizeof(path), "%s/old.html", w->dir);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);

        world_file(w, "precious", "precious");
        snprintf(path, sizeof(path), "%s/precious", w->dir);
        snprintf(link, sizeof(link), "%s/link.html", w->dir);
        assert_int_equal(symlink(path, link), 0);
        html(w, 1, "link.html");
        expect_text(w->errors, "something is there that is no regular file");
        text = fixture_read(path);
        assert_string_equal(text, "precious");
        free(text);
        assert_int_equal(lstat(link, &st), 0);
        assert_true(S_ISLNK(st.st_mode));

        snprintf(path, sizeof(path), "%s/fifo", w->dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        html(w, 1, "fifo");
        html(w, 1, "no/such/directory.html");
        html(w, 1, "..");
        html(w, 1, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_text),
                TEST(test_json),
                TEST(test_html),
                TEST(test_where_html_goes),
        };

        return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

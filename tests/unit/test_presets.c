/*
 * Tests of the presets that are shipped (conf/presets): each loads, has checks for the causes of the articles
 * with advice, and knows which files of a real spool are one message. The paths were recorded on Debian 12's
 * packages.
 */
#include "base/text.h"
#include "config_tree.h"
#include "model/layout.h"

#include <dirent.h>

#define PRESETS TEST_SOURCE_DIR "/../conf/presets"

/* Such as are no mail server of their own: the administrator says what runs. */
static bool is_generic(const char *name)
{
        return strcmp(name, "maildir") == 0 || strcmp(name, "pickup") == 0 || strcmp(name, "imc") == 0;
}

/* A configuration with a service for each name in @names, read only, since nothing of it is
 * installed here. */
static Settings *load(Tree *t, char *const *names)
{
        _cleanup_(freep) char *text = calloc(1, 65536), *link = tree_path(t, "presets");
        char *o = stpcpy(text, "services = (");

        assert_int_equal(symlink(PRESETS, link), 0);
        for (size_t i = 0; names[i]; i++)
                o += sprintf(o,
                             is_generic(names[i]) && strcmp(names[i], "imc") != 0
                                     ? "%s{ name = \"%s\"; preset = \"%s\"; unit = \"of-%s\"; }"
                                     : "%s{ name = \"%s\"; preset = \"%s\"; }",
                             i ? "," : "", names[i], names[i], names[i]);
        stpcpy(o, ");");
        tree_write(t, "unjamd.conf", text);
        return tree_load(t, CONFIG_READ_ONLY, NULL);
}

static char **shipped(void)
{
        char **names = NULL;
        struct dirent *e;
        DIR *dir = opendir(PRESETS);

        assert_non_null(dir);
        while ((e = readdir(dir)))
                if (e->d_name[0] != '.') {
                        char *dot = strstr(e->d_name, ".conf");

                        assert_non_null(dot);
                        *dot = '\0';
                        assert_int_equal(strv_append(&names, e->d_name), 0);
                }
        closedir(dir);
        return names;
}

static bool has_cause(const ServiceSettings *s, CauseKind kind)
{
        for (size_t i = 0; i < s->n_causes; i++)
                if (s->causes[i].cause == kind)
                        return true;
        return false;
}

static void check_causes(const ServiceSettings *s)
{
        /* Disks and inodes are looked at for every service, whatever its preset. */
        static const CauseKind articles[] = {
                CAUSE_NOT_CONFIGURED,   CAUSE_STARTUP_ACCOUNT,       CAUSE_ADDRESS_SPACE,
                CAUSE_NETWORK_IDENTITY, CAUSE_ADMINISTRATOR_ADDRESS, CAUSE_REBUILDABLE_STATE,
                CAUSE_STUCK_MESSAGES,   CAUSE_PERMISSIONS,           CAUSE_DEPENDENCY_DOWN,
        };

        for (size_t i = 0; i < ELEMENTSOF(articles) && !is_generic(s->name); i++)
                if (!has_cause(s, articles[i]))
                        fail_msg("%s has no check for %s", s->name, cause_kind_to_string(articles[i]));
        assert_true(s->n_causes > 0);
        for (size_t i = 0; i < s->n_causes; i++) {
                const char *program = strrchr(s->causes[i].command[0], '/');

                program = program ? program + 1 : s->causes[i].command[0];
                assert_non_null(s->causes[i].advice);
                assert_null(strstr(s->causes[i].advice, "${"));
                /* No shell. */
                assert_string_not_equal(program, "sh");
                assert_string_not_equal(program, "bash");
                assert_string_not_equal(program, "env");
        }
}

static void test_all(void **state)
{
        Tree *t = *state;
        _cleanup_(strv_freep) char **names = shipped();
        _cleanup_(settings_unrefp) Settings *s = load(t, names);

        assert_true(strv_length(names) >= 14);
        assert_int_equal(s->n_services, strv_length(names));
        for (size_t i = 0; i < s->n_services; i++) {
                /* A preset never decides who may act. */
                assert_int_equal(s->services[i].mode, MODE_OBSERVE);
                assert_false(s->services[i].sole_supervisor);
                check_causes(&s->services[i]);
                for (size_t k = 0; k < s->services[i].n_stores; k++) {
                        assert_non_null(s->services[i].stores[k].hold);
                        /* Nor in whose quarantine a culprit lies. */
                        assert_false(s->services[i].stores[k].quarantine_native);
                }
        }
}

typedef struct Name {
        const char *store, *path, *id; /* NULL id: no message's */
        bool last;
} Name;

static const Name postfix[] = {
        { "queue", "294561288F5", "294561288F5", false },
        { "queue", "6/545921288F8", "545921288F8", false },
        { "queue", "6/4jXVHh32v9z9814", "4jXVHh32v9z9814", false },
        { "queue", "294561288F5.tmp", NULL, false },
        { "queue", "6", NULL, false },
        { "maildrop", "6FFE11282D6", "6FFE11282D6", false },
        {},
};
static const Name exim4[] = {
        { "input", "1xV6ta-00009W-30-H", "1xV6ta-00009W-30", true },
        { "input", "1xV6ta-00009W-30-D", "1xV6ta-00009W-30", false },
        { "input", "1xV6ta-00009W-30-J", "1xV6ta-00009W-30", false },
        { "input", "1xV6ta-00009W-30", "1xV6ta-00009W-30", false }, /* its log */
        { "input", "D/1xV7kD-00001l-01-H", "1xV7kD-00001l-01", true },
        { "input", "1rXqxq-00000001234-5678-H", "1rXqxq-00000001234-5678", true },
        { "input", "hdr.1234", NULL, false },
        { "input", "1xV6ta-00009W-30-X", NULL, false },
        {},
};
static const Name opensmtpd[] = {
        { "queue", "cf/cf35b54e", "cf35b54e", false },
        { "queue", "cf/cf35b54e/message", "cf35b54e", false },
        { "queue", "cf/cf35b54e/cf35b54efaa9e436", "cf35b54e", false },
        { "queue", "cf", NULL, false },
        { "queue", "cf/cf35b54", NULL, false },
        { "offline", "1795352785.XXAbCdEf", "1795352785.XXAbCdEf", false },
        {},
};
static const Name sendmail[] = {
        { "mqueue", "qf6AMD15qk000424", "6AMD15qk000424", true },
        { "mqueue", "df6AMD15qk000424", "6AMD15qk000424", false },
        { "mqueue", "xf6AMD15qk000424", "6AMD15qk000424", false },
        { "mqueue", "q1/qf/qf6AMD15qk000424", "6AMD15qk000424", true },
        { "mqueue", "hf6AMD15qk000424", NULL, false }, /* Sendmail's own quarantine */
        { "mqueue", "Qf6AMD15qk000424", NULL, false },
        { "client", "qf6AMD15qk000424", "6AMD15qk000424", true },
        {},
};
static const Name nullmailer[] = {
        { "queue", "1795352785.66", "1795352785.66", false },
        { "queue", ".trash", NULL, false },
        {},
};
static const Name mailman3[] = {
        { "queue", "1795352785.6619384+da39a3ee5e6b4b0d3255bfef95601890afd80709.pck",
          "1795352785.6619384+da39a3ee5e6b4b0d3255bfef95601890afd80709", false },
        { "queue", "1795352785.6619384+da39a3ee5e6b4b0d3255bfef95601890afd80709.bak",
          "1795352785.6619384+da39a3ee5e6b4b0d3255bfef95601890afd80709", false },
        { "queue", "1795352785.6619384+da39a3ee5e6b4b0d3255bfef95601890afd80709.pck.tmp", NULL, false },
        { "queue", "foreign.pck", "foreign", false }, /* it kills its runner */
        {},
};
static const Name courier[] = {
        { "queue", "23/C2664123", "2664123", true },
        { "queue", "23/D2664123", "2664123", false },
        { "queue", "179535/C2664123.1795352785", "2664123", true },
        {},
};
static const Name qmail[] = {
        { "queue", "2/2664161", "2664161", false },
        { "queue", "2664161", "2664161", false },
        { "queue", "2", NULL, false },
        {},
};
static const Name dma[] = {
        { "queue", "Q1a2b3c.55d0c8a0", "1a2b3c.55d0c8a0", true },
        { "queue", "M1a2b3c.55d0c8a0", "1a2b3c.55d0c8a0", false },
        { "queue", "flush", NULL, false },
        {},
};
static const Name amavis[] = {
        { "work", "amavis-20261122T133727-00366-aB3_xY-z", "amavis-20261122T133727-00366-aB3_xY-z", false },
        { "work", "amavis-20261122T133727-00366-aB3_xY-z/email.txt", "amavis-20261122T133727-00366-aB3_xY-z",
          false },
        { "work", "other", NULL, false },
        {},
};
static const Name maildir[] = {
        { "maildir", "1795352785.M66P1.mail.test.invalid,S=320,W=330:2,FS",
          "1795352785.M66P1.mail.test.invalid", false },
        { "maildir", "1795352785.M66P1.mail", "1795352785.M66P1.mail", false },
        {},
};
static const Name pickup[] = {
        { "pickup", "a message.eml", "a message.eml", false },
        { "pickup", "a message.tmp", NULL, false },
        {},
};

static const StoreSettings *store_of(const ServiceSettings *s, const char *name)
{
        for (size_t i = 0; i < s->n_stores; i++)
                if (strcmp(s->stores[i].name, name) == 0)
                        return &s->stores[i];
        fail_msg("%s has no store %s", s->name, name);
        return NULL;
}

static void check_name(const ServiceSettings *s, const Name *n)
{
        _cleanup_(layout_freep) Layout *layout = NULL;
        const StoreSettings *store = store_of(s, n->store);
        const char *id = NULL;
        size_t len = 0;
        int r;

        assert_int_equal(layout_new(&layout, &store->layout, NULL), 0);
        r = path_is_ignored(store->exclude, n->path)
                    ? LAYOUT_E_NONE
                    : layout_match(layout, n->path, strlen(n->path), &id, &len);
        if (!n->id) {
                if (r == 0)
                        fail_msg("%s: %s is taken for message %.*s", s->name, n->path, (int)len, id);
                return;
        }
        if (r != 0 || len != strlen(n->id) || strncmp(id, n->id, len) != 0)
                fail_msg("%s: %s is not of message %s", s->name, n->path, n->id);
        if (layout_is_last(layout, n->path, strlen(n->path)) != n->last)
                fail_msg("%s: %s is%s a control file", s->name, n->path, n->last ? "" : " not");
}

static void test_layouts(void **state)
{
        static const struct {
                const char *preset;
                const Name *names;
        } recorded[] = {
                { "postfix", postfix },   { "exim4", exim4 },           { "opensmtpd", opensmtpd },
                { "sendmail", sendmail }, { "nullmailer", nullmailer }, { "mailman3", mailman3 },
                { "courier", courier },   { "qmail", qmail },           { "dma", dma },
                { "amavis", amavis },     { "maildir", maildir },       { "pickup", pickup },
        };
        Tree *t = *state;
        _cleanup_(strv_freep) char **names = shipped();
        _cleanup_(settings_unrefp) Settings *s = load(t, names);

        for (size_t i = 0; i < ELEMENTSOF(recorded); i++) {
                const ServiceSettings *service = settings_find(s, recorded[i].preset);

                assert_non_null(service);
                for (const Name *n = recorded[i].names; n->store; n++)
                        check_name(service, n);
        }
}

/* What waits rightly is told from what is stuck. */
static void test_deferred(void **state)
{
        Tree *t = *state;
        char *names[] = { (char *)"postfix", NULL };
        _cleanup_(settings_unrefp) Settings *s = load(t, names);
        char **ignore = s->services[0].stall.ignore;

        assert_true(path_is_ignored_in(ignore, "/var/spool/postfix/deferred", "6/545921288F8"));
        assert_false(path_is_ignored_in(ignore, "/var/spool/postfix/active", "545921288F8"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_all, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_layouts, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_deferred, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

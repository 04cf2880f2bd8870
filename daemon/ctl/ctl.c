/*
 * ctl - unjamctl: options, the table of verbs, and what all verbs share
 *
 * main.c calls ctl_main(). The table says what each verb takes; whatever else is given is wrong usage (exit
 * 2). The configuration is read for its paths only (nothing is probed), and a verb that merely asks the
 * daemon, or reads the audit trail, still works with the usual paths when the usual configuration cannot be
 * read.
 */
#include "ctl/ctl.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "control/client.h"
#include "ctl/print.h"
#include "ctl/story.h"

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#define CONFIG_PATH UNJAM_SYSCONFDIR "/unjamd/unjamd.conf"
/* Where a daemon is that was not told otherwise. */
#define STATE_DIR  "/var/lib/unjamd"
#define RUN_DIR    "/run/unjamd"
#define AUDIT_PATH "/var/log/unjamd/audit.jsonl"

/* A release may have to stop and start a server. */
#define ASK_TIMEOUT (10 * USEC_PER_MIN)

enum {
        OPTION_FOR = 1 << 0,
        OPTION_REASON = 1 << 1,
        OPTION_TO = 1 << 2,
        OPTION_ALL = 1 << 3,
        OPTION_EXPIRED = 1 << 4,
        OPTION_LINES = 1 << 5,
        OPTION_HTML = 1 << 6,
};

typedef struct Verb {
        const char *name;
        const char *sub; /* second word, or NULL */
        int min, max;    /* words after that */
        unsigned options;
        bool pages; /* people read it with a pager */
        int (*run)(Ctl *c, char **argv);
        const char *synopsis;
        const char *help;
} Verb;

static const Verb verbs[] = {
        { "status", NULL, 0, 1, 0, false, verb_status, "[SERVICE]", "how the services are" },
        { "watch", NULL, 0, 1, 0, false, verb_watch, "[SERVICE]", "follow a recovery live" },
        { "explain", NULL, 1, 1, 0, true, verb_explain, "SERVICE",
          "why nothing was done, or what is being done" },
        { "check", NULL, 1, 1, 0, true, verb_check, "SERVICE", "run the cause checks" },
        { "incident", "list", 0, 1, 0, true, verb_incident_list, "[SERVICE]",
          "all incidents in the audit trail" },
        { "incident", "show", 1, 1, 0, true, verb_incident_show, "ID|last", "one incident, as a report" },
        { "report", NULL, 1, 1, OPTION_HTML, true, verb_report, "INCIDENT|last [--html FILE]",
          "everything about one incident, to pass on" },
        { "quarantine", "list", 0, 1, 0, true, verb_quarantine_list, "[SERVICE]", "messages in quarantine" },
        { "quarantine", "show", 1, 1, 0, true, verb_quarantine_show, "ID", "one of them, and where it lies" },
        { "quarantine", "release", 0, 1, OPTION_ALL | OPTION_TO, false, verb_quarantine_release,
          "ID|--all [--to DIR]", "put it back into its store, or into DIR" },
        { "quarantine", "delete", 0, 1, OPTION_ALL | OPTION_EXPIRED, false, verb_quarantine_delete,
          "ID|--all|--expired", "delete it for good" },
        { "pause", NULL, 1, 1, OPTION_FOR | OPTION_REASON, false, verb_pause,
          "SERVICE [--for TIME] [--reason TEXT]", "do nothing for a while (an hour)" },
        { "resume", NULL, 1, 1, 0, false, verb_resume, "SERVICE", "end a pause" },
        { "recover", NULL, 1, 1, 0, false, verb_recover, "SERVICE", "start a recovery now" },
        { "restore", NULL, 1, 1, 0, false, verb_restore, "INCIDENT", "put back what the incident holds" },
        { "audit", "tail", 0, 0, OPTION_LINES, true, verb_audit_tail, "[--lines N]", "the last records" },
        { "audit", "show", 0, 1, 0, true, verb_audit_show, "[SEQ|INCIDENT]", "records in full" },
        { "audit", "verify", 0, 0, 0, false, verb_audit_verify, "",
          "check that the trail is as it was written" },
        { "metrics", NULL, 0, 0, 0, false, verb_metrics, "", "figures as OpenMetrics text" },
        { "reload", NULL, 0, 0, 0, false, verb_reload, "", "read the configuration again" },
        { "preset", "list", 0, 0, 0, true, verb_preset_list, "", "the mail servers that are known" },
        { "preset", "show", 1, 1, 0, true, verb_preset_show, "NAME", "what is known of one" },
        { "setup", NULL, 0, 0, 0, false, verb_setup, "",
          "write a configuration for the mail servers on this host" },
};

void ctl_error(const char *format, ...)
{
        va_list ap;

        fputs("unjamctl: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
}

int ctl_print_json(const Ctl *c, const json_t *j)
{
        if (!j || json_dumpf(j, c->out, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(9)) < 0 ||
            fputc('\n', c->out) == EOF) {
                ctl_error("cannot write the answer");
                return CTL_REFUSED;
        }
        return CTL_DONE;
}

/* Asking */

int ctl_unreachable(const Ctl *c, int error)
{
        if (error == -EACCES || error == -EPERM) {
                ctl_error("%s/control: %s; try again with sudo", c->run_dir, strerror(-error));
                return CTL_REFUSED;
        }
        ctl_error("unjamd does not answer at %s/control (%s); is it running? See `systemctl status unjamd`",
                  c->run_dir, error == -EPIPE ? "it has gone" : strerror(-error));
        return CTL_UNREACHABLE;
}

/* Tells what the daemon says against it. */
static int ask_refused(const Ctl *c, const json_t *body)
{
        const char *error = json_string_value(json_object_get(body, "error"));
        _cleanup_(freep) char *clean = print_clean(error ? error : "refused");

        ctl_error("%s", clean ? clean : "refused");
        if (c->json)
                (void)ctl_print_json(c, body);
        return CTL_REFUSED;
}

int ctl_ask(const Ctl *c, const char *verb, json_t *args, json_t **ret_body)
{
        _cleanup_(control_client_freep) ControlClient *client = NULL;
        json_t *body = NULL;
        bool ok;
        int r;

        r = control_client_new(&client, c->run_dir);
        if (r < 0) {
                json_decref(args);
                return ctl_unreachable(c, r);
        }
        r = control_client_call(client, verb, args, ASK_TIMEOUT, &ok, &body);
        if (r < 0)
                return ctl_unreachable(c, r);
        if (!ok) {
                r = ask_refused(c, body);
                json_decref(body);
                return r;
        }
        *ret_body = body;
        return CTL_DONE;
}

int ctl_no_trail(const Ctl *c, int error)
{
        ctl_error("%s: %s%s", c->audit_path, strerror(-error),
                  error == -EACCES ? "; try again with sudo" : "");
        return CTL_REFUSED;
}

int ctl_read_story(const Ctl *c, const char *id, Story *ret)
{
        int r = story_read(c->audit_path, id, ret);

        if (r != -ENOENT && r != -EEXIST)
                return r < 0 ? ctl_no_trail(c, r) : CTL_DONE;
        ctl_error("%s: %s; see `unjamctl incident list`", id,
                  r == -ENOENT ? "no such incident" : "several incidents begin like this");
        return CTL_REFUSED;
}

const Settings *ctl_settings(const Ctl *c)
{
        if (!c->settings)
                ctl_error("this needs the configuration (%s), which cannot be read: see `unjamd "
                          "--check-config`",
                          c->config_path);
        return c->settings;
}

/* Reads the configuration for its paths. Return: an exit code. */
static int load_settings(Ctl *c, bool may_lack)
{
        ConfigFaults faults = { 0 };
        int r;

        c->state_dir = STATE_DIR;
        c->run_dir = RUN_DIR;
        c->audit_path = AUDIT_PATH;
        /* Nothing configured here (yet): not worth a word. */
        if ((!c->config_given || may_lack) && access(c->config_path, F_OK) < 0 && errno == ENOENT)
                return CTL_DONE;
        r = config_load(c->config_path, CONFIG_READ_ONLY, NULL, &c->settings, &faults);
        if (r == 0) {
                c->state_dir = c->settings->state_dir;
                c->run_dir = c->settings->run_dir;
                c->audit_path = c->settings->audit_path;
        } else if (r < 0) {
                ctl_error("%s: %s", c->config_path, strerror(-r));
        }
        for (size_t i = 0; i < faults.n; i++) {
                _cleanup_(freep) char *text = config_fault_format(&faults.list[i]);

                ctl_error("%s", text ? text : "out of memory");
        }
        config_faults_deinit(&faults);
        if (r == 0)
                return CTL_DONE;
        /* Somebody who names a file means that one, and no other daemon. */
        if (c->config_given)
                return CTL_REFUSED;
        ctl_error("going on with the usual paths (%s, %s, %s)", STATE_DIR, RUN_DIR, AUDIT_PATH);
        return CTL_DONE;
}

/* Usage */

static void print_help(FILE *f)
{
        fputs("unjamctl [-c FILE] [--json] [--no-pager] VERB ...\n\n"
              "Ask and direct unjamd, the watchdog for mail servers.\n\n",
              f);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                char words[80];

                snprintf(words, sizeof(words), "%s%s%s%s%s", verbs[i].name, verbs[i].sub ? " " : "",
                         verbs[i].sub ? verbs[i].sub : "", *verbs[i].synopsis ? " " : "", verbs[i].synopsis);
                fprintf(f, "  %-44s  %s\n", words, verbs[i].help);
        }
        fputs("\n"
              "  -c, --config FILE   the daemon's configuration; " CONFIG_PATH "\n"
              "      --json          for programs\n"
              "      --no-pager      never through a pager\n"
              "      --version, --help\n\n"
              "Exit status: 0 done, 1 refused or nothing found, 2 wrong usage, 3 unjamd does not answer.\n"
              "See unjamctl(1).\n",
              f);
}

/* The verb that @word may have been meant to be, or NULL. */
static const char *near_verb(const char *word)
{
        const char *best = NULL;
        size_t least = 3;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                size_t d = text_distance(word, verbs[i].name);

                if (d < least) {
                        least = d;
                        best = verbs[i].name;
                }
        }
        return best;
}

static int usage_verb(char **words, int n)
{
        bool known = false;

        if (n == 0) {
                ctl_error("a verb is missing; see `unjamctl --help`");
                return CTL_USAGE;
        }
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (strcmp(verbs[i].name, words[0]) == 0) {
                        known = true;
                        ctl_error("usage: unjamctl %s%s%s %s", verbs[i].name, verbs[i].sub ? " " : "",
                                  verbs[i].sub ? verbs[i].sub : "", verbs[i].synopsis);
                }
        if (!known) {
                const char *near = near_verb(words[0]);

                ctl_error("%s: no such verb%s%s; see `unjamctl --help`", words[0], near ? "; write " : "",
                          near ? near : "");
        }
        return CTL_USAGE;
}

static const Verb *find_verb(char **words, int n)
{
        for (size_t i = 0; n > 0 && i < ELEMENTSOF(verbs); i++) {
                int rest = n - (verbs[i].sub ? 2 : 1);

                if (strcmp(verbs[i].name, words[0]) != 0 || rest < 0 ||
                    (verbs[i].sub && strcmp(verbs[i].sub, words[1]) != 0))
                        continue;
                return rest >= verbs[i].min && rest <= verbs[i].max ? &verbs[i] : NULL;
        }
        return NULL;
}

/* Options */

static int parse_value(Ctl *c, int option, const char *value)
{
        char *end;
        unsigned long n;

        switch (option) {
        case OPTION_FOR:
                if (usec_parse(value, &c->options.length) == 0 && c->options.length > 0)
                        return CTL_DONE;
                ctl_error("--for %s: no time; write 30min, 2h, 1d", value);
                return CTL_USAGE;
        case OPTION_LINES:
                n = strtoul(value, &end, 10);
                if (*value >= '0' && *value <= '9' && !*end && n > 0 && n <= 1000000) {
                        c->options.lines = (unsigned)n;
                        return CTL_DONE;
                }
                ctl_error("--lines %s: write a number from 1 to 1000000", value);
                return CTL_USAGE;
        case OPTION_REASON:
                c->options.reason = value;
                return CTL_DONE;
        case OPTION_TO:
                c->options.to = value;
                return CTL_DONE;
        case OPTION_HTML:
                c->options.html = value;
                return CTL_DONE;
        case OPTION_ALL:
                c->options.all = true;
                return CTL_DONE;
        case OPTION_EXPIRED:
                c->options.expired = true;
                return CTL_DONE;
        }
        return CTL_USAGE;
}

enum {
        GETOPT_JSON = 256,
        GETOPT_NO_PAGER,
        GETOPT_VERSION,
        GETOPT_HELP,
        GETOPT_VERB, /* + OPTION_... */
};

/* *@ret_given: OPTION_... bits. Return: an exit code, or -1: go on. */
static int parse_options(Ctl *c, int argc, char **argv, unsigned *ret_given)
{
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "json", no_argument, NULL, GETOPT_JSON },
                { "no-pager", no_argument, NULL, GETOPT_NO_PAGER },
                { "version", no_argument, NULL, GETOPT_VERSION },
                { "help", no_argument, NULL, GETOPT_HELP },
                { "for", required_argument, NULL, GETOPT_VERB + OPTION_FOR },
                { "reason", required_argument, NULL, GETOPT_VERB + OPTION_REASON },
                { "to", required_argument, NULL, GETOPT_VERB + OPTION_TO },
                { "all", no_argument, NULL, GETOPT_VERB + OPTION_ALL },
                { "expired", no_argument, NULL, GETOPT_VERB + OPTION_EXPIRED },
                { "lines", required_argument, NULL, GETOPT_VERB + OPTION_LINES },
                { "html", required_argument, NULL, GETOPT_VERB + OPTION_HTML },
                { 0 },
        };
        int o, r;

        optind = 0;
        while ((o = getopt_long(argc, argv, "c:hn:", options, NULL)) != -1) {
                if (o == 'c') {
                        c->config_path = optarg;
                        c->config_given = true;
                } else if (o == GETOPT_JSON) {
                        c->json = true;
                } else if (o == GETOPT_NO_PAGER) {
                        c->pager = false;
                } else if (o == GETOPT_VERSION) {
                        puts("unjamctl " UNJAM_VERSION);
                        return CTL_DONE;
                } else if (o == GETOPT_HELP || o == 'h') {
                        print_help(stdout);
                        return CTL_DONE;
                } else if (o == 'n' || o >= GETOPT_VERB) {
                        int option = o == 'n' ? OPTION_LINES : o - GETOPT_VERB;

                        r = parse_value(c, option, optarg);
                        if (r != CTL_DONE)
                                return r;
                        *ret_given |= (unsigned)option;
                } else {
                        ctl_error("see `unjamctl --help`");
                        return CTL_USAGE;
                }
        }
        return -1;
}

static int run_verb(Ctl *c, const Verb *v, char **words)
{
        Pager pager = { 0 };
        int r;

        r = load_settings(c, v->run == verb_setup);
        if (r != CTL_DONE)
                return r;
        c->out = stdout;
        c->colour = print_colours(STDOUT_FILENO);
        if (v->pages && c->pager && !c->json)
                c->out = pager_start(&pager);
        r = v->run(c, words + (v->sub ? 2 : 1));
        pager_end(&pager);
        if (!pager.was_used && fflush(stdout) != 0) {
                ctl_error("cannot write the answer");
                r = CTL_REFUSED;
        }
        c->settings = settings_unref(c->settings);
        return r;
}

int ctl_main(int argc, char **argv)
{
        Ctl c = { .config_path = CONFIG_PATH, .pager = true };
        const Verb *v;
        unsigned given = 0;
        int r;

        (void)setlocale(LC_ALL, "");
        (void)signal(SIGPIPE, SIG_IGN);
        r = parse_options(&c, argc, argv, &given);
        if (r >= 0)
                return r;
        v = find_verb(argv + optind, argc - optind);
        if (!v)
                return usage_verb(argv + optind, argc - optind);
        if (given & ~v->options) {
                ctl_error("this verb has no such option");
                return usage_verb(argv + optind, argc - optind);
        }
        return run_verb(&c, v, argv + optind);
}

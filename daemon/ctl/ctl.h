#pragma once

/*
 * unjamctl: what its verbs share. ctl_main() is the whole program; main.c only calls it.
 */

#include "base/clock.h"
#include "model/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit codes: public. */
enum {
        CTL_DONE = 0,
        CTL_REFUSED = 1, /* refused, failed, or nothing found */
        CTL_USAGE = 2,
        CTL_UNREACHABLE = 3,
};

/* Options, as far as the verb at hand takes them. */
typedef struct CtlOptions {
        usec_t length; /* --for; 0: not given */
        const char *reason;
        const char *to;
        const char *html;
        bool all, expired;
        unsigned lines; /* --lines; 0: not given */
} CtlOptions;

typedef struct Ctl {
        const char *config_path;
        bool config_given; /* with -c */
        bool json;
        bool pager;
        bool colour;
        FILE *out;
        CtlOptions options;
        Settings *settings; /* NULL: could not be read; then only the three paths below are known */
        const char *state_dir, *run_dir, *audit_path;
} Ctl;

int ctl_main(int argc, char **argv);

/* "unjamctl: ..." to stderr. */
void ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Asks the daemon. On CTL_DONE *@ret_body is the caller's; else the reason has been told (in JSON mode the
 * refusal's body goes to stdout too). @args is stolen.
 */
int ctl_ask(const Ctl *c, const char *verb, json_t *args, json_t **ret_body);
/* Says that there is no daemon. Yields CTL_UNREACHABLE, or CTL_REFUSED where @error is another matter. */
int ctl_unreachable(const Ctl *c, int error);
/* Prints @j as --json does. Yields CTL_DONE, or CTL_REFUSED if it cannot be written. @j is borrowed. */
int ctl_print_json(const Ctl *c, const json_t *j);
/* Says that the audit trail cannot be read. Yields CTL_REFUSED. */
int ctl_no_trail(const Ctl *c, int error);
/*
 * The incident @id with all its records (see story_read()), or its code after it has been told that there
 * is none.
 */
typedef struct Story Story;
int ctl_read_story(const Ctl *c, const char *id, Story *ret);
/* The settings, for verbs that cannot do without; NULL after it has been told that there are none. */
const Settings *ctl_settings(const Ctl *c);

/* The verbs: @argv are the words after it. Yield an exit code. */
int verb_status(Ctl *c, char **argv);
int verb_explain(Ctl *c, char **argv);
int verb_check(Ctl *c, char **argv);
int verb_watch(Ctl *c, char **argv);
int verb_incident_list(Ctl *c, char **argv);
int verb_incident_show(Ctl *c, char **argv);
int verb_quarantine_list(Ctl *c, char **argv);
int verb_quarantine_show(Ctl *c, char **argv);
int verb_quarantine_release(Ctl *c, char **argv);
int verb_quarantine_delete(Ctl *c, char **argv);
int verb_pause(Ctl *c, char **argv);
int verb_resume(Ctl *c, char **argv);
int verb_recover(Ctl *c, char **argv);
int verb_restore(Ctl *c, char **argv);
int verb_reload(Ctl *c, char **argv);
int verb_preset_list(Ctl *c, char **argv);
int verb_preset_show(Ctl *c, char **argv);
int verb_setup(Ctl *c, char **argv);
int verb_report(Ctl *c, char **argv);
int verb_metrics(Ctl *c, char **argv);
int verb_audit_tail(Ctl *c, char **argv);
int verb_audit_show(Ctl *c, char **argv);
int verb_audit_verify(Ctl *c, char **argv);

/*
 * main - the daemon's program: arguments, loop, signals, reload
 *
 *      unjamd [-c FILE] [--check-config] [--dry-run] [--foreground] [--version] [--help]
 *
 * Everything else is put together in main_world.c. Always in the foreground, Type=notify; logs to stderr (the
 * journal, under systemd). SIGTERM and SIGINT end it (open incidents stay open and go on at the next start),
 * SIGHUP reloads.
 *
 * A reload reads the configuration anew. A fault in it, or an open incident, keeps the old one running.
 *
 * Exit status: 0 ended on request, or --check-config found nothing; 1 faults, or it could not run; 2 wrong
 * usage.
 */
#include "act/reaper.h"
#include "act/spool.h"
#include "base/cleanup.h"
#include "base/procstat.h"
#include "base/text.h"
#include "config/config.h"
#include "control/server.h"
#include "main_world.h"
#include "record/alert.h"
#include "record/recorder_disk.h"

#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#define REAP_PATIENCE (15 * USEC_PER_SEC)
#define CALM          (20 * USEC_PER_SEC)

typedef struct Daemon {
        const char *path;
        unsigned flags;
        sd_event *event;
        sd_bus *bus;
        Settings *settings;
        Recorder *recorder;
        AlertJournal *alerts;
        AlertCounter counter; /* on the way to @alerts */
        usec_t started;       /* wall */
        ControlServer *control;
        Reaper *reaper;
        World *world;
} Daemon;

static void say(const char *level, const char *text)
{
        fprintf(stderr, "%s%s\n", getenv("JOURNAL_STREAM") ? level : "", text);
}

static int usage(FILE *out, int status)
{
        fputs("unjamd [-c FILE] [--check-config] [--dry-run] [--foreground] [--version] [--help]\n"
              "\n"
              "Watches mail services, and frees them from messages that jam them.\n"
              "\n"
              "  -c, --config FILE  configuration (default " UNJAM_SYSCONFDIR "/unjamd/unjamd.conf)\n"
              "      --check-config print every fault as FILE:LINE: what; what to write instead\n"
              "      --dry-run      mode = \"observe\", whatever the configuration says\n"
              "      --foreground   the default; there is no other way\n"
              "      --version, --help\n"
              "\n"
              "See unjamd(8), unjamd.conf(5).\n",
              out);
        return status;
}

/*
 * For a process that lives long and does little: one heap for all threads, and large blocks that go back to
 * the system when they are freed, whatever was allocated before. (glibc would make a heap for each thread,
 * and stop to map blocks of the size of one that was freed.)
 */
static void keep_memory_small(void)
{
        (void)mallopt(M_ARENA_MAX, 1);
        (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
        (void)mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

/* ---- configuration ---- */

static int check_rename(void *userdata, const char *dir, const char *hold)
{
        (void)userdata;
        return spool_probe_rename(disk_posix(), dir, hold);
}

static bool check_unit(void *userdata, const char *unit)
{
        const Daemon *d = userdata;

        return !d->bus || bus_unit_exists(d->bus, unit);
}

/* All faults as one text, a line each. NULL on ENOMEM. */
static char *faults_text(const ConfigFaults *faults)
{
        char *text = strdup("");

        for (size_t k = 0; text && k < faults->n; k++) {
                char *line = config_fault_format(&faults->list[k]), *longer = NULL;

                if (!line || asprintf(&longer, "%s%s%s", text, k ? "\n" : "", line) < 0)
                        longer = NULL;
                free(line);
                free(text);
                text = longer;
        }
        return text;
}

/* Return: 0 with *@ret, or a negated errno with *@ret_error (caller frees). */
static int load(Daemon *d, Settings **ret, char **ret_error)
{
        const ConfigChecks checks = { .userdata = d,
                                      .unit_exists = check_unit,
                                      .probe_rename = check_rename };
        ConfigFaults faults = { 0 };
        int r = config_load(d->path, d->flags, &checks, ret, &faults);

        if (r != 0) {
                *ret_error = r < 0 ? strdup(strerror(-r)) : faults_text(&faults);
                r = r < 0 ? r : -EINVAL;
        }
        config_faults_deinit(&faults);
        return r;
}

static int check_config(Daemon *d)
{
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *error = NULL;

        if (load(d, &s, &error) < 0) {
                puts(error ? error : "out of memory");
                return 1;
        }
        printf("%s: %zu service(s), no faults\n", d->path, s->n_services);
        return 0;
}

/* ---- reload ---- */

static WorldContext world_context(Daemon *d);

static bool same_places(const Settings *a, const Settings *b)
{
        return strcmp(a->state_dir, b->state_dir) == 0 && strcmp(a->run_dir, b->run_dir) == 0 &&
               strcmp(a->audit_path, b->audit_path) == 0;
}

static int replace_world(Daemon *d, Settings *settings, char **ret_error)
{
        WorldContext context = world_context(d);
        World *world = NULL;
        int r = world_new(&world, &context, settings, ret_error);

        if (r < 0)
                return r;
        engine_inherit(world_engine(world), world_engine(d->world));
        /* The old one first: two of them must not watch, start or guard the same service. */
        world_free(d->world);
        d->world = world;
        settings_unref(d->settings);
        d->settings = settings_ref(settings);
        return world_start(d->world);
}

static int reload(void *userdata, char **ret_error)
{
        Daemon *d = userdata;
        _cleanup_(settings_unrefp) Settings *settings = NULL;
        int r;

        sd_notify(0, "RELOADING=1");
        r = load(d, &settings, ret_error);
        if (r == 0 && !same_places(d->settings, settings)) {
                *ret_error = strdup("state_dir, run_dir and audit.path change only with a restart of unjamd");
                r = -EINVAL;
        }
        if (r == 0 && !engine_is_idle(world_engine(d->world))) {
                *ret_error = strdup("an incident is open: reload when it has closed (see `unjamctl status`)");
                r = -EBUSY;
        }
        if (r == 0)
                r = replace_world(d, settings, ret_error);
        if (r < 0) {
                Alert alert = { .kind = ALERT_CONFIG_REJECTED,
                                .text = *ret_error ? *ret_error : "the configuration was not reloaded" };
                AlertSink sink = alert_counter_sink(&d->counter);

                alert_send(&sink, &alert);
        }
        (void)engine_record(
                world_engine(d->world), r < 0 ? AUDIT_CONFIG_REJECTED : AUDIT_CONFIG_LOADED,
                json_pack("{s:{s:s, s:s?}}", "data", "path", d->path, "error", r < 0 ? *ret_error : NULL));
        sd_notify(0, "READY=1");
        return r;
}

static int on_hup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        _cleanup_(freep) char *error = NULL;

        (void)s;
        (void)si;
        if (reload(userdata, &error) < 0)
                say(SD_WARNING, error ? error : "the configuration was not reloaded");
        return 0;
}

/* ---- life ---- */

static void on_stopped(void *userdata, int r)
{
        Daemon *d = userdata;

        (void)r;
        (void)sd_event_exit(d->event, 0);
}

static int on_term(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        Daemon *d = userdata;

        (void)s;
        (void)si;
        sd_notify(0, "STOPPING=1");
        if (engine_stop(world_engine(d->world), on_stopped, d) < 0)
                (void)sd_event_exit(d->event, 0);
        return 0;
}

static void handle(void *userdata, const ControlRequest *request, ControlReply *reply)
{
        Daemon *d = userdata;

        engine_handle(world_engine(d->world), request, reply);
}

/* What this process uses. Its own entry in /proc is always there, and does not wait. */
static void facts(void *userdata, DaemonFacts *ret)
{
        const Daemon *d = userdata;
        _cleanup_(closep) int procfd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ProcStat stat = { 0 };

        if (procfd >= 0)
                (void)procstat_read(procfd, getpid(), &stat);
        *ret = (DaemonFacts){
                .started = d->started, .cpu = stat.cpu, .resident = stat.memory, .alerts = d->counter.counts
        };
}

static WorldContext world_context(Daemon *d)
{
        return (WorldContext){ .event = d->event,
                               .bus = d->bus,
                               .recorder = d->recorder,
                               .alerts = alert_counter_sink(&d->counter),
                               .publisher = control_server_publisher(d->control),
                               .reload = reload,
                               .facts = facts,
                               .userdata = d };
}

/* The system bus, where systemd manages this host. */
static void open_bus(Daemon *d)
{
        if (access("/run/systemd/system", F_OK) < 0)
                return;
        if (sd_bus_open_system(&d->bus) < 0)
                say(SD_WARNING, "the system bus cannot be reached");
        if (d->bus)
                (void)sd_bus_set_exit_on_disconnect(d->bus, true); /* systemd starts us again */
}

static int open_record(Daemon *d)
{
        const Settings *s = d->settings;
        const struct group *group = getgrnam(s->control_group);
        const RecorderConfig config = { .state_dir = s->state_dir,
                                        .audit_path = s->audit_path,
                                        .audit_max_size = s->audit_max_size,
                                        .audit_keep = s->audit_keep,
                                        .audit_journal = s->audit_journal,
                                        .group = group ? group->gr_gid : (gid_t)-1,
                                        .disk = disk_posix() };
        RecorderFindings findings = { 0 };
        int r = recorder_disk_new(&d->recorder, d->event, &config, &findings);
        _cleanup_(freep) char *text = NULL;

        if (r == 0) {
                text = recorder_findings_describe(&findings);
                if (text) {
                        Alert alert = { .kind = ALERT_AUDIT_DAMAGED, .text = text };
                        AlertSink sink = alert_counter_sink(&d->counter);

                        alert_send(&sink, &alert);
                }
        }
        recorder_findings_deinit(&findings);
        return r;
}

static int make_loop(Daemon *d)
{
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask, SIGCHLD);
        sigaddset(&mask, SIGPIPE);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_default(&d->event);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, on_term, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, on_term, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hup, d);
        if (r >= 0)
                r = sd_event_set_watchdog(d->event, true);
        return r < 0 ? r : 0;
}

static int build(Daemon *d, char **ret_error)
{
        const ControlHandler handler = { .userdata = d, .handle = handle };
        WorldContext context;
        int r = alert_journal_new(&d->alerts, d->event);

        if (r == 0)
                d->counter.to = alert_journal_sink(d->alerts);
        if (r == 0 && !d->bus) /* with systemd, services are no children of ours */
                r = reaper_new(&d->reaper, d->event, REAP_PATIENCE);
        if (r == 0)
                r = open_record(d);
        if (r == 0)
                r = control_server_new(&d->control, d->event, d->settings->run_dir,
                                       d->settings->control_group, &handler);
        if (r < 0) {
                if (asprintf(ret_error, "record or control socket: %s", strerror(-r)) < 0)
                        *ret_error = NULL;
                return r;
        }
        context = world_context(d);
        r = world_new(&d->world, &context, d->settings, ret_error);
        if (r < 0)
                return r;
        (void)engine_record(
                world_engine(d->world), AUDIT_DAEMON_STARTED,
                json_pack("{s:{s:s, s:i}}", "data", "version", UNJAM_VERSION, "pid", (int)getpid()));
        (void)engine_record(world_engine(d->world), AUDIT_CONFIG_LOADED,
                            json_pack("{s:{s:s, s:I}}", "data", "path", d->path, "services",
                                      (json_int_t)d->settings->n_services));
        return world_start(d->world);
}

static void daemon_deinit(Daemon *d)
{
        world_free(d->world);
        reaper_free(d->reaper);
        control_server_free(d->control);
        recorder_free(d->recorder);
        alert_journal_free(d->alerts);
        sd_bus_flush_close_unref(d->bus);
        settings_unref(d->settings);
        sd_event_unref(d->event);
}

/* Some time after the start: what that took. */
static int on_calm(sd_event_source *s, uint64_t usec, void *userdata)
{
        (void)s;
        (void)usec;
        (void)userdata;
        (void)malloc_trim(0);
        return 0;
}

static int run(Daemon *d)
{
        _cleanup_(freep) char *error = NULL;
        int r = make_loop(d);

        if (r == 0) {
                open_bus(d);
                if (d->bus)
                        (void)sd_bus_attach_event(d->bus, d->event, 0);
                r = load(d, &d->settings, &error);
        }
        if (r == 0)
                r = build(d, &error);
        if (r < 0) {
                say(SD_ERR, error ? error : strerror(-r));
                return 1;
        }
        (void)malloc_trim(0); /* what reading the configuration took */
        (void)sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, CALM, CALM / 2, on_calm, NULL);
        sd_notify(0, "READY=1");
        r = sd_event_loop(d->event);
        return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "check-config", no_argument, NULL, 'k' },
                { "dry-run", no_argument, NULL, 'n' },
                { "foreground", no_argument, NULL, 'f' },
                { "version", no_argument, NULL, 'v' },
                { "help", no_argument, NULL, 'h' },
                { NULL, 0, NULL, 0 },
        };
        Daemon d = { .path = UNJAM_SYSCONFDIR "/unjamd/unjamd.conf", .started = now_read().wall };
        bool check = false;
        int c, status;

        while ((c = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
                if (c == 'c')
                        d.path = optarg;
                else if (c == 'k')
                        check = true;
                else if (c == 'n')
                        d.flags |= CONFIG_DRY_RUN;
                else if (c == 'v')
                        return puts("unjamd " UNJAM_VERSION) < 0;
                else if (c != 'f')
                        return usage(c == 'h' ? stdout : stderr, c == 'h' ? 0 : 2);
        }
        if (optind < argc)
                return usage(stderr, 2);
        if (check)
                open_bus(&d);
        keep_memory_small();
        status = check ? check_config(&d) : run(&d);
        daemon_deinit(&d);
        return status;
}

/*
 * unit_watch - one systemd unit over D-Bus
 *
 * Made by unit, one for each unit of a service. The order matters: LoadUnit resolves the name (signals come
 * from the object of the real name, also for an alias), then the match for PropertiesChanged, then GetAll;
 * so nothing that happens after the state was read is missed. systemd sends the changes of the service
 * interface before those of the unit interface, so a state is taken as whole when the latter have come.
 *
 * Who stopped it? systemd does not tell in the unit's state: a stop by an operator and an exit with status
 * 0 look alike. So jobs are followed: a job of a stopping kind that is not ours is an operator's stop (or
 * that of something which stops it in their name, as a shutdown). Its kind is asked for; but it may have
 * gone before the answer, so a job that began while the unit was up, and under which it goes down, is a
 * stop too.
 *
 * A call that fails leaves the state as it was, or unknown; the next signal or a look of unit.c tries
 * again.
 *
 * Tests: tests/unit/test_unit.c.
 */
#include "observe/unit_watch.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/cgroup_watch.h"

#include <stdio.h>
#include <string.h>

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"
#define UNIT         "org.freedesktop.systemd1.Unit"
#define SERVICE      "org.freedesktop.systemd1.Service"
#define JOB          "org.freedesktop.systemd1.Job"
#define PROPERTIES   "org.freedesktop.DBus.Properties"

/* What a job does, as far as is known. */
typedef enum JobKind {
        JOB_UNKNOWN, /* it has not been told yet */
        JOB_STOPS,   /* stop, restart: the unit goes down */
        JOB_STARTS,
        JOB_RESTARTS, /* systemd's own automatic restart */
        JOB_OTHER,    /* reload and the like: what was asked for stays as it is */
} JobKind;

/* How the last run ended; systemd forgets it with reset-failed, or when it unloads the unit. */
typedef struct UnitEnd {
        bool set;
        char result[UNIT_WORD_MAX];
        int32_t exit_code, exit_status;
} UnitEnd;

struct UnitWatch {
        UnitWatchSpec spec;
        sd_bus *bus;
        const char *destination;
        char *path;
        sd_bus_slot *load, *signal, *get_unit, *get_service, *get_job;
        Turn turn;  /* to load and read it */
        bool again; /* read once more when the reading under way is done */
        bool known;
        UnitState state;
        CgroupWatch *cgroup;

        bool ours;    /* what happens is our doing */
        bool started; /* it came up while it was */
        bool up;      /* at the last look */
        UnitFacts facts;
        bool operator_stop, by_other;
        char invocation[2 * 16 + 1]; /* the last one that was not zero, or "" */
        uint32_t n_restarts;         /* when it was seen first */
        char expected[2 * 16 + 1];   /* the run that unjamd started, or "" */

        UnitEnd end; /* while it is down */

        uint32_t job; /* 0: none */
        JobKind job_kind;
        bool job_ours, job_began_up;
        uint64_t job_condition_time; /* of the unit when the job began */
        char job_invocation[2 * 16 + 1];
};

static void changed(UnitWatch *u)
{
        /* Down, with a job of a kind not yet told: it may be stopped or about to start. The answer is on its
         * way. */
        bool undecided = u->job != 0 && u->get_job && unit_state_is_down(&u->state);

        if (u->known && !undecided)
                u->spec.changed(u->spec.userdata);
}

/* Jobs */

/* The job under way turns out to stop the unit. */
static void job_is_stop(UnitWatch *u)
{
        u->job_kind = JOB_STOPS;
        u->facts.stop_asked = true;
        u->operator_stop = u->operator_stop || !u->job_ours;
}

static JobKind job_kind_of(const char *type)
{
        static const struct {
                const char *type;
                JobKind kind;
        } kinds[] = {
                { "stop", JOB_STOPS },
                { "restart", JOB_STOPS },
                { "try-restart", JOB_STOPS },
                { "start", JOB_STARTS },
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcmp(type, kinds[i].type) == 0)
                        return kinds[i].kind;
        return JOB_OTHER;
}

static int on_job_type(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitWatch *u = userdata;
        const char *type;

        (void)error;
        u->get_job = sd_bus_slot_unref(u->get_job);
        /* If it has gone already, state_take() or the end of the job tells what it did. */
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "v", "s", &type) >= 0 &&
            u->job_kind == JOB_UNKNOWN)
                u->job_kind = job_kind_of(type);
        if (u->job_kind == JOB_STOPS)
                job_is_stop(u);
        changed(u);
        return 0;
}

static void job_begin(UnitWatch *u, uint32_t id, const char *path)
{
        bool automatic = strncmp(u->state.sub, "auto-restart", strlen("auto-restart")) == 0;

        if (u->job == id)
                return;
        u->get_job = sd_bus_slot_unref(u->get_job);
        u->job = id;
        u->job_ours = u->ours;
        u->job_kind = automatic ? JOB_RESTARTS : JOB_UNKNOWN;
        u->job_condition_time = u->state.condition_time;
        memcpy(u->job_invocation, u->invocation, sizeof(u->invocation));
        u->job_began_up = unit_state_is_up(&u->state);
        if (!automatic && u->bus &&
            sd_bus_call_method_async(u->bus, &u->get_job, u->destination, path, PROPERTIES, "Get",
                                     on_job_type, u, "ss", JOB, "JobType") < 0)
                u->get_job = NULL;
}

/*
 * A job that began with the unit up and under which it goes down stops it, whatever its kind is said to be:
 * the kind of a restart becomes "start" half-way.
 */
static void job_judge(UnitWatch *u)
{
        bool leaves = !unit_state_is_up(&u->state) && *u->state.active;
        bool asked = u->job_kind != JOB_OTHER && u->job_kind != JOB_RESTARTS;

        if (u->job != 0 && u->job_began_up && leaves && asked)
                job_is_stop(u);
}

/* A job of unknown kind that did nothing to a unit that was down: someone wants it to stay so. A start leaves
 * a trace. */
static bool job_keeps_down(const UnitWatch *u)
{
        return !u->job_began_up && u->job_kind == JOB_UNKNOWN && unit_state_is_down(&u->state) &&
               u->job_condition_time == u->state.condition_time &&
               strcmp(u->job_invocation, u->invocation) == 0;
}

void unit_watch_job_new(UnitWatch *u, const char *unit, uint32_t id, const char *path)
{
        if (strcmp(unit, u->spec.name) == 0 || streq_null(unit, u->state.id))
                job_begin(u, id, path);
}

void unit_watch_job_removed(UnitWatch *u, uint32_t id, const char *result)
{
        if (id == 0 || u->job != id)
                return;
        u->get_job = sd_bus_slot_unref(u->get_job);
        if (strcmp(result, "done") == 0)
                job_judge(u);
        if (strcmp(result, "done") == 0 && job_keeps_down(u))
                job_is_stop(u);
        u->job = 0;
        /*
         * The start in a restart came to nothing: it is wanted up. A stop that ends with the unit down is
         * "done".
         */
        if (u->job_kind == JOB_STOPS && strcmp(result, "failed") == 0)
                u->facts.stop_asked = u->operator_stop = false;
        /* A stop that was given up, or the first half of a restart: it is wanted up. */
        if (u->job_kind == JOB_STOPS && unit_state_is_up(&u->state))
                u->facts.stop_asked = u->operator_stop = false;
        changed(u);
}

/* State */

static void on_emptied(void *userdata)
{
        UnitWatch *u = userdata;

        u->facts.emptied = true;
        changed(u);
}

/* A wrapper's processes are watched while it is up. */
static void cgroup_follow(UnitWatch *u)
{
        bool wanted = unit_state_is_wrapper(&u->state) && u->state.cgroup && *u->state.cgroup;

        if (!wanted) {
                u->cgroup = cgroup_watch_free(u->cgroup);
                return;
        }
        if (u->cgroup)
                cgroup_watch_look(u->cgroup);
        else
                (void)cgroup_watch_new(&u->cgroup, u->spec.event, u->state.cgroup, on_emptied, u);
}

/* A run that was not there at the last look: whose is it? */
static void invocation_take(UnitWatch *u)
{
        static const uint8_t none[16];
        char id[sizeof(u->invocation)];

        if (memcmp(u->state.invocation, none, sizeof(none)) == 0)
                return;
        text_hex(id, u->state.invocation, sizeof(u->state.invocation));
        if (strcmp(id, u->invocation) != 0) {
                /*
                 * The first one is taken as it is found; one that systemd's own Restart= made is nobody's.
                 */
                bool first = *u->invocation == 0, automatic = u->state.n_restarts > u->n_restarts;
                u->by_other = !first && !automatic && !u->ours;
                memcpy(u->invocation, id, sizeof(id));
                u->n_restarts = u->state.n_restarts;
        }
        if (*u->expected)
                u->by_other = strcmp(id, u->expected) != 0 && u->state.n_restarts == 0;
}

/* How it ended, from the first look at it down until it is up again. */
static void end_take(UnitWatch *u, bool up, bool down)
{
        if (up)
                u->end.set = false;
        if (!down || u->end.set)
                return;
        u->end = (UnitEnd){ .set = true,
                            .exit_code = u->state.exit_code,
                            .exit_status = u->state.exit_status };
        memcpy(u->end.result, u->state.result, sizeof(u->end.result));
}

/* The properties are whole: what has changed between this look and the last one? */
static void state_take(UnitWatch *u)
{
        bool up = unit_state_is_up(&u->state), down = unit_state_is_down(&u->state);

        if (u->state.job != 0)
                job_begin(u, u->state.job, u->state.job_path);
        job_judge(u);
        invocation_take(u);
        end_take(u, up, down);
        if (up && !(u->job != 0 && u->job_kind == JOB_STOPS)) {
                u->facts.stop_asked = u->operator_stop = false;
                u->started = u->started || (u->ours && !u->up);
        }
        if (up && !u->up) {
                u->facts.emptied = false;
                (void)unit_watch_fetch(u); /* its control group comes without a signal */
        }
        /* No stop job, but we are at it: the kill ladder. A start of ours that fails is another matter. */
        if (down && u->facts.ran && !u->facts.stop_asked && u->ours && !u->started)
                u->facts.stop_asked = true;
        if (up)
                u->facts.ran = true;
        if (up || down)
                u->up = up;
        cgroup_follow(u);
        changed(u);
}

/* Reading */

static void fetch_ended(UnitWatch *u)
{
        if (u->get_unit || u->get_service)
                return;
        turn_end(&u->turn);
        if (u->again) {
                u->again = false;
                (void)unit_watch_fetch(u);
                return;
        }
        u->known = *u->state.active != 0;
        state_take(u);
}

static int on_get_unit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitWatch *u = userdata;

        (void)error;
        u->get_unit = sd_bus_slot_unref(u->get_unit);
        if (!sd_bus_message_is_method_error(m, NULL))
                (void)unit_state_read(&u->state, m);
        fetch_ended(u);
        return 0;
}

/* Fails for units that are no service; they have no main process, and that is all. */
static int on_get_service(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitWatch *u = userdata;

        (void)error;
        u->get_service = sd_bus_slot_unref(u->get_service);
        if (!sd_bus_message_is_method_error(m, NULL))
                (void)unit_state_read(&u->state, m);
        fetch_ended(u);
        return 0;
}

int unit_watch_fetch(UnitWatch *u)
{
        if (turn_is_asked(&u->turn)) {
                u->again = u->again || u->get_unit || u->get_service;
                return 0;
        }
        if (!u->bus || !u->path)
                return err_origin(-ENOTCONN);
        turn_ask(u->spec.turns, &u->turn);
        return 0;
}

static int fetch_send(UnitWatch *u)
{
        int r = sd_bus_call_method_async(u->bus, &u->get_service, u->destination, u->path, PROPERTIES,
                                         "GetAll", on_get_service, u, "s", SERVICE);
        if (r >= 0)
                r = sd_bus_call_method_async(u->bus, &u->get_unit, u->destination, u->path, PROPERTIES,
                                             "GetAll", on_get_unit, u, "s", UNIT);
        return r < 0 ? err_origin(r) : 0;
}

/* Does the array of strings that comes next name one of ours? */
static bool invalidates(sd_bus_message *m)
{
        bool wanted = false;
        const char *name;

        if (sd_bus_message_enter_container(m, 'a', "s") < 0)
                return false;
        while (sd_bus_message_read_basic(m, 's', &name) > 0)
                wanted = wanted || unit_state_wants(name);
        return wanted;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitWatch *u = userdata;
        const char *interface;

        (void)error;
        if (sd_bus_message_read_basic(m, 's', &interface) < 0)
                return 0;
        if (strcmp(interface, UNIT) != 0 && strcmp(interface, SERVICE) != 0)
                return 0;
        if (unit_state_read(&u->state, m) < 0 || invalidates(m))
                (void)unit_watch_fetch(u);
        if (strcmp(interface, UNIT) == 0 && u->known)
                state_take(u);
        return 0;
}

static int on_load(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitWatch *u = userdata;
        const char *path;

        (void)error;
        u->load = sd_bus_slot_unref(u->load);
        char *copy = NULL;
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "o", &path) >= 0)
                copy = strdup(path);
        if (!copy) {
                turn_end(&u->turn);
                return 0;
        }
        free(u->path);
        u->path = copy;
        u->signal = sd_bus_slot_unref(u->signal);
        if (sd_bus_match_signal_async(u->bus, &u->signal, u->destination, u->path, PROPERTIES,
                                      "PropertiesChanged", on_properties, NULL, u) < 0)
                u->signal = NULL;
        if (fetch_send(u) < 0)
                turn_end(&u->turn);
        return 0;
}

/* It is our turn: the unit is loaded, or it is read. */
static void on_turn(void *userdata)
{
        UnitWatch *u = userdata;
        int r = u->path ? fetch_send(u)
                        : sd_bus_call_method_async(u->bus, &u->load, u->destination, MANAGER_PATH, MANAGER,
                                                   "LoadUnit", on_load, u, "s", u->spec.name);

        if (r < 0)
                turn_end(&u->turn);
}

static void detach(UnitWatch *u)
{
        turn_end(&u->turn);
        u->load = sd_bus_slot_unref(u->load);
        u->signal = sd_bus_slot_unref(u->signal);
        u->get_unit = sd_bus_slot_unref(u->get_unit);
        u->get_service = sd_bus_slot_unref(u->get_service);
        u->get_job = sd_bus_slot_unref(u->get_job);
        u->bus = sd_bus_unref(u->bus);
        free(u->path);
        u->path = NULL;
        u->known = u->again = false;
        u->job = 0;
}

void unit_watch_attach(UnitWatch *u, sd_bus *bus, const char *destination)
{
        detach(u);
        if (!bus)
                return;
        u->bus = sd_bus_ref(bus);
        u->destination = destination;
        turn_ask(u->spec.turns, &u->turn);
}

void unit_watch_expect(UnitWatch *u, bool ours, const char *invocation, bool alone)
{
        u->ours = ours;
        u->started = false;
        u->expected[0] = 0;
        if (!invocation || !alone)
                return;
        snprintf(u->expected, sizeof(u->expected), "%s", invocation);
        (void)unit_watch_fetch(u);
}

bool unit_watch_is_known(const UnitWatch *u)
{
        return u->known;
}

bool unit_watch_is_blind(const UnitWatch *u)
{
        return u->cgroup && cgroup_watch_is_blind(u->cgroup);
}

void unit_watch_status(const UnitWatch *u, ServiceStatus *ret)
{
        UnitState state = u->state; /* its strings stay the watch's */

        *ret = (ServiceStatus){ .run = RUN_UNKNOWN };
        if (!u->known)
                return;
        if (u->end.set) {
                state.exit_code = u->end.exit_code;
                state.exit_status = u->end.exit_status;
        }
        ret->run = unit_state_run(&u->state, &u->facts, &ret->result);
        if (u->end.set && ret->result == u->state.result)
                ret->result = u->end.result;
        /* Down, and wanted up: a new run may have its name already, but nothing of it can have failed. */
        if (unit_state_is_down(&u->state) && u->job != 0 && u->job_kind == JOB_STARTS)
                ret->run = RUN_STARTING;
        else if (unit_state_is_down(&u->state) && u->job != 0 && u->job_kind == JOB_RESTARTS)
                ret->run = RUN_RESTARTING;
        ret->invocation = *u->invocation ? u->invocation : NULL;
        ret->n_restarts = u->state.n_restarts;
        ret->main_pid = (pid_t)u->state.main_pid;
        ret->operator_stop = u->operator_stop;
        ret->masked = unit_state_is_masked(&u->state);
        ret->started_by_other = u->by_other;
        /* While one runs, how the one before ended is no news; nor is how a program ended that left others
         * behind. */
        if (ret->run != RUN_RUNNING && ret->run != RUN_STARTING && !u->facts.emptied)
                unit_state_exit(&state, ret);
}

usec_t unit_watch_changed(const UnitWatch *u)
{
        struct timespec ts;
        Now now = now_read();

        clock_gettime(CLOCK_MONOTONIC, &ts);
        usec_t monotonic = (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
        if (u->state.changed == 0)
                return now.mono;
        return usec_sub(now.mono, usec_sub(monotonic, u->state.changed));
}

int unit_watch_new(UnitWatch **ret, const UnitWatchSpec *spec)
{
        UnitWatch *u = calloc(1, sizeof(*u));

        if (!u)
                return err_origin(-ENOMEM);
        u->spec = *spec;
        u->turn = (Turn){ .go = on_turn, .userdata = u };
        *ret = u;
        return 0;
}

UnitWatch *unit_watch_free(UnitWatch *u)
{
        if (!u)
                return NULL;
        detach(u);
        cgroup_watch_free(u->cgroup);
        unit_state_deinit(&u->state);
        free(u);
        return NULL;
}

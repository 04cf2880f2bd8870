/*
 * unit_state - the properties of a systemd unit, and what they mean for a service
 *
 * Used by unit. systemd's states tell what it did and expects, not whether mail is served, so they are
 * translated with care for units that lie:
 *
 *     active, activating ...      as they are; "auto-restart" is RUN_RESTARTING
 *     active (exited), oneshot    running: a wrapper around another unit, or a program that only sets
 *                                 something up; but failed, "no-processes", once the processes it left behind
 *                                 are gone
 *     active (exited), else       failed, "no-processes": a daemon is dead, and RemainAfterExit (as generated
 *                                 for SysV scripts) hides it
 *     inactive, failed            stopped, if a stop job or a kill of ours went before, if it never ran, or
 *                                 if it is a oneshot that succeeded; else failed, even with exit status 0:
 *                                 nobody asked it to end
 *
 * Properties that are missing or of an unexpected type keep their last value; an unknown ActiveState is
 * RUN_UNKNOWN.
 */
#include "observe/unit_state.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef enum PropertyKind {
        PROPERTY_WORD,
        PROPERTY_STRING,
        PROPERTY_UINT32,
        PROPERTY_INT32,
        PROPERTY_UINT64,
        PROPERTY_BOOL,
        PROPERTY_ID,
        PROPERTY_JOB,
} PropertyKind;

typedef struct Property {
        const char *name, *signature;
        PropertyKind kind;
        size_t offset;
} Property;

#define AT(member) offsetof(UnitState, member)

static const Property properties[] = {
        { "ActiveState", "s", PROPERTY_WORD, AT(active) },
        { "SubState", "s", PROPERTY_WORD, AT(sub) },
        { "LoadState", "s", PROPERTY_WORD, AT(load) },
        { "UnitFileState", "s", PROPERTY_WORD, AT(file) },
        { "Type", "s", PROPERTY_WORD, AT(type) },
        { "Result", "s", PROPERTY_WORD, AT(result) },
        { "Id", "s", PROPERTY_STRING, AT(id) },
        { "ControlGroup", "s", PROPERTY_STRING, AT(cgroup) },
        { "InvocationID", "ay", PROPERTY_ID, AT(invocation) },
        { "Job", "(uo)", PROPERTY_JOB, AT(job) },
        { "NRestarts", "u", PROPERTY_UINT32, AT(n_restarts) },
        { "MainPID", "u", PROPERTY_UINT32, AT(main_pid) },
        { "ExecMainCode", "i", PROPERTY_INT32, AT(exit_code) },
        { "ExecMainStatus", "i", PROPERTY_INT32, AT(exit_status) },
        { "ConditionResult", "b", PROPERTY_BOOL, AT(condition) },
        { "ConditionTimestampMonotonic", "t", PROPERTY_UINT64, AT(condition_time) },
        { "StateChangeTimestampMonotonic", "t", PROPERTY_UINT64, AT(changed) },
};

void unit_state_deinit(UnitState *s)
{
        free(s->id);
        free(s->cgroup);
        free(s->job_path);
        *s = (UnitState){ 0 };
}

static const Property *property_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (strcmp(properties[i].name, name) == 0)
                        return &properties[i];
        return NULL;
}

bool unit_state_wants(const char *property)
{
        return property_find(property) != NULL;
}

static int string_set(char **s, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return err_origin(-ENOMEM);
        free(*s);
        *s = copy;
        return 0;
}

static int id_read(uint8_t id[16], sd_bus_message *m)
{
        const void *bytes;
        size_t len;
        int r = sd_bus_message_read_array(m, 'y', &bytes, &len);

        if (r < 0)
                return r;
        memset(id, 0, 16);
        if (len == 16)
                memcpy(id, bytes, 16);
        return 0;
}

static int job_read(UnitState *s, sd_bus_message *m)
{
        const char *path;
        int r = sd_bus_message_read(m, "(uo)", &s->job, &path);

        return r < 0 ? r : string_set(&s->job_path, path);
}

/* Reads one value whose type was checked. */
static int value_read(UnitState *s, const Property *p, sd_bus_message *m)
{
        char *place = (char *)s + p->offset;
        const char *text;
        int r;

        switch (p->kind) {
        case PROPERTY_WORD:
                r = sd_bus_message_read_basic(m, 's', &text);
                if (r >= 0)
                        snprintf(place, UNIT_WORD_MAX, "%s", text);
                return r;
        case PROPERTY_STRING:
                r = sd_bus_message_read_basic(m, 's', &text);
                return r < 0 ? r : string_set((char **)(void *)place, text);
        case PROPERTY_UINT32:
        case PROPERTY_INT32:
        case PROPERTY_UINT64:
        case PROPERTY_BOOL:
                return sd_bus_message_read_basic(m, p->signature[0], place);
        case PROPERTY_ID:
                return id_read((uint8_t *)place, m);
        case PROPERTY_JOB:
                return job_read(s, m);
        }
        return err_origin(-EINVAL);
}

static int variant_read(UnitState *s, const char *name, sd_bus_message *m)
{
        const Property *p = property_find(name);
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(m, &type, &contents);

        if (r < 0)
                return r;
        if (!p || type != 'v' || strcmp(contents, p->signature) != 0)
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r >= 0)
                r = value_read(s, p, m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int unit_state_read(UnitState *s, sd_bus_message *m)
{
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = variant_read(s, name, m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? err_origin(r) : 0;
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(word, words[i]) == 0)
                        return true;
        return false;
}

bool unit_state_is_up(const UnitState *s)
{
        static const char *const words[] = { "active", "reloading", "refreshing", "activating",
                                             "maintenance" };

        return is_one_of(s->active, words, ELEMENTSOF(words));
}

bool unit_state_is_down(const UnitState *s)
{
        static const char *const words[] = { "inactive", "failed" };

        return is_one_of(s->active, words, ELEMENTSOF(words));
}

bool unit_state_is_wrapper(const UnitState *s)
{
        return strcmp(s->active, "active") == 0 && strcmp(s->sub, "exited") == 0 &&
               strcmp(s->type, "oneshot") == 0;
}

bool unit_state_is_masked(const UnitState *s)
{
        return strcmp(s->load, "masked") == 0 || strncmp(s->file, "masked", strlen("masked")) == 0;
}

static RunState run_of_down(const UnitState *s, const UnitFacts *facts, const char **ret_result)
{
        bool failed = strcmp(s->active, "failed") == 0;

        if (strcmp(s->load, "not-found") == 0)
                *ret_result = "not-found";
        else if (!failed && s->condition_time > 0 && !s->condition)
                *ret_result = "condition";
        if (facts->stop_asked)
                return RUN_STOPPED;
        if (failed)
                return RUN_FAILED;
        /* Not seen up: it never ran, or ended while nobody looked, and nobody can tell any more why. */
        return facts->ran && strcmp(s->type, "oneshot") != 0 ? RUN_FAILED : RUN_STOPPED;
}

RunState unit_state_run(const UnitState *s, const UnitFacts *facts, const char **ret_result)
{
        const char *unused;

        if (!ret_result)
                ret_result = &unused;
        *ret_result = *s->result ? s->result : NULL;
        if (strcmp(s->active, "activating") == 0)
                return strncmp(s->sub, "auto-restart", strlen("auto-restart")) == 0 ? RUN_RESTARTING
                                                                                    : RUN_STARTING;
        if (strcmp(s->active, "deactivating") == 0)
                return RUN_STOPPING;
        /* A main process without a state to it: it has been forked just now. */
        if (unit_state_is_down(s) && s->main_pid != 0)
                return RUN_STARTING;
        if (unit_state_is_down(s))
                return run_of_down(s, facts, ret_result);
        if (!unit_state_is_up(s))
                return RUN_UNKNOWN;
        bool dead = strcmp(s->sub, "exited") == 0 && strcmp(s->type, "oneshot") != 0;
        if (dead || (unit_state_is_wrapper(s) && facts->emptied)) {
                *ret_result = "no-processes";
                return RUN_FAILED;
        }
        return RUN_RUNNING;
}

RunState run_state_worse(RunState a, RunState b)
{
        /* What is wrong, then what is about to change, then what is at rest. */
        static const unsigned rank[_RUN_STATE_MAX] = {
                [RUN_RUNNING] = 0, [RUN_STOPPED] = 1,    [RUN_STARTING] = 2, [RUN_STOPPING] = 3,
                [RUN_UNKNOWN] = 4, [RUN_RESTARTING] = 5, [RUN_FAILED] = 6,
        };

        return rank[a] >= rank[b] ? a : b;
}

void unit_state_exit(const UnitState *s, ServiceStatus *ret)
{
        /* While a main process runs, systemd has already forgotten how the one before ended. */
        ret->exited = s->exit_code != 0 && s->main_pid == 0;
        ret->exit_code = ret->signal = 0;
        ret->core = false;
        if (!ret->exited)
                return;
        if (s->exit_code == CLD_EXITED)
                ret->exit_code = s->exit_status;
        else
                ret->signal = s->exit_status;
        ret->core = s->exit_code == CLD_DUMPED;
}

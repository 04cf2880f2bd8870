/* fake_systemd_unit - what a unit of the fake systemd shows of itself: its properties */
#include "fake/fake_systemd_unit.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

void fake_job_path(uint32_t job, char path[64])
{
        snprintf(path, 64, FAKE_JOB_PREFIX "/%u", job);
}

static int get_strings(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append_strv(reply, *(char ***)userdata);
}

static int get_name(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "s", ((FakeUnit *)userdata)->name);
}

static int get_group(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "s", ((FakeUnit *)userdata)->control_group);
}

static int get_job(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        uint32_t job = ((FakeUnit *)userdata)->job;
        char object[64];

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        fake_job_path(job, object);
        return sd_bus_message_append(reply, "(uo)", job, job ? object : "/");
}

static int get_invocation(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        FakeUnit *u = userdata;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append_array(reply, 'y', u->invocation,
                                           u->has_invocation ? sizeof(u->invocation) : 0);
}

static int get_conditions(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        FakeUnit *u = userdata;

        (void)bus, (void)path, (void)interface, (void)error;
        if (strcmp(property, "Conditions") != 0)
                return sd_bus_message_append(reply, "a(sbbsi)", 0);
        if (u->own_triggers)
                return sd_bus_message_append(reply, "a(sbbsi)", 1, "ConditionPathExists", 1, 0,
                                             "/etc/imc.conf", 1);
        if (!u->condition_result)
                return sd_bus_message_append(reply, "a(sbbsi)", 1, "ConditionPathExists", 0, 1, "/etc/no-imc",
                                             -1);
        return sd_bus_message_append(reply, "a(sbbsi)", 0);
}

const sd_bus_vtable fake_unit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", get_name, 0, 0),
        SD_BUS_PROPERTY("LoadState", "s", NULL, offsetof(FakeUnit, load_state), 0),
        SD_BUS_PROPERTY("ActiveState", "s", NULL, offsetof(FakeUnit, active_state),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SubState", "s", NULL, offsetof(FakeUnit, sub_state),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("UnitFileState", "s", NULL, offsetof(FakeUnit, unit_file_state), 0),
        SD_BUS_PROPERTY("TriggeredBy", "as", get_strings, offsetof(FakeUnit, triggered_by), 0),
        SD_BUS_PROPERTY("ConsistsOf", "as", get_strings, offsetof(FakeUnit, consists_of), 0),
        SD_BUS_PROPERTY("ConditionResult", "b", NULL, offsetof(FakeUnit, condition_result), 0),
        SD_BUS_PROPERTY("AssertResult", "b", NULL, offsetof(FakeUnit, assert_result), 0),
        SD_BUS_PROPERTY("NeedDaemonReload", "b", NULL, offsetof(FakeUnit, need_daemon_reload), 0),
        SD_BUS_PROPERTY("StateChangeTimestampMonotonic", "t", NULL, offsetof(FakeUnit, state_change), 0),
        SD_BUS_PROPERTY("Job", "(uo)", get_job, 0, 0),
        SD_BUS_PROPERTY("InvocationID", "ay", get_invocation, 0, 0),
        SD_BUS_PROPERTY("Conditions", "a(sbbsi)", get_conditions, 0, 0),
        SD_BUS_PROPERTY("Asserts", "a(sbbsi)", get_conditions, 0, 0),
        SD_BUS_VTABLE_END,
};

const sd_bus_vtable fake_service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Type", "s", NULL, offsetof(FakeUnit, type), 0),
        SD_BUS_PROPERTY("Result", "s", NULL, offsetof(FakeUnit, result), 0),
        SD_BUS_PROPERTY("ControlGroup", "s", get_group, 0, 0),
        SD_BUS_PROPERTY("MainPID", "u", NULL, offsetof(FakeUnit, main_pid),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ExecMainPID", "u", NULL, offsetof(FakeUnit, exec_main_pid), 0),
        SD_BUS_PROPERTY("ExecMainCode", "i", NULL, offsetof(FakeUnit, exec_main_code), 0),
        SD_BUS_PROPERTY("ExecMainStatus", "i", NULL, offsetof(FakeUnit, exec_main_status), 0),
        SD_BUS_PROPERTY("NRestarts", "u", NULL, offsetof(FakeUnit, n_restarts), 0),
        SD_BUS_VTABLE_END,
};

#pragma once

/*
 * A systemd in the test's own process: the manager's and units' objects on the server end of a socketpair;
 * the code under test gets the client end and talks sd-bus to it as to the real one (with a NULL destination:
 * there is no bus daemon).
 *
 * Units do as they are scripted; every method call is logged as "METHOD ARGUMENT". Replies and signals come
 * from the loop that the test runs.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct FakeSystemd FakeSystemd;

/* What becomes of a start or stop job. */
typedef enum FakeJob {
        FAKE_JOB_DONE,    /* the unit is up (down) */
        FAKE_JOB_FAILED,  /* job result "failed", unit failed */
        FAKE_JOB_DIES,    /* start: job result "done", yet the unit is failed already */
        FAKE_JOB_ENDS,    /* start: "done", and it has ended well already */
        FAKE_JOB_SKIPPED, /* start: a condition does not hold: "done", and the unit inactive */
        FAKE_JOB_HANG,    /* it never ends; see fake_systemd_finish() */
        FAKE_JOB_LOST,    /* as DONE, but nobody is told that the job ended */
        FAKE_JOB_EARLY,   /* as DONE, but JobRemoved comes before the reply that names the job */
        FAKE_JOB_REFUSED, /* the call fails with FakeUnit.error */
} FakeJob;

/* Members may be set by tests at any time; call fake_systemd_changed() then if somebody should hear of it. */
typedef struct FakeUnit {
        char name[256];
        const char *load_state, *active_state, *sub_state, *result, *type, *unit_file_state;
        char control_group[256];
        char **triggered_by, **consists_of; /* static vectors of the test; NULL: none */
        int condition_result, assert_result, need_daemon_reload;
        bool own_triggers; /* has a triggering condition of its own */
        uint32_t main_pid, exec_main_pid, n_restarts;
        int32_t exec_main_code, exec_main_status;
        uint64_t state_change; /* StateChangeTimestampMonotonic */
        uint8_t invocation[16];
        bool has_invocation;
        FakeJob start, stop;
        const char *error; /* D-Bus error name of FAKE_JOB_REFUSED */
        uint32_t job;      /* 0: none */
        /* Called when a start or stop takes effect, for tests that have real processes. */
        void (*on_start)(struct FakeUnit *u, void *userdata);
        void (*on_stop)(struct FakeUnit *u, void *userdata);
        void *userdata;
        FakeSystemd *systemd;
} FakeUnit;

/* Fails the test on error. The bus is the client's end; it lives as long as the fake. */
FakeSystemd *fake_systemd_new(sd_event *event);
FakeSystemd *fake_systemd_free(FakeSystemd *f);
sd_bus *fake_systemd_bus(FakeSystemd *f);

/* Finds the unit, or adds it: loaded, inactive, of Type=simple; all goes well. */
FakeUnit *fake_systemd_unit(FakeSystemd *f, const char *name);
/* Enters a state and sends PropertiesChanged. */
void fake_systemd_state(FakeUnit *u, const char *active, const char *sub);
void fake_systemd_changed(FakeUnit *u);
/* Ends a job that hangs, as @how says. */
void fake_systemd_finish(FakeUnit *u, FakeJob how);

/* How often a call that begins with @call was made ("StartUnit", "StopUnit imc.service"). */
unsigned fake_systemd_calls(const FakeSystemd *f, const char *call);
/* The number of the first such call, counted from 0; -1: none. For the order of things. */
int fake_systemd_call_index(const FakeSystemd *f, const char *call);
void fake_systemd_forget_calls(FakeSystemd *f);

/* From now on no call is answered. */
void fake_systemd_mute(FakeSystemd *f);
/* The connection breaks. */
void fake_systemd_disconnect(FakeSystemd *f);
/* The next Reload fails with this D-Bus error; NULL: it works. A reload that works
 * clears need_daemon_reload. */
void fake_systemd_fail_reload(FakeSystemd *f, const char *error);

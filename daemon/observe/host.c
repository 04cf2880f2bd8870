/*
 * host - shutdown and clock jumps
 *
 * Made by main, one for all services; read by the engine, for which nothing is a failure any more once the
 * host goes down.
 *
 * Shutdown is known from three sides, whichever comes first: logind announces it (PrepareForShutdown),
 * systemd queues a job for shutdown.target, and its SystemState is "stopping" when this source starts. A
 * shutdown that is called off (the job is cancelled, logind says so) is reported as over. The clock: a timer
 * that the kernel cancels when CLOCK_REALTIME is set.
 */
#include "observe/host.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"
#define PROPERTIES   "org.freedesktop.DBus.Properties"

typedef struct HostSource {
        Source source;
        SourceContext context;
        SystemdSignals *signals; /* or NULL */
        SignalListener listener;
        sd_bus_slot *state;
        sd_event_source *clock;
        int clock_fd;
        bool shutdown;
        uint32_t job; /* of shutdown.target, 0: none */
} HostSource;

static void report(HostSource *h, bool clock_jump)
{
        Observation o = {
                .kind = OBSERVATION_HOST,
                .host = { .shutdown = h->shutdown, .clock_jump = clock_jump },
        };

        source_emit(&h->context, &o);
}

static void shutdown_set(HostSource *h, bool shutdown)
{
        if (h->shutdown == shutdown)
                return;
        h->shutdown = shutdown;
        report(h, false);
}

/* Clock */

/* A timer that never expires, and is cancelled when the clock is set. */
static int clock_arm(HostSource *h)
{
        const struct itimerspec never = { .it_value.tv_sec = (time_t)1 << 33 };

        if (timerfd_settime(h->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
                return err_origin(-errno);
        return 0;
}

static int on_clock(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        HostSource *h = userdata;
        uint64_t n;

        (void)io;
        (void)revents;
        bool jumped = read(fd, &n, sizeof(n)) < 0 && errno == ECANCELED;
        (void)clock_arm(h);
        if (jumped)
                report(h, true);
        return 0;
}

static int clock_watch(HostSource *h)
{
        h->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (h->clock_fd < 0)
                return err_origin(-errno);
        int r = clock_arm(h);
        if (r >= 0)
                r = sd_event_add_io(h->context.event, &h->clock, h->clock_fd, EPOLLIN, on_clock, h);
        return r < 0 ? err_trace(r) : 0;
}

/* Shutdown */

static void on_job_new(void *userdata, const char *unit, uint32_t id, const char *path)
{
        HostSource *h = userdata;

        (void)path;
        if (strcmp(unit, "shutdown.target") != 0)
                return;
        h->job = id;
        shutdown_set(h, true);
}

static void on_job_removed(void *userdata, uint32_t id, const char *result)
{
        HostSource *h = userdata;

        if (id == 0 || id != h->job)
                return;
        h->job = 0;
        if (strcmp(result, "done") != 0)
                shutdown_set(h, false);
}

static void on_shutdown(void *userdata, bool begins)
{
        shutdown_set(userdata, begins);
}

static int on_system_state(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *state;

        (void)error;
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "v", "s", &state) >= 0 &&
            strcmp(state, "stopping") == 0)
                shutdown_set(userdata, true);
        return 0;
}

static int state_ask(HostSource *h)
{
        h->job = 0;
        h->state = sd_bus_slot_unref(h->state);
        return sd_bus_call_method_async(systemd_signals_bus(h->signals), &h->state,
                                        systemd_signals_destination(h->signals), MANAGER_PATH, PROPERTIES,
                                        "Get", on_system_state, h, "ss", MANAGER, "SystemState");
}

static void on_connected(void *userdata)
{
        (void)state_ask(userdata);
}

static int host_start(Source *source)
{
        HostSource *h = (HostSource *)source;

        if (!h->signals)
                return 0;
        int r = systemd_signals_listen(h->signals, &h->listener);
        if (r == 0 && systemd_signals_bus(h->signals))
                r = state_ask(h);
        return r < 0 ? err_trace(r) : 0;
}

static int host_refresh(Source *source)
{
        HostSource *h = (HostSource *)source;

        if (h->shutdown)
                report(h, false);
        return 0;
}

static Source *host_free(Source *source)
{
        HostSource *h = (HostSource *)source;

        systemd_signals_leave(&h->listener);
        sd_bus_slot_unref(h->state);
        sd_event_source_disable_unref(h->clock);
        closep(&h->clock_fd);
        free(h);
        return NULL;
}

static const SourceOps host_ops = {
        .start = host_start,
        .refresh = host_refresh,
        .free = host_free,
};

int host_source_new(Source **ret, const SourceContext *context, SystemdSignals *signals)
{
        HostSource *h = calloc(1, sizeof(*h));
        _cleanup_(source_freep) Source *source = (Source *)h;

        if (!h)
                return err_origin(-ENOMEM);
        h->source = (Source){ .ops = &host_ops, .name = "host" };
        h->context = *context;
        h->signals = signals;
        h->listener = (SignalListener){
                .userdata = h,
                .connected = on_connected,
                .job_new = on_job_new,
                .job_removed = on_job_removed,
                .shutdown = on_shutdown,
        };
        h->clock_fd = -1;
        int r = clock_watch(h);
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(source);
        return 0;
}

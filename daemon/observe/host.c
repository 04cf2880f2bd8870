/*
 * host - shutdown and clock jumps
 *
 * Made by main; read by the engine, for which nothing is a failure any more once the host goes down.
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

typedef struct HostSource {
        Source source;
        SourceContext context;
        sd_bus *bus;
        const char *destination;
        sd_bus_slot *slots[6];
        size_t n_slots;
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

static int on_job_new(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        HostSource *h = userdata;
        const char *path, *unit;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(m, "uos", &id, &path, &unit) < 0 || strcmp(unit, "shutdown.target") != 0)
                return 0;
        h->job = id;
        shutdown_set(h, true);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        HostSource *h = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0 || id == 0 || id != h->job)
                return 0;
        h->job = 0;
        if (strcmp(result, "done") != 0)
                shutdown_set(h, false);
        return 0;
}

static int on_prepare(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        int begins;

        (void)error;
        if (sd_bus_message_read(m, "b", &begins) >= 0)
                shutdown_set(userdata, begins);
        return 0;
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

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        /* An error says that this connection has subscribed already. */
        (void)m;
        (void)userdata;
        (void)error;
        return 0;
}

static void bus_drop(HostSource *h)
{
        while (h->n_slots > 0) {
                h->n_slots--;
                h->slots[h->n_slots] = sd_bus_slot_unref(h->slots[h->n_slots]);
        }
        h->bus = sd_bus_unref(h->bus);
        h->job = 0;
}

static int bus_watch(HostSource *h)
{
        sd_bus_slot **slot = h->slots;
        const char *to = h->destination;
        int r;

        r = sd_bus_match_signal_async(h->bus, slot++, to, MANAGER_PATH, MANAGER, "JobNew", on_job_new, NULL,
                                      h);
        if (r >= 0)
                r = sd_bus_match_signal_async(h->bus, slot++, to, MANAGER_PATH, MANAGER, "JobRemoved",
                                              on_job_removed, NULL, h);
        if (r >= 0 && to)
                r = sd_bus_match_signal_async(h->bus, slot++, "org.freedesktop.login1",
                                              "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
                                              "PrepareForShutdown", on_prepare, NULL, h);
        if (r >= 0)
                r = sd_bus_call_method_async(h->bus, slot++, to, MANAGER_PATH, MANAGER, "Subscribe",
                                             on_subscribed, h, NULL);
        if (r >= 0)
                r = sd_bus_call_method_async(h->bus, slot++, to, MANAGER_PATH,
                                             "org.freedesktop.DBus.Properties", "Get", on_system_state, h,
                                             "ss", MANAGER, "SystemState");
        h->n_slots = (size_t)(slot - h->slots);
        return r < 0 ? err_origin(r) : 0;
}

int host_source_set_bus(Source *source, sd_bus *bus)
{
        HostSource *h = (HostSource *)source;

        bus_drop(h);
        if (!bus)
                return 0;
        h->bus = sd_bus_ref(bus);
        int r = bus_watch(h);
        if (r < 0)
                bus_drop(h);
        return r < 0 ? err_trace(r) : 0;
}

static int host_start(Source *source)
{
        HostSource *h = (HostSource *)source;

        return h->bus ? bus_watch(h) : 0;
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

        bus_drop(h);
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

int host_source_new(Source **ret, const SourceContext *context, sd_bus *bus, const char *destination)
{
        HostSource *h = calloc(1, sizeof(*h));
        _cleanup_(source_freep) Source *source = (Source *)h;

        if (!h)
                return err_origin(-ENOMEM);
        h->source = (Source){ .ops = &host_ops, .name = "host" };
        h->context = *context;
        h->destination = destination;
        h->clock_fd = -1;
        int r = clock_watch(h);
        if (r < 0)
                return err_trace(r);
        h->bus = bus ? sd_bus_ref(bus) : NULL;
        *ret = TAKE_PTR(source);
        return 0;
}

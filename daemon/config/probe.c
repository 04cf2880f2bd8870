/*
 * probe - the lists `probes` of a service
 *
 * Called by the reader of services. Addresses are numeric: resolving a name could block, and a watchdog that
 * cannot reach its name server must not take that for a dead mail server.
 * Test: tests/unit/test_config_probe.c; its faults are in tests/unit/test_config_rule.c.
 */
#include "config/parts.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

DEFINE_WORDS(probe_kind, ProbeKind)

/* Is it asked through a socket? */
static bool probe_connects(ProbeKind kind)
{
        switch (kind) {
        case PROBE_SMTP:
        case PROBE_LMTP:
        case PROBE_TCP:
        case PROBE_UNIX:
                return true;
        case PROBE_EXEC:
        case PROBE_HEARTBEAT:
        case PROBE_CANARY:
        case _PROBE_KIND_MAX:
        case _PROBE_KIND_INVALID:
                return false;
        }
        return false;
}

/* strtoul alone would take signs and blanks. */
static bool port_is_valid(const char *text)
{
        char *end;
        unsigned long port = strtoul(text, &end, 10);

        return *text >= '0' && *text <= '9' && *end == '\0' && port > 0 && port <= 65535;
}

/* "127.0.0.1:25" or "[::1]:25". */
static bool address_is_valid(const char *text)
{
        const char *colon = strrchr(text, ':');
        char host[INET6_ADDRSTRLEN];
        struct in6_addr in6;
        struct in_addr in;
        bool bracketed;
        size_t len;

        if (!colon || !port_is_valid(colon + 1))
                return false;
        bracketed = text[0] == '[' && colon > text + 2 && colon[-1] == ']';
        len = (size_t)(colon - text) - (bracketed ? 2 : 0);
        if (len >= sizeof(host))
                return false;
        memcpy(host, text + (bracketed ? 1 : 0), len);
        host[len] = '\0';
        return inet_pton(bracketed ? AF_INET6 : AF_INET, host, bracketed ? (void *)&in6 : (void *)&in) == 1;
}

static void address_read(Loader *l, const config_setting_t *s, void *target)
{
        ProbeSettings *p = target;
        const char *text = config_setting_get_string(s);

        if (!text || !address_is_valid(text)) {
                loader_fault(
                        l, s,
                        "address: %s%s%s is no address; write numbers and a port such as \"127.0.0.1:25\" or "
                        "\"[::1]:25\"",
                        text ? "\"" : "", text ? text : "this", text ? "\"" : "");
                return;
        }
        p->address = strdup(text);
        if (!p->address)
                loader_fail(l, -ENOMEM);
}

const Key probe_keys[] = {
        WORD("type", ProbeSettings, kind, probe_kind_words),
        CUSTOM("address", address_read),
        PLAIN("path", KEY_PATH, ProbeSettings, path),
        PLAIN("command", KEY_ARGV, ProbeSettings, command),
        RANGE("interval", KEY_TIME, ProbeSettings, interval, 100 * USEC_PER_MSEC, USEC_PER_DAY),
        RANGE("timeout", KEY_TIME, ProbeSettings, timeout, 10 * USEC_PER_MSEC, USEC_PER_HOUR),
        RANGE("failures", KEY_COUNT, ProbeSettings, failures, 1, 1000),
        RANGE("slow", KEY_TIME, ProbeSettings, slow, USEC_PER_MSEC, USEC_PER_HOUR),
        PLAIN("submit", KEY_ARGV, ProbeSettings, submit),
        PLAIN("arrives", KEY_PATH, ProbeSettings, arrives),
        RANGE("within", KEY_TIME, ProbeSettings, within, 100 * USEC_PER_MSEC, USEC_PER_DAY),
        {},
};

/* Where it connects to: an address or a path, as the type wants it. */
static void target_check(Loader *l, const config_setting_t *group, const ProbeSettings *p)
{
        struct sockaddr_un local;

        if (p->kind == PROBE_TCP)
                loader_forbid(l, group, "path", "is not for type \"tcp\"");
        if (p->kind == PROBE_UNIX)
                loader_forbid(l, group, "address", "is not for type \"unix\"");
        if (p->kind == PROBE_UNIX)
                loader_require(l, group, "path", "path = \"/path/of/socket\"");
        else if (p->kind == PROBE_TCP || !config_setting_get_member(group, "path"))
                loader_require(l, group, "address", "address = \"127.0.0.1:25\"");
        else
                loader_forbid(l, group, "address", "does not go with path beside it");
        if (p->path && strlen(p->path) >= sizeof(local.sun_path))
                loader_fault(l, setting_member(group, "path"),
                             "path: is longer than %zu bytes; write a shorter path of the socket",
                             sizeof(local.sun_path) - 1);
}

static void canary_check(Loader *l, const config_setting_t *group, bool is_canary)
{
        static const char *const keys[] = { "submit", "arrives", "within" };

        for (size_t i = 0; !is_canary && i < ELEMENTSOF(keys); i++)
                loader_forbid(l, group, keys[i], "is for type \"canary\" only");
        if (!is_canary)
                return;
        loader_require(l, group, "submit",
                       "submit = [ \"/usr/sbin/sendmail\", \"-i\", \"canary@localhost\" ]");
        loader_require(l, group, "arrives", "arrives = \"/path/of/Maildir\"");
}

/* Which keys a type needs can only be said when all of them are read. */
static void probe_read(Loader *l, const config_setting_t *group, void *item)
{
        ProbeSettings *p = item;

        *p = (ProbeSettings){
                .kind = _PROBE_KIND_INVALID,
                .interval = 15 * USEC_PER_SEC,
                .timeout = 5 * USEC_PER_SEC,
                .failures = 3,
                .within = USEC_PER_MIN,
        };
        keys_read(l, group, probe_keys, p);
        if (!config_setting_is_group(group) ||
            !loader_require(l, group, "type", "type = \"smtp\", \"tcp\" or \"exec\"") || p->kind < 0)
                return;
        if (probe_connects(p->kind))
                target_check(l, group, p);
        else
                loader_forbid(l, group, "address", "is for types that connect");
        if (p->kind == PROBE_EXEC || p->kind == PROBE_CANARY)
                loader_forbid(l, group, "path", "is for local sockets and heartbeats");
        if (p->kind == PROBE_EXEC)
                loader_require(l, group, "command", "command = [ \"/path/of/program\" ]");
        else
                loader_forbid(l, group, "command", "is for type \"exec\" only");
        canary_check(l, group, p->kind == PROBE_CANARY);
}

void probes_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;
        unsigned sockets = 0;

        service->probes = groups_read(l, s, sizeof(ProbeSettings), &service->n_probes, probe_read);
        for (size_t i = 0; i < service->n_probes; i++) {
                const ProbeSettings *p = &service->probes[i];

                /* The socket is named after the service. */
                sockets += p->kind == PROBE_HEARTBEAT && !p->path;
                if (p->kind == PROBE_HEARTBEAT && !p->path && sockets == 2)
                        loader_fault(
                                l, config_setting_get_elem(s, (unsigned)i),
                                "probes: a second heartbeat by datagram; write path = \"/path/of/file\", or "
                                "remove it");
        }
}

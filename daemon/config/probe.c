/*
 * probe - the lists `probes` of a service
 *
 * Called by the reader of services. Addresses are numeric: resolving a name could block, and a watchdog that
 * cannot reach its name server must not take that for a dead mail server.
 * Test: tests/unit/test_config_probe.c; its faults are in tests/unit/test_config_rule.c.
 */
#include "config/parts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

DEFINE_WORDS(probe_kind, ProbeKind)

/* Since which issue a type is there is known here alone. */
static bool probe_kind_supported(ProbeKind kind)
{
        switch (kind) {
        case PROBE_SMTP:
        case PROBE_TCP:
        case PROBE_EXEC:
                return true;
        case PROBE_LMTP:
        case PROBE_UNIX:
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
        LATER("path"),
        PLAIN("command", KEY_ARGV, ProbeSettings, command),
        RANGE("interval", KEY_TIME, ProbeSettings, interval, 100 * USEC_PER_MSEC, USEC_PER_DAY),
        RANGE("timeout", KEY_TIME, ProbeSettings, timeout, 10 * USEC_PER_MSEC, USEC_PER_HOUR),
        RANGE("failures", KEY_COUNT, ProbeSettings, failures, 1, 1000),
        RANGE("slow", KEY_TIME, ProbeSettings, slow, USEC_PER_MSEC, USEC_PER_HOUR),
        LATER("submit"),
        LATER("arrives"),
        LATER("within"),
        {},
};

/* A type of a later issue brings keys of its own: one fault is enough for such a probe. */
static bool probe_is_later(Loader *l, const config_setting_t *group)
{
        const config_setting_t *s =
                config_setting_is_group(group) ? config_setting_get_member(group, "type") : NULL;
        const char *type = s ? config_setting_get_string(s) : NULL;
        ProbeKind kind = type ? probe_kind_from_string(type) : _PROBE_KIND_INVALID;

        if (kind < 0 || probe_kind_supported(kind))
                return false;
        loader_fault(l, s,
                     "type: \"%s\" is not supported yet; remove this probe, or write \"smtp\", \"tcp\" or "
                     "\"exec\"",
                     type);
        return true;
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
        };
        if (probe_is_later(l, group))
                return;
        keys_read(l, group, probe_keys, p);
        if (!config_setting_is_group(group) ||
            !loader_require(l, group, "type", "type = \"smtp\", \"tcp\" or \"exec\""))
                return;
        if (p->kind == PROBE_EXEC) {
                loader_require(l, group, "command", "command = [ \"/path/of/program\" ]");
                loader_forbid(l, group, "address", "is not for type \"exec\"");
        } else if (p->kind == PROBE_SMTP || p->kind == PROBE_TCP) {
                loader_require(l, group, "address", "address = \"127.0.0.1:25\"");
                loader_forbid(l, group, "command", "is for type \"exec\" only");
        }
}

void probes_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        service->probes = groups_read(l, s, sizeof(ProbeSettings), &service->n_probes, probe_read);
}

/*
 * probe_smtp - does the service speak SMTP, or LMTP?
 *
 * Started by the scheduler (probe.c), which keeps one deadline over the whole dialogue: banner, EHLO (HELO
 * where EHLO is unknown; LHLO in LMTP), NOOP, QUIT. That goes past the listening process into the one that
 * talks, and touches no mail. Commands are sent one at a time, as a client without PIPELINING has to, and
 * greets with an address literal, which is always valid.
 *
 * A reply with another code than the one asked for, a connection that closes early, or bytes that are no SMTP
 * are failures, and the detail says at which command and with which words. After QUIT, closing without a word
 * is fine.
 *
 * Tests: tests/unit/test_probe.c.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/attempt.h"
#include "observe/dial.h"
#include "observe/smtp_reply.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

typedef enum SmtpStage {
        SMTP_CONNECT,
        SMTP_BANNER,
        SMTP_EHLO,
        SMTP_HELO,
        SMTP_LHLO,
        SMTP_NOOP,
        SMTP_QUIT,
        _SMTP_STAGE_MAX,
} SmtpStage;

static const char *const waits[_SMTP_STAGE_MAX] = {
        [SMTP_CONNECT] = "the connection",  [SMTP_BANNER] = "the banner",
        [SMTP_EHLO] = "the answer to EHLO", [SMTP_HELO] = "the answer to HELO",
        [SMTP_LHLO] = "the answer to LHLO", [SMTP_NOOP] = "the answer to NOOP",
        [SMTP_QUIT] = "the answer to QUIT",
};

typedef struct SmtpAttempt {
        Attempt attempt;
        AttemptSpec spec;
        Dial *dial;
        int fd;
        sd_event_source *io;
        SmtpStage stage;
        SmtpReply reply;
        char literal[INET6_ADDRSTRLEN + 16]; /* what it greets with */
        char command[INET6_ADDRSTRLEN + 32];
        size_t sent, len; /* of command */
} SmtpAttempt;

/* The verdict; the attempt may be freed when it returns. */
static int verdict(SmtpAttempt *s, bool ok, const char *detail)
{
        if (s->io)
                (void)sd_event_source_set_enabled(s->io, SD_EVENT_OFF);
        s->spec.done(s->spec.userdata, ok, detail);
        return 0;
}

static int verdict_failed(SmtpAttempt *s, const char *what, const char *words)
{
        _cleanup_(freep) char *clean = text_to_utf8(words, strlen(words), 0), *detail = NULL;

        if (asprintf(&detail, "%s %s: %s", what, waits[s->stage], clean ? clean : "") < 0)
                detail = NULL;
        return verdict(s, false, detail ? detail : what);
}

/* "[127.0.0.1]" or "[IPv6:::1]" of our own end; a local socket has no address, and the former will do. */
static void literal_make(SmtpAttempt *s)
{
        struct sockaddr_storage own = { 0 };
        socklen_t len = sizeof(own);
        char text[INET6_ADDRSTRLEN] = "127.0.0.1";
        bool six;

        (void)getsockname(s->fd, (struct sockaddr *)&own, &len);
        six = own.ss_family == AF_INET6;
        if (six)
                (void)inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&own)->sin6_addr, text, sizeof(text));
        else if (own.ss_family == AF_INET)
                (void)inet_ntop(AF_INET, &((struct sockaddr_in *)&own)->sin_addr, text, sizeof(text));
        snprintf(s->literal, sizeof(s->literal), "[%s%s]", six ? "IPv6:" : "", text);
}

/* Enters @stage with its command, which on_io() sends. */
static void stage_enter(SmtpAttempt *s, SmtpStage stage)
{
        const char *verb = NULL;

        s->stage = stage;
        s->sent = s->len = 0;
        switch (stage) {
        case SMTP_EHLO:
                verb = "EHLO ";
                break;
        case SMTP_HELO:
                verb = "HELO ";
                break;
        case SMTP_LHLO:
                verb = "LHLO ";
                break;
        case SMTP_NOOP:
                verb = "NOOP";
                break;
        case SMTP_QUIT:
                verb = "QUIT";
                break;
        case SMTP_CONNECT:
        case SMTP_BANNER:
        case _SMTP_STAGE_MAX:
                break;
        }
        if (verb) {
                int n = snprintf(s->command, sizeof(s->command), "%s%s\r\n", verb,
                                 strchr(verb, ' ') ? s->literal : "");
                s->len = (size_t)n;
        }
        (void)sd_event_source_set_io_events(s->io, s->len > 0 ? EPOLLOUT : EPOLLIN);
}

/* A whole reply has come. Return: true if the dialogue goes on. */
static bool reply_take(SmtpAttempt *s)
{
        static const struct {
                int code;
                SmtpStage next;
        } steps[_SMTP_STAGE_MAX] = {
                [SMTP_BANNER] = { 220, SMTP_EHLO }, [SMTP_EHLO] = { 250, SMTP_NOOP },
                [SMTP_HELO] = { 250, SMTP_NOOP },   [SMTP_LHLO] = { 250, SMTP_NOOP },
                [SMTP_NOOP] = { 250, SMTP_QUIT },
        };

        if (s->stage == SMTP_QUIT) {
                verdict(s, true, "");
                return false;
        }
        if (s->stage == SMTP_EHLO && (s->reply.code == 500 || s->reply.code == 502)) {
                stage_enter(s, SMTP_HELO);
                return true;
        }
        if (s->reply.code != steps[s->stage].code) {
                verdict_failed(s, "refused in", s->reply.text);
                return false;
        }
        bool lmtp = s->stage == SMTP_BANNER && s->spec.probe->kind == PROBE_LMTP;
        stage_enter(s, lmtp ? SMTP_LHLO : steps[s->stage].next);
        return true;
}

static int on_readable(SmtpAttempt *s, int fd)
{
        char buffer[4096];
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0 && s->stage == SMTP_QUIT)
                return verdict(s, true, "");
        if (n < 0)
                return verdict_failed(s, "waiting for", strerror(errno));
        if (n == 0)
                return verdict_failed(s, "waiting for", "the server closed the connection");
        for (ssize_t i = 0; i < n; i++) {
                int r = smtp_reply_feed(&s->reply, buffer[i]);
                if (r == SMTP_REPLY_E_WRONG)
                        return verdict_failed(s, "no SMTP in", s->reply.text);
                if (r == 0 && !reply_take(s))
                        return 0;
                if (r == 0 && i + 1 < n)
                        return verdict_failed(s, "the server speaks before", "it sent more than one reply");
        }
        return 0;
}

static int on_writable(SmtpAttempt *s, int fd)
{
        ssize_t n = send(fd, s->command + s->sent, s->len - s->sent, MSG_NOSIGNAL);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0
                                                         : verdict_failed(s, "waiting for", strerror(errno));
        s->sent += (size_t)n;
        if (s->sent == s->len)
                (void)sd_event_source_set_io_events(s->io, EPOLLIN);
        return 0;
}

static int on_io(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        SmtpAttempt *s = userdata;
        bool sending = s->sent < s->len && !(revents & (EPOLLIN | EPOLLHUP | EPOLLERR));

        (void)io;
        return sending ? on_writable(s, fd) : on_readable(s, fd);
}

static void on_dialled(void *userdata, int r, int fd)
{
        SmtpAttempt *s = userdata;

        s->fd = fd;
        if (r >= 0)
                r = sd_event_add_io(s->spec.event, &s->io, fd, EPOLLIN, on_io, s);
        if (r < 0) {
                (void)verdict(s, false, strerror(-r));
                return;
        }
        literal_make(s);
        stage_enter(s, SMTP_BANNER);
}

static const char *smtp_waits_for(const Attempt *a)
{
        return waits[((const SmtpAttempt *)a)->stage];
}

static void smtp_free(Attempt *a)
{
        SmtpAttempt *s = (SmtpAttempt *)a;

        dial_free(s->dial);
        sd_event_source_disable_unref(s->io);
        closep(&s->fd);
        free(s);
}

static const AttemptOps smtp_ops = { .waits_for = smtp_waits_for, .free = smtp_free };

int probe_smtp_start(Attempt **ret, const AttemptSpec *spec)
{
        SmtpAttempt *s = calloc(1, sizeof(*s));

        if (!s)
                return err_origin(-ENOMEM);
        s->attempt.ops = &smtp_ops;
        s->spec = *spec;
        s->fd = -1;
        int r = dial_start(&s->dial, spec->event, spec->probe, on_dialled, s);
        if (r < 0) {
                smtp_free(&s->attempt);
                return r;
        }
        *ret = &s->attempt;
        return 0;
}

/*
 * verb_operate - unjamctl pause, resume, recover, restore, reload
 *
 * Each asks the daemon, which records it, and says what came of it.
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/ctl.h"
#include "ctl/print.h"
#include "ctl/story.h"

#include "base/cleanup.h"

#include <string.h>

/* Asks, and says @done (with the service) if it was done at once. */
static int operate(const Ctl *c, const char *verb, json_t *args, const char *done)
{
        json_t *body = NULL;
        const char *text;
        int r;

        r = ctl_ask(c, verb, args, &body);
        if (r != CTL_DONE)
                return r;
        text = json_string_value(json_object_get(body, "text"));
        if (c->json)
                r = ctl_print_json(c, body);
        else if (json_is_true(json_object_get(body, "queued")))
                fprintf(c->out, "Queued: %s\n", text ? text : "it will be done later");
        else
                fprintf(c->out, "%s\n", done);
        json_decref(body);
        return r;
}

static int operate_service(const Ctl *c, const char *verb, json_t *args, const char *service,
                           const char *what)
{
        _cleanup_(freep) char *done = NULL;

        if (asprintf(&done, "%s: %s", service, what) < 0) {
                json_decref(args);
                ctl_error("out of memory");
                return CTL_REFUSED;
        }
        return operate(c, verb, args, done);
}

int verb_pause(Ctl *c, char **argv)
{
        usec_t length = c->options.length ? c->options.length : USEC_PER_HOUR;
        char what[64], buf[32];

        snprintf(what, sizeof(what), "paused for %s", usec_format(buf, sizeof(buf), length));
        return operate_service(c, "pause",
                               json_pack("{s:s, s:I, s:s*}", "service", argv[0], "for_usec",
                                         (json_int_t)length, "reason", c->options.reason),
                               argv[0], what);
}

int verb_resume(Ctl *c, char **argv)
{
        return operate_service(c, "resume", json_pack("{s:s}", "service", argv[0]), argv[0],
                               "the pause has ended");
}

int verb_recover(Ctl *c, char **argv)
{
        return operate_service(c, "recover", json_pack("{s:s}", "service", argv[0]), argv[0],
                               "a recovery has begun; `unjamctl watch` follows it");
}

int verb_restore(Ctl *c, char **argv)
{
        Story story;
        int r;

        /* The daemon wants to know whose incident it is; the trail says. */
        r = ctl_read_story(c, argv[0], &story);
        if (r != CTL_DONE)
                return r;
        r = operate_service(c, "restore",
                            json_pack("{s:s, s:s}", "service", story.service, "incident", story.incident),
                            story.service, "what the incident held is back in its stores");
        story_deinit(&story);
        return r;
}

int verb_reload(Ctl *c, char **argv)
{
        (void)argv;
        return operate(c, "reload", NULL, "The new configuration is in use.");
}

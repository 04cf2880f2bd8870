/*
 * verb_quarantine - unjamctl quarantine list, show, release, delete
 *
 * list and show read the quarantines of all stores themselves; release and delete are the daemon's to do, one
 * message at a time. Only delete unlinks mail, and only this verb can ask for it.
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/ctl.h"
#include "ctl/print.h"
#include "ctl/shelf.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const char *word(const json_t *j, const char *name)
{
        const char *s = json_string_value(json_object_get(j, name));

        return s ? s : "";
}

/* All records. Return: an exit code. */
static int read_shelf(const Ctl *c, const char *service, json_t **ret)
{
        const Settings *settings = ctl_settings(c);
        _cleanup_(freep) char *path = NULL;
        int r;

        if (!settings)
                return CTL_REFUSED;
        r = shelf_read(settings, service, ret, &path);
        if (r < 0) {
                ctl_error("%s: %s%s", path ? path : "quarantine", strerror(-r),
                          r == -EACCES ? "; try again with sudo" : "");
                return CTL_REFUSED;
        }
        return CTL_DONE;
}

static json_int_t total_size(const json_t *message)
{
        json_int_t size = 0;
        const json_t *file;
        size_t i;

        json_array_foreach(json_object_get(message, "files"), i, file) size +=
                json_integer_value(json_object_get(file, "size"));
        return size;
}

/* The evidence in words: "held_open odd_kind". NULL: none, or no memory. */
static char *evidence_text(const json_t *message)
{
        char **list = NULL, *text;
        const json_t *e;
        size_t i;

        json_array_foreach(json_object_get(message, "evidence"), i,
                           e) if (json_is_string(e) && strv_append(&list, json_string_value(e)) < 0) break;
        text = list ? strv_join(list, " ") : NULL;
        strv_free(list);
        return text;
}

/* Whose quarantine is it in? The server may have let it go without us. */
static const char *holder(const json_t *message)
{
        if (!json_is_true(json_object_get(message, "native")))
                return "unjamd";
        return json_is_true(json_object_get(message, "left")) ? "nobody: it has left the server's hold"
                                                              : "the server";
}

static int print_list(const Ctl *c, const json_t *list)
{
        static const Column columns[] = { { .title = "ID" },      { .title = "QUARANTINED (UTC)" },
                                          { .title = "SERVICE" }, { .title = "STORE" },
                                          { .title = "MESSAGE" }, { .title = "SIZE", .right = true },
                                          { .title = "WHY" },     { .title = "INCIDENT" },
                                          { .title = "HELD BY" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *m;
        size_t i;

        json_array_foreach(list, i, m)
        {
                _cleanup_(freep) char *why = evidence_text(m);
                char time[24], size[24];

                snprintf(size, sizeof(size), "%" JSON_INTEGER_FORMAT, total_size(m));
                if (!t ||
                    table_add(t, (const char *const[]){ word(m, "quarantine"),
                                                        print_time(time, word(m, "quarantined_at")),
                                                        word(m, "service"), word(m, "store"), word(m, "id"),
                                                        size, why, word(m, "incident"), holder(m) }) < 0) {
                        ctl_error("out of memory");
                        return CTL_REFUSED;
                }
        }
        if (json_array_size(list) == 0)
                fputs("Nothing is in quarantine.\n", c->out);
        else
                table_print(t, c->out, c->colour);
        return CTL_DONE;
}

int verb_quarantine_list(Ctl *c, char **argv)
{
        json_t *list = NULL;
        int r;

        r = read_shelf(c, argv[0], &list);
        if (r != CTL_DONE)
                return r;
        r = c->json ? ctl_print_json(c, list) : print_list(c, list);
        json_decref(list);
        return r;
}

static void print_line(const Ctl *c, const char *title, const char *text)
{
        _cleanup_(freep) char *clean = text && *text ? print_clean(text) : NULL;

        if (clean)
                fprintf(c->out, "%s%-12s%s %s\n", style_on(c->colour, STYLE_BOLD), title,
                        style_off(c->colour, STYLE_BOLD), clean);
}

static void print_files(const Ctl *c, const json_t *message)
{
        static const Column columns[] = { { .title = "TYPE" },        { .title = "SIZE", .right = true },
                                          { .title = "MODE" },        { .title = "OWNER" },
                                          { .title = "MTIME (UTC)" }, { .title = "WHERE IT WAS" },
                                          { .title = "SHA-256" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *f;
        size_t i;

        json_array_foreach(json_object_get(message, "files"), i, f)
        {
                char size[24], owner[40], time[24];

                snprintf(size, sizeof(size), "%" JSON_INTEGER_FORMAT,
                         json_integer_value(json_object_get(f, "size")));
                snprintf(owner, sizeof(owner), "%" JSON_INTEGER_FORMAT ":%" JSON_INTEGER_FORMAT,
                         json_integer_value(json_object_get(f, "uid")),
                         json_integer_value(json_object_get(f, "gid")));
                if (!t || table_add(t, (const char *const[]){ word(f, "type"), size, word(f, "mode"), owner,
                                                              print_time(time, word(f, "mtime")),
                                                              word(f, "path"), word(f, "sha256") }) < 0)
                        return;
        }
        fputc('\n', c->out);
        table_print(t, c->out, c->colour);
}

static void print_where(const Ctl *c, const json_t *message)
{
        const json_t *at;
        size_t i;

        json_array_foreach(json_object_get(message, "where"), i, at)
                print_line(c, i ? "" : "Lies in", word(at, "path"));
}

static void print_message(const Ctl *c, const json_t *m)
{
        bool native = json_is_true(json_object_get(m, "native"));
        _cleanup_(freep) char *why = evidence_text(m);
        usec_t expires = shelf_expires(c->settings, m);
        char buf[USEC_RFC3339_MAX], time[24];

        print_line(c, "Message", word(m, "id"));
        print_line(c, "Service", word(m, "service"));
        print_line(c, "Store", word(m, "store"));
        print_line(c, "Quarantined", print_time(time, word(m, "quarantined_at")));
        print_line(c, "Incident", word(m, "incident"));
        print_line(c, "Why", why);
        if (expires > 0)
                print_line(c, expires < now_read().wall ? "Expired" : "Expires",
                           print_time(time, usec_rfc3339(buf, expires)));
        if (json_is_true(json_object_get(m, "maybe_repeated")))
                print_line(c, "Repeated",
                           "the server may deliver it a second time: it was in flight at a kill or crash");
        print_line(c, "Held by", holder(m));
        if (json_is_true(json_object_get(m, "native")))
                print_where(c, m);
        else
                print_line(c, "Lies in", word(m, "path"));
        print_line(c, "Not native", word(m, "native_refused"));
        print_files(c, m);
        fprintf(c->out, "\nWhat you can do:\n");
        fprintf(c->out, "  unjamctl quarantine release %s              %s\n", word(m, "quarantine"),
                native ? "have the server take it up again" : "put it back where it was");
        if (!native)
                fprintf(c->out,
                        "  unjamctl quarantine release %s --to DIR     move it into DIR (same mount)\n",
                        word(m, "quarantine"));
        fprintf(c->out, "  unjamctl quarantine delete %s               delete it for good\n",
                word(m, "quarantine"));
        if (*word(m, "incident"))
                fprintf(c->out, "  unjamctl incident show %s\n", word(m, "incident"));
}

/* The one that is meant. Borrowed from @list. NULL after it has been told that there is none. */
static json_t *find(const json_t *list, const char *id)
{
        bool several;
        json_t *m = shelf_find(list, id, &several);

        if (!m)
                ctl_error("%s: %s; see `unjamctl quarantine list`", id,
                          several ? "several quarantined messages have this id: use that of the first column"
                                  : "not in quarantine");
        return m;
}

int verb_quarantine_show(Ctl *c, char **argv)
{
        json_t *list = NULL, *m;
        int r;

        r = read_shelf(c, NULL, &list);
        if (r != CTL_DONE)
                return r;
        m = find(list, argv[0]);
        if (!m)
                r = CTL_REFUSED;
        else if (c->json)
                r = ctl_print_json(c, m);
        else
                print_message(c, m);
        json_decref(list);
        return r;
}

/* Those that the command line means. Return: an exit code. */
static int choose(const Ctl *c, const json_t *list, const char *id, json_t *chosen)
{
        json_t *m;
        size_t i;

        if (id) {
                m = find(list, id);
                if (!m)
                        return CTL_REFUSED;
                return json_array_append(chosen, m) == 0 ? CTL_DONE : CTL_REFUSED;
        }
        json_array_foreach(list, i, m)
        {
                usec_t expires = c->options.expired ? shelf_expires(c->settings, m) : 0;

                if (c->options.expired && (expires == 0 || expires > now_read().wall))
                        continue;
                if (json_array_append(chosen, m) < 0)
                        return CTL_REFUSED;
        }
        return CTL_DONE;
}

/* One after the other; the first refusal of the daemon ends it. Return: an exit code. */
static int ask_each(const Ctl *c, const char *verb, const char *done, const json_t *chosen)
{
        json_t *m, *answers = json_array();
        int r = CTL_DONE;
        size_t i;

        json_array_foreach(chosen, i, m)
        {
                json_t *body = NULL;
                _cleanup_(freep) char *clean = print_clean(word(m, "id"));

                r = ctl_ask(c, verb,
                            json_pack("{s:s, s:s, s:s*, s:O*}", "service", word(m, "service"), "id",
                                      word(m, "quarantine"), "to", c->options.to, "native",
                                      json_object_get(m, "native")),
                            &body);
                if (r != CTL_DONE)
                        break;
                if (!c->json)
                        fprintf(c->out, "%s (%s): %s\n", word(m, "quarantine"), clean ? clean : "?",
                                json_is_true(json_object_get(body, "queued")) ? word(body, "text")
                                : json_is_true(json_object_get(m, "native"))  ? "done by the server"
                                                                              : done);
                (void)json_object_set(body, "quarantine", json_object_get(m, "quarantine"));
                (void)json_array_append_new(answers, body);
        }
        if (c->json && r == CTL_DONE)
                r = ctl_print_json(c, answers);
        json_decref(answers);
        return r;
}

static int operate(Ctl *c, const char *id, const char *verb, const char *done)
{
        json_t *list = NULL, *chosen = json_array();
        int r;

        if ((id != NULL) == (c->options.all || c->options.expired)) {
                ctl_error("name either one message or %s",
                          strcmp(verb, "quarantine-delete") == 0 ? "--all or --expired" : "--all");
                json_decref(chosen);
                return CTL_USAGE;
        }
        if (c->options.to && c->options.to[0] != '/') {
                ctl_error("--to %s: write an absolute path", c->options.to);
                json_decref(chosen);
                return CTL_USAGE;
        }
        r = read_shelf(c, NULL, &list);
        if (r == CTL_DONE)
                r = choose(c, list, id, chosen);
        if (r == CTL_DONE && json_array_size(chosen) == 0) {
                ctl_error("no such message is in quarantine");
                r = CTL_REFUSED;
        }
        if (r == CTL_DONE)
                r = ask_each(c, verb, done, chosen);
        json_decref(chosen);
        json_decref(list);
        return r;
}

int verb_quarantine_release(Ctl *c, char **argv)
{
        return operate(c, argv[0], "quarantine-release", c->options.to ? "moved" : "back in its store");
}

int verb_quarantine_delete(Ctl *c, char **argv)
{
        return operate(c, argv[0], "quarantine-delete", "deleted");
}

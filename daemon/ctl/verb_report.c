/*
 * verb_report - unjamctl report
 *
 * Everything about one incident, for whoever is on call or writes it up: as text, as one JSON object, or
 * as a page of HTML. Reads files alone; works while the daemon is down.
 *
 * The page is written beside its place and then renamed, so that a half one is never seen. What is in its
 * place is replaced only if it is a regular file: a symbolic link is neither followed nor replaced, for
 * this is run by root, perhaps with a path in /tmp.
 *
 * Test: tests/unit/test_report.c
 */
#include "ctl/account.h"
#include "ctl/ctl.h"
#include "ctl/report.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <fcntl.h>
#include <string.h>

#define TEXT_WIDTH 100
/* It quotes the server's log: for others only if whoever asked for it says so. */
#define HTML_MODE 0600

/* May @name in @dirfd be replaced? Return: 0 or a negated errno. */
static int check_target(int dirfd, const char *name)
{
        struct stat st;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        return S_ISREG(st.st_mode) ? 0 : -EEXIST;
}

/* Replaces the file @path with @text. Return: 0 or a negated errno; -EEXIST: there is something else. */
static int write_file(const char *path, const char *text, size_t len)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_(freep) char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
        _cleanup_(closep) int dirfd = -1;
        int r;

        if (!directory)
                return -ENOMEM;
        if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return -EISDIR;
        dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dirfd < 0)
                return -errno;
        r = check_target(dirfd, name);
        return r < 0 ? r : file_replace(disk_posix(), dirfd, name, text, len, HTML_MODE);
}

/* The page in memory, then in its place: a report of which a part is missing is none. */
static int report_html(const Ctl *c, const Story *s, const json_t *account)
{
        const char *path = c->options.html;
        _cleanup_(freep) char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        Page page;
        int r;

        if (!f)
                return -ENOMEM;
        page_html_init(&page, f);
        r = report_write(&page, s, account, true);
        if (fclose(f) != 0 && r == 0)
                r = -ENOMEM;
        if (r == 0)
                r = write_file(path, text, len);
        if (r == 0)
                fprintf(c->out, "%s\n", path);
        return r;
}

static int report_text(const Ctl *c, const Story *s, const json_t *account)
{
        Page page;

        page_text_init(&page, c->out, c->colour, TEXT_WIDTH);
        return report_write(&page, s, account, true);
}

int verb_report(Ctl *c, char **argv)
{
        json_t *account;
        Story story;
        int r;

        if (c->json && c->options.html) {
                ctl_error("--json and --html are two ways to write it: choose one");
                return CTL_USAGE;
        }
        r = ctl_read_story(c, argv[0], &story);
        if (r != CTL_DONE)
                return r;
        account = account_new(c, &story);
        if (c->json) {
                r = ctl_print_json(c, account);
        } else {
                r = c->options.html ? report_html(c, &story, account) : report_text(c, &story, account);
                if (r == -EEXIST)
                        ctl_error("%s: something is there that is no regular file; it stays",
                                  c->options.html);
                else if (r < 0)
                        ctl_error("%s: %s", c->options.html ? c->options.html : "the report", strerror(-r));
                r = r < 0 ? CTL_REFUSED : CTL_DONE;
        }
        json_decref(account);
        story_deinit(&story);
        return r;
}

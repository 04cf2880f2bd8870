/*
 * document - one file in libconfig syntax, read and parsed
 *
 * Called by config.c for the configuration's files and by preset.c for those of presets. A file is read whole
 * before it is parsed: what is no regular file, or larger than DOCUMENT_MAX, never reaches the parser, which
 * has no answer to running out of memory. Faults of syntax have the line that libconfig gives.
 * Test: tests/unit/test_config_document.c.
 */
#include "config/document.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "config/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DOCUMENT_MAX (4u << 20)

int document_init(Document *d, const char *path)
{
        d->path = strdup(path);
        if (!d->path)
                return err_origin(-ENOMEM);
        config_init(&d->config);
        return 0;
}

void document_deinit(Document *d)
{
        if (d->path)
                config_destroy(&d->config);
        free(d->path);
}

/* A file in which something is wrong before it has settings to point at. */
static void file_fault(Loader *l, const char *path, unsigned line, const char *what)
{
        loader_fail(l, config_faults_add(l->faults, path, line > 0 ? line : 1, what));
}

/*
 * The whole of @path, NUL-terminated; a newline is added, because libconfig refuses a comment that ends
 * without. Return: 0, or a negated errno: -EFBIG, -EBADF for no regular file.
 */
static int file_text(const char *path, char **ret, size_t *ret_len)
{
        /* O_NONBLOCK: a FIFO must not hold up the start. */
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        _cleanup_(freep) char *text = NULL;
        size_t len = 0;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADF;
        if (st.st_size > DOCUMENT_MAX)
                return -EFBIG;
        text = malloc(DOCUMENT_MAX + 2);
        if (!text)
                return err_origin(-ENOMEM);
        while (len <= DOCUMENT_MAX) {
                ssize_t n = read(fd, text + len, DOCUMENT_MAX + 1 - len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        if (len > DOCUMENT_MAX)
                return -EFBIG;
        text[len] = '\n';
        text[len + 1] = '\0';
        *ret = TAKE_PTR(text);
        *ret_len = len;
        return 0;
}

/* What to do about an error of libconfig's, which knows only its own words. */
static const char *syntax_advice(const char *text)
{
        if (strstr(text, "duplicate"))
                return "remove one of the two";
        if (strstr(text, "mismatched"))
                return "write ( ... ) for a list of groups, and elements of one type in [ ... ]";
        if (strstr(text, "include"))
                return "write the file's path from this file's directory on";
        return "write KEY = VALUE; and look for a missing ';', quote or bracket here or before";
}

bool document_parse(Document *d, Loader *l)
{
        _cleanup_(freep) char *text = NULL, *dir = NULL, *what = NULL;
        const char *slash = strrchr(d->path, '/');
        size_t len = 0;
        int r;

        r = file_text(d->path, &text, &len);
        if (r == -ENOMEM)
                loader_fail(l, r);
        else if (r == -EFBIG)
                file_fault(l, d->path, 1,
                           "file: is larger than 4 MiB; write a smaller one, or several in conf.d");
        else if (r == -EBADF)
                file_fault(l, d->path, 1, "file: is no regular file; write a file");
        else if (r < 0) {
                if (asprintf(&what, "file: cannot be read (%s); make it readable, or write another with -c",
                             strerrordesc_np(-r)) < 0)
                        loader_fail(l, -ENOMEM);
                else
                        file_fault(l, d->path, 1, what);
        }
        if (r < 0)
                return false;
        if (memchr(text, '\0', len)) {
                file_fault(l, d->path, 1, "file: has a NUL byte in it; write text");
                return false;
        }

        dir = slash ? strndup(d->path, (size_t)(slash - d->path) + 1) : strdup("./");
        if (!dir) {
                loader_fail(l, -ENOMEM);
                return false;
        }
        config_set_include_dir(&d->config, dir);
        if (config_read_string(&d->config, text) == CONFIG_TRUE) {
                config_setting_set_hook(config_root_setting(&d->config), d->path);
                return true;
        }
        if (asprintf(&what, "%s; %s", config_error_text(&d->config),
                     syntax_advice(config_error_text(&d->config))) < 0) {
                what = NULL;
                loader_fail(l, -ENOMEM);
                return false;
        }
        file_fault(l, config_error_file(&d->config) ? config_error_file(&d->config) : d->path,
                   (unsigned)config_error_line(&d->config), what);
        return false;
}

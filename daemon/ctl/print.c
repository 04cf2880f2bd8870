/*
 * print - output for people
 *
 * Used by all verbs of unjamctl. A log line or a file name may hold escape sequences that rewrite a
 * terminal: every string from outside goes through print_clean(). Nothing here fails loudly: without
 * memory a cell is "?", without less the text goes to stdout.
 */
#include "ctl/print.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "model/words.h"

#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* A last column that has less room than that is not broken. */
#define LAST_COLUMN_MIN 20

static const char *const style_table[_STYLE_MAX] = {
        [STYLE_PLAIN] = "",        [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
        [STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
};

bool print_colours(int fd)
{
        const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

        return isatty(fd) && term && strcmp(term, "dumb") != 0 && !(no && *no);
}

const char *style_on(bool colour, Style s)
{
        return colour ? style_table[s] : "";
}

const char *style_off(bool colour, Style s)
{
        return colour && s != STYLE_PLAIN ? "\033[0m" : "";
}

Style style_of_word(const char *word)
{
        static const char *const good[] = { "healthy", "recovered", "done", "intact", "ok" }, *const bad[] = {
                "escalated", "failed", "timeout", "unknown"
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (strcmp(word, good[i]) == 0)
                        return STYLE_GOOD;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (strcmp(word, bad[i]) == 0)
                        return STYLE_BAD;
        return state_from_string(word) >= 0 || strcmp(word, "open") == 0 || strcmp(word, "observed") == 0
                       ? STYLE_WARN
                       : STYLE_PLAIN;
}

/*
 * Does U+200E, U+200F, U+2028 to U+202E or U+2066 to U+2069 begin here? They break a line, or turn what
 * follows around.
 */
static bool is_turning(const unsigned char *p)
{
        return p[0] == 0xe2 &&
               ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
                (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

char *print_clean(const char *text)
{
        char *clean = text_to_utf8(text, strlen(text), 0);

        for (unsigned char *p = (unsigned char *)clean; p && *p; p++) {
                if (*p == '\n' || *p == '\t')
                        *p = ' ';
                else if (*p < 0x20 || *p == 0x7f)
                        *p = '?';
                else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
                        p[0] = p[1] = '?'; /* C1: what some terminals take for an escape */
                else if (is_turning(p))
                        memset(p, '?', 3);
        }
        return clean;
}

char *print_time(char *buf, const char *rfc3339)
{
        if (strlen(rfc3339) < 19 || rfc3339[10] != 'T')
                snprintf(buf, 24, "%.19s", rfc3339);
        else
                snprintf(buf, 24, "%.10s %.8s", rfc3339, rfc3339 + 11);
        return buf;
}

char *print_clock(char *buf, const char *rfc3339)
{
        if (strlen(rfc3339) < 23 || rfc3339[10] != 'T')
                snprintf(buf, 24, "%.19s", rfc3339);
        else
                snprintf(buf, 24, "%.12s", rfc3339 + 11);
        return buf;
}

char *print_ms(char *buf, size_t size, int64_t ms)
{
        return usec_format(buf, size, ms > 0 ? (usec_t)ms * USEC_PER_MSEC : 0);
}

/* Tables */

struct Table {
        const Column *columns;
        size_t n_columns;
        char **cells;
        size_t n_cells;
};

/* Columns of a terminal, near enough: characters. */
static size_t display_width(const char *text)
{
        size_t n = 0;

        for (; *text; text++)
                if (((unsigned char)*text & 0xc0) != 0x80)
                        n++;
        return n;
}

void print_wrapped(FILE *out, const char *text, unsigned indent, unsigned width)
{
        size_t at = indent;

        if (width == 0) {
                fputs(text, out);
                return;
        }
        for (bool first = true; *text; first = false) {
                size_t blanks = strspn(text, " "), bytes = strcspn(text + blanks, " ");
                size_t word = blanks;

                for (size_t i = 0; i < bytes; i++)
                        word += ((unsigned char)text[blanks + i] & 0xc0) != 0x80;
                if (!first && at + word > width && bytes > 0) {
                        fprintf(out, "\n%*s", (int)indent, "");
                        at = indent;
                        text += blanks;
                        word -= blanks;
                        blanks = 0;
                }
                fwrite(text, 1, blanks + bytes, out);
                at += word;
                text += blanks + bytes;
        }
}

Table *table_new(const Column *columns, size_t n)
{
        Table *t = calloc(1, sizeof(*t));

        if (t) {
                t->columns = columns;
                t->n_columns = n;
        }
        return t;
}

Table *table_free(Table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i]);
        free(t->cells);
        free(t);
        return NULL;
}

int table_add(Table *t, const char *const *cells)
{
        char **more = reallocarray(t->cells, t->n_cells + t->n_columns, sizeof(*more));

        if (!more)
                return err_origin(-ENOMEM);
        t->cells = more;
        for (size_t i = 0; i < t->n_columns; i++) {
                char *clean = print_clean(cells[i] && *cells[i] ? cells[i] : "-");

                if (!clean) {
                        while (i > 0)
                                free(t->cells[t->n_cells + --i]);
                        return err_origin(-ENOMEM);
                }
                t->cells[t->n_cells + i] = clean;
        }
        t->n_cells += t->n_columns;
        return 0;
}

static void print_cell(FILE *out, const char *text, size_t width, bool right, bool last)
{
        size_t have = display_width(text);
        int padding = width > have ? (int)(width - have) : 0;

        if (right)
                fprintf(out, "%*s%s", padding, "", text);
        else
                fprintf(out, "%s%*s", text, last ? 0 : padding, "");
}

size_t table_columns(const Table *t, const Column **ret)
{
        *ret = t->columns;
        return t->n_columns;
}

size_t table_rows(const Table *t)
{
        return t->n_cells / t->n_columns;
}

const char *table_cell(const Table *t, size_t row, size_t column)
{
        return t->cells[row * t->n_columns + column];
}

/* How a table is printed. */
typedef struct Layout {
        FILE *out;
        bool colour;
        unsigned indent, width;
        const size_t *widths; /* of the columns */
} Layout;

/* One row, or (@cells NULL) the titles. */
static void print_row(const Table *t, const Layout *l, char *const *cells)
{
        size_t at = l->indent;

        fprintf(l->out, "%*s", (int)l->indent, "");
        for (size_t i = 0; i < t->n_columns; i++) {
                const Column *c = &t->columns[i];
                const char *text = cells ? cells[i] : c->title;
                bool last = i + 1 == t->n_columns;
                Style style = !cells ? STYLE_BOLD : c->word ? style_of_word(text) : STYLE_PLAIN;

                fputs(style_on(l->colour, style), l->out);
                if (last && !c->right && l->width >= at + LAST_COLUMN_MIN)
                        print_wrapped(l->out, text, (unsigned)at, l->width);
                else
                        print_cell(l->out, text, l->widths[i], c->right, last);
                fputs(style_off(l->colour, style), l->out);
                fputs(last ? "\n" : "  ", l->out);
                at += l->widths[i] + 2;
        }
}

void table_print_within(const Table *t, FILE *out, bool colour, unsigned indent, unsigned width)
{
        _cleanup_(freep) size_t *widths = calloc(t->n_columns, sizeof(*widths));
        const Layout layout = {
                .out = out, .colour = colour, .indent = indent, .width = width, .widths = widths
        };

        if (!widths)
                return;
        for (size_t i = 0; i < t->n_columns; i++)
                widths[i] = display_width(t->columns[i].title);
        for (size_t i = 0; i < t->n_cells; i++) {
                size_t w = display_width(t->cells[i]);

                if (w > widths[i % t->n_columns])
                        widths[i % t->n_columns] = w;
        }
        print_row(t, &layout, NULL);
        for (size_t row = 0; row < table_rows(t); row++)
                print_row(t, &layout, t->cells + row * t->n_columns);
}

void table_print(const Table *t, FILE *out, bool colour)
{
        table_print_within(t, out, colour, 0, 0);
}

/* Pager */

FILE *pager_start(Pager *p)
{
        char *argv[] = { (char *)"less", (char *)"-FRX", NULL };
        posix_spawn_file_actions_t actions;
        int fds[2], r;

        *p = (Pager){ 0 };
        if (!isatty(STDOUT_FILENO) || pipe2(fds, O_CLOEXEC) < 0)
                return stdout;
        /* less can start a shell; with sudo that would be root's. */
        (void)setenv("LESSSECURE", "1", 1);
        r = posix_spawn_file_actions_init(&actions);
        if (r == 0) {
                r = posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
                if (r == 0)
                        r = posix_spawnp(&p->pid, argv[0], &actions, NULL, argv, environ);
                posix_spawn_file_actions_destroy(&actions);
        }
        close(fds[0]);
        p->pipe = r == 0 ? fdopen(fds[1], "we") : NULL;
        if (!p->pipe) {
                close(fds[1]);
                if (r == 0)
                        (void)waitpid(p->pid, NULL, 0);
                return stdout;
        }
        p->was_used = true;
        return p->pipe;
}

void pager_end(Pager *p)
{
        if (!p->was_used)
                return;
        fclose(p->pipe);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

/*
 * page - a report, written as text
 *
 * Filled by report.c. Text is for a terminal or a mail to colleagues: with a width, sentences and the last
 * column of a table are broken at blanks; commands, log lines and words (paths, digests) stay whole, so that
 * they can be copied.
 *
 * Diagnostics: without memory a line is left out and the page says so in `failed`.
 *
 * Test: tests/unit/test_page.c
 */
#include "ctl/page.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <string.h>

#define FIELD_INDENT 13

static const unsigned indents[_PAGE_LINE_MAX] = {
        [PAGE_TEXT] = 2,
        [PAGE_DETAIL] = 6,
        [PAGE_LOG] = 4,
        [PAGE_COMMAND] = 2,
};

static void text_begin(Page *p, const char *title)
{
        fprintf(p->out, "%s%s%s\n", style_on(p->colour, STYLE_BOLD), title, style_off(p->colour, STYLE_BOLD));
}

static void text_title(Page *p, const char *title)
{
        fputc('\n', p->out);
        text_begin(p, title);
}

static void text_field(Page *p, const char *name, const char *text, Style style)
{
        fprintf(p->out, "  %-10s %s", name, style_on(p->colour, style));
        print_wrapped(p->out, text, FIELD_INDENT, p->width);
        fprintf(p->out, "%s\n", style_off(p->colour, style));
}

static void text_line(Page *p, PageLine kind, const char *text)
{
        bool broken = kind == PAGE_TEXT || kind == PAGE_DETAIL;

        fprintf(p->out, "%*s", (int)indents[kind], "");
        print_wrapped(p->out, text, indents[kind], broken ? p->width : 0);
        fputc('\n', p->out);
}

static void text_table(Page *p, const Table *t)
{
        table_print_within(t, p->out, p->colour, 2, p->width);
}

static void text_end(Page *p)
{
        (void)p;
}

void page_text_init(Page *p, FILE *out, bool colour, unsigned width)
{
        static const PageOps ops = { .begin = text_begin,
                                     .title = text_title,
                                     .field = text_field,
                                     .line = text_line,
                                     .table = text_table,
                                     .end = text_end };

        *p = (Page){ .ops = &ops, .out = out, .colour = colour, .width = width };
}

/* For every kind of page */

void page_begin(Page *p, const char *title)
{
        _cleanup_(freep) char *clean = print_clean(title);

        p->ops->begin(p, clean ? clean : "?");
}

void page_end(Page *p)
{
        p->ops->end(p);
}

void page_title(Page *p, const char *title)
{
        _cleanup_(freep) char *clean = print_clean(title);

        p->ops->title(p, clean ? clean : "?");
}

void page_field(Page *p, const char *name, const char *text, Style style)
{
        _cleanup_(freep) char *clean = print_clean(text);

        if (!clean)
                p->failed = true;
        else if (*clean)
                p->ops->field(p, name, clean, style);
}

void page_line(Page *p, PageLine kind, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL, *clean = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        clean = text ? print_clean(text) : NULL;
        if (clean)
                p->ops->line(p, kind, clean);
        else
                p->failed = true;
}

void page_table(Page *p, const Table *t)
{
        p->ops->table(p, t);
}

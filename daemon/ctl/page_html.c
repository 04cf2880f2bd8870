/*
 * page_html - a report, written as a page of HTML
 *
 * Filled by report.c through page.h. The page stands alone: one file, no script, no picture, nothing that
 * is fetched; it can be attached to a ticket. Its Content-Security-Policy allows the one style sheet by
 * its digest and nothing else, so even a mistake in here could not make a browser run or fetch something
 * that comes from a message's name. Each value is escaped where it is written, and nowhere else.
 *
 * Test: tests/unit/test_page.c
 */
#include "ctl/page.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#include <string.h>

static const char sheet[] =
        "body{font:15px/1.45 sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#1a1a1a;"
        "background:#fff}"
        "h1{font-size:1.5em}h2{font-size:1.15em;margin:1.8em 0 .5em;border-bottom:1px solid #ccc}"
        "dl{display:grid;grid-template-columns:max-content auto;gap:.15em 1em;margin:.5em 0}"
        "dt{color:#555}dd{margin:0;overflow-wrap:anywhere}"
        "p{margin:.35em 0;overflow-wrap:anywhere}p.detail{margin-left:2em;color:#333}"
        "table{border-collapse:collapse;margin:.5em 0}"
        "th,td{text-align:left;vertical-align:top;padding:.15em .8em .15em 0;overflow-wrap:anywhere}"
        "th{border-bottom:1px solid #ccc;white-space:nowrap}td.n,th.n{text-align:right}"
        "pre,code{font:13px/1.4 monospace}pre{background:#f4f4f4;padding:.6em;white-space:pre-wrap;"
        "overflow-wrap:anywhere}"
        ".good{color:#176b2c}.warn{color:#8a5a00}.bad{color:#b00020;font-weight:bold}"
        "@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}";

static void write_escaped(FILE *out, const char *text)
{
        for (const char *c = text; *c; c++) {
                const char *entity = *c == '&'    ? "&amp;"
                                     : *c == '<'  ? "&lt;"
                                     : *c == '>'  ? "&gt;"
                                     : *c == '"'  ? "&quot;"
                                     : *c == '\'' ? "&#39;"
                                                  : NULL;

                if (entity)
                        fputs(entity, out);
                else
                        fputc(*c, out);
        }
}

/* The class of a style, with a blank before it; "" for a plain one. */
static const char *style_class(Style s)
{
        switch (s) {
        case STYLE_GOOD:
                return " class=\"good\"";
        case STYLE_WARN:
                return " class=\"warn\"";
        case STYLE_BAD:
                return " class=\"bad\"";
        case STYLE_PLAIN:
        case STYLE_BOLD:
        case STYLE_DIM:
        case _STYLE_MAX:
                break;
        }
        return "";
}

/* Ends the list or the lines that are open, unless they go on. */
static void enter(Page *p, PageBlock block)
{
        static const char *const begins[] = { "", "<dl>\n", "<pre>" }, *const ends[] = { "", "</dl>\n",
                                                                                         "</pre>\n" };

        if (p->block == block)
                return;
        fputs(ends[p->block], p->out);
        fputs(begins[block], p->out);
        p->block = block;
}

static void html_begin(Page *p, const char *title)
{
        uint8_t digest[SHA256_SIZE];
        _cleanup_(freep) char *allowed = NULL;

        sha256(sheet, strlen(sheet), digest);
        allowed = text_base64(digest, sizeof(digest));
        p->failed |= !allowed;
        fprintf(p->out,
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                "style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
                "<meta name=\"referrer\" content=\"no-referrer\">\n"
                "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
                allowed ? allowed : "");
        write_escaped(p->out, title);
        fprintf(p->out, "</title>\n<style>%s</style>\n</head>\n<body>\n<h1>", sheet);
        write_escaped(p->out, title);
        fputs("</h1>\n", p->out);
}

static void html_title(Page *p, const char *title)
{
        enter(p, PAGE_BLOCK_NONE);
        fputs("<h2>", p->out);
        write_escaped(p->out, title);
        fputs("</h2>\n", p->out);
}

static void html_field(Page *p, const char *name, const char *text, Style style)
{
        enter(p, PAGE_BLOCK_FIELDS);
        fputs("<dt>", p->out);
        write_escaped(p->out, name);
        fprintf(p->out, "</dt><dd%s><bdi>", style_class(style));
        write_escaped(p->out, text);
        fputs("</bdi></dd>\n", p->out);
}

static void html_line(Page *p, PageLine kind, const char *text)
{
        if (kind == PAGE_LOG || kind == PAGE_COMMAND) {
                enter(p, PAGE_BLOCK_LOG);
                write_escaped(p->out, text);
                fputc('\n', p->out);
                return;
        }
        enter(p, PAGE_BLOCK_NONE);
        fputs(kind == PAGE_DETAIL ? "<p class=\"detail\"><bdi>" : "<p><bdi>", p->out);
        write_escaped(p->out, text);
        fputs("</bdi></p>\n", p->out);
}

static void html_cell(Page *p, const Column *column, const char *text, bool head)
{
        Style style = column->word && !head ? style_of_word(text) : STYLE_PLAIN;

        fprintf(p->out, "<%s%s><bdi>", head ? "th" : "td",
                column->right ? " class=\"n\"" : style_class(style));
        write_escaped(p->out, text);
        fprintf(p->out, "</bdi></%s>", head ? "th" : "td");
}

static void html_table(Page *p, const Table *t)
{
        const Column *columns;
        size_t n = table_columns(t, &columns);

        enter(p, PAGE_BLOCK_NONE);
        fputs("<table>\n<tr>", p->out);
        for (size_t i = 0; i < n; i++)
                html_cell(p, &columns[i], columns[i].title, true);
        fputs("</tr>\n", p->out);
        for (size_t row = 0; row < table_rows(t); row++) {
                fputs("<tr>", p->out);
                for (size_t i = 0; i < n; i++)
                        html_cell(p, &columns[i], table_cell(t, row, i), false);
                fputs("</tr>\n", p->out);
        }
        fputs("</table>\n", p->out);
}

static void html_end(Page *p)
{
        enter(p, PAGE_BLOCK_NONE);
        fputs("</body>\n</html>\n", p->out);
}

void page_html_init(Page *p, FILE *out)
{
        static const PageOps ops = { .begin = html_begin,
                                     .title = html_title,
                                     .field = html_field,
                                     .line = html_line,
                                     .table = html_table,
                                     .end = html_end };

        *p = (Page){ .ops = &ops, .out = out };
}

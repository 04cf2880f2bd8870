#pragma once

/*
 * Page: a report as sections, fields, lines and tables, written as text or as HTML. Whoever fills it gives
 * bytes from anywhere; the page alone cleans and escapes, so nothing gets into a terminal or a browser that
 * was not meant to.
 */

#include "ctl/print.h"

#include <stdio.h>

typedef struct Page Page;

typedef enum PageLine {
        PAGE_TEXT,    /* a sentence, or a heading of details */
        PAGE_DETAIL,  /* what belongs to the line before */
        PAGE_LOG,     /* a line of a log: one line here too */
        PAGE_COMMAND, /* to be typed: never broken */
        _PAGE_LINE_MAX,
} PageLine;

/* All text is clean: one line of UTF-8 without control characters. */
typedef struct PageOps {
        void (*begin)(Page *p, const char *title);
        void (*title)(Page *p, const char *title);
        void (*field)(Page *p, const char *name, const char *text, Style style);
        void (*line)(Page *p, PageLine kind, const char *text);
        void (*table)(Page *p, const Table *t);
        void (*end)(Page *p);
} PageOps;

/* What is open in a page of HTML. */
typedef enum PageBlock {
        PAGE_BLOCK_NONE,
        PAGE_BLOCK_FIELDS,
        PAGE_BLOCK_LOG,
} PageBlock;

struct Page {
        const PageOps *ops;
        FILE *out;
        bool colour;     /* text only */
        unsigned width;  /* text only: no longer lines than that, where they can be broken; 0: never broken */
        PageBlock block; /* HTML only */
        bool failed;     /* memory ran out: something is missing */
};

void page_text_init(Page *p, FILE *out, bool colour, unsigned width);
/*
 * Static and self-contained: no script, nothing that is fetched, a Content-Security-Policy that forbids
 * both.
 */
void page_html_init(Page *p, FILE *out);

/* The first and the last call. */
void page_begin(Page *p, const char *title);
void page_end(Page *p);
/* A section begins. */
void page_title(Page *p, const char *title);
/* Nothing at all if @text is empty. */
void page_field(Page *p, const char *name, const char *text, Style style);
void page_line(Page *p, PageLine kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void page_table(Page *p, const Table *t);

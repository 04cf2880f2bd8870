#pragma once

/*
 * Output for people: tables, colours, a pager. Whatever comes from logs, file names or processes is cleaned
 * before it reaches a terminal.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

typedef enum Style {
        STYLE_PLAIN,
        STYLE_BOLD,
        STYLE_DIM,
        STYLE_GOOD,
        STYLE_WARN,
        STYLE_BAD,
        _STYLE_MAX,
} Style;

/* Colours on @fd? Only on a terminal that knows them, and not with NO_COLOR in the environment. */
bool print_colours(int fd);
/* The escape sequences to begin and end a style; "" without colours. */
const char *style_on(bool colour, Style s);
const char *style_off(bool colour, Style s);
/* How a state or a result is shown. */
Style style_of_word(const char *word);

/*
 * A copy on one line: control characters become spaces or '?', as do those that turn the direction of what
 * follows; bytes that are no UTF-8 become U+FFFD. NULL on ENOMEM.
 */
char *print_clean(const char *text);
/*
 * @text, which is clean, broken at blanks so that no line is longer than @width characters if that can be:
 * the first one begins at column @indent, the others are indented so far. @width 0: not broken.
 */
void print_wrapped(FILE *out, const char *text, unsigned indent, unsigned width);

/* "2026-11-22 14:00:00" (UTC) from RFC 3339; what is no time stays as it is. @buf takes 24 bytes. Yields
 * @buf. */
char *print_time(char *buf, const char *rfc3339);
/* "14:00:00.123". Same rules. */
char *print_clock(char *buf, const char *rfc3339);
/* "1.5s", "2min 3s" from milliseconds. */
char *print_ms(char *buf, size_t size, int64_t ms);

/* Rows of cells, aligned when they are printed. */
typedef struct Table Table;

typedef struct Column {
        const char *title;
        bool right; /* numbers */
        bool word;  /* a state or result: coloured by style_of_word() */
} Column;

/* @columns must outlive it. NULL on ENOMEM. */
Table *table_new(const Column *columns, size_t n);
Table *table_free(Table *t);
static inline void table_freep(Table **t)
{
        table_free(*t);
}
/* @cells: one for each column, NULL is "-"; copied. Return: 0 or -ENOMEM. */
int table_add(Table *t, const char *const *cells);
void table_print(const Table *t, FILE *out, bool colour);
/*
 * The same @indent columns from the left, with the last column broken at blanks so that it ends at @width
 * (0: never).
 */
void table_print_within(const Table *t, FILE *out, bool colour, unsigned indent, unsigned width);

/* What it is made of. Yields the number of columns; cells are clean. */
size_t table_columns(const Table *t, const Column **ret);
size_t table_rows(const Table *t);
const char *table_cell(const Table *t, size_t row, size_t column);

typedef struct Pager {
        bool was_used;
        pid_t pid;
        FILE *pipe;
} Pager;

/* Where to write: less(1) if stdout is a terminal and there is one, else stdout. */
FILE *pager_start(Pager *p);
/* Waits until the reader is done with it. */
void pager_end(Pager *p);

#pragma once

/*
 * Prefilter: finds the few places of a block of text at which one of many patterns may match, so that PCRE2
 * is asked about those lines only. What it passes by, no pattern matches.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Prefilter Prefilter;

/* @patterns (PATTERN_TEXT, known to compile) are read, not kept. Return: 0 or -ENOMEM. */
int prefilter_new(Prefilter **ret, const char *const *patterns, size_t n);
Prefilter *prefilter_free(Prefilter *p);
static inline void prefilter_freep(Prefilter **p)
{
        prefilter_free(*p);
}
/* Must pattern @i be asked about every line? */
bool prefilter_is_blind(const Prefilter *p, size_t i);

/* A look through one block. The members are the prefilter's. */
#define PREFILTER_STREAMS 4
typedef struct PrefilterScan {
        const Prefilter *filter;
        const uint8_t *data;
        size_t len;
        size_t at;        /* the next byte */
        size_t chunk_end; /* up to here, @groups tell where to look */
        uint64_t state;   /* of the automaton at @at */
        uint32_t groups[PREFILTER_STREAMS];
} PrefilterScan;

/* @data must stay until the scan is over. Patterns are meant to match within lines of it. */
void prefilter_begin(PrefilterScan *s, const Prefilter *p, const void *data, size_t len);
/*
 * The next place, by rising order: the last byte of what a pattern must contain. Marks @candidates[i] for
 * each pattern that it is of. Yields @len of the block at its end.
 */
size_t prefilter_next(PrefilterScan *s, bool *candidates);

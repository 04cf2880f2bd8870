#pragma once

/*
 * LiteralSet: short sequences of byte classes, of which a text must contain at least one. Values only; what
 * does not fit is cut, and a cut set still is contained wherever the whole one was.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which bytes may stand at one place. */
typedef struct ByteClass {
        uint64_t bits[4];
} ByteClass;

static inline bool byte_class_has(const ByteClass *c, uint8_t byte)
{
        return c->bits[byte / 64] >> (byte % 64) & 1;
}
static inline void byte_class_add(ByteClass *c, uint8_t byte)
{
        c->bits[byte / 64] |= UINT64_C(1) << (byte % 64);
}
/* How often a byte of a log is one of these, by estimate: 0 to 1. */
double byte_class_share(const ByteClass *c);

#define LITERAL_LEN 8 /* what a sequence is cut to */
#define LITERAL_MAX 64

/* Classes by number, so that sequences stay small. */
typedef struct ClassTable {
        ByteClass classes[255];
        double share[255];
        size_t n;
} ClassTable;

/* The number of @c. Return: 0, or a positive code if the table is full. */
int class_table_find(ClassTable *t, const ByteClass *c, uint8_t *ret);

typedef struct Literal {
        uint8_t len;
        uint8_t at[LITERAL_LEN]; /* numbers in a ClassTable */
} Literal;

typedef struct LiteralSet {
        size_t n;
        Literal list[LITERAL_MAX];
} LiteralSet;

/* The set of the empty sequence alone: any text contains it. */
void literal_set_empty(LiteralSet *s);
/* The set of the one sequence [@class]. */
void literal_set_one(LiteralSet *s, uint8_t class);
/* Adds @more to @s. Return: false if there is no room (then @s is as it was). */
bool literal_set_unite(LiteralSet *s, const LiteralSet *more);

typedef enum LiteralCut {
        LITERAL_WHOLE, /* nothing may be cut */
        LITERAL_HEAD,  /* the first bytes are kept */
        LITERAL_TAIL,  /* the last */
        LITERAL_SEAM,  /* those around the place where the two meet */
} LiteralCut;

/* Every sequence of @a followed by every one of @b. Return: false if that is too much. @ret is neither. */
bool literal_set_cross(LiteralSet *ret, const LiteralSet *a, const LiteralSet *b, LiteralCut cut);
/* How likely one of them stands at a place of a log, by estimate. */
double literal_set_share(const LiteralSet *s, const ClassTable *t);

/* What is known of the matches of a part of a pattern. */
typedef struct LiteralPart {
        bool exact;                  /* @best is all of them; the others are equal */
        LiteralSet head, tail, best; /* how each begins, ends, and what each contains */
} LiteralPart;

/* Matches anything, perhaps nothing; the empty text only. */
void literal_part_any(LiteralPart *p);
void literal_part_empty(LiteralPart *p);
/* @x becomes @x followed by @y; @x or @y; @min to @max (UINT32_MAX: any number) of @x. */
void literal_part_append(LiteralPart *x, const LiteralPart *y, const ClassTable *table);
void literal_part_alternative(LiteralPart *x, const LiteralPart *y);
void literal_part_repeat(LiteralPart *x, unsigned min, unsigned max, const ClassTable *table);

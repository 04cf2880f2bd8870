/*
 * literal_set - sets of short sequences of byte classes
 *
 * The reader of patterns (literal.c) computes with them. Pure; nothing is allocated, and what would not fit
 * is refused, so the caller falls back to what it had. Test: tests/unit/test_literal.c.
 */
#include "model/literal_set.h"

#include <string.h>

/* Shares of bytes in mail logs, in thousandths; rough, as only their order matters. */
static double byte_share(uint8_t b)
{
        if (b == ' ')
                return 0.10;
        if (b >= '0' && b <= '9')
                return 0.025;
        if (b && strchr("aeinorst", b))
                return 0.045;
        if (b >= 'a' && b <= 'z')
                return 0.015;
        if (b && strchr(".:-=/,<>@[]()", b))
                return 0.012;
        if (b >= 'A' && b <= 'Z')
                return 0.006;
        return b > ' ' && b < 0x7f ? 0.002 : 0.0005;
}

double byte_class_share(const ByteClass *c)
{
        double sum = 0;

        for (unsigned b = 0; b < 256; b++)
                if (byte_class_has(c, (uint8_t)b))
                        sum += byte_share((uint8_t)b);
        return sum < 1 ? sum : 1;
}

int class_table_find(ClassTable *t, const ByteClass *c, uint8_t *ret)
{
        size_t i = 0;

        while (i < t->n && memcmp(&t->classes[i], c, sizeof(*c)) != 0)
                i++;
        if (i == sizeof(t->classes) / sizeof(t->classes[0]))
                return 1;
        if (i == t->n) {
                t->classes[i] = *c;
                t->share[i] = byte_class_share(c);
                t->n++;
        }
        *ret = (uint8_t)i;
        return 0;
}

void literal_set_empty(LiteralSet *s)
{
        s->n = 1;
        s->list[0] = (Literal){};
}

void literal_set_one(LiteralSet *s, uint8_t class)
{
        s->n = 1;
        s->list[0] = (Literal){ .len = 1, .at = { class } };
}

static bool literal_equal(const Literal *a, const Literal *b)
{
        return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

/* Adds one that is not there yet. Return: is it in now? */
static bool set_add(LiteralSet *s, const Literal *l)
{
        for (size_t i = 0; i < s->n; i++)
                if (literal_equal(&s->list[i], l))
                        return true;
        if (s->n == LITERAL_MAX)
                return false;
        s->list[s->n++] = *l;
        return true;
}

bool literal_set_unite(LiteralSet *s, const LiteralSet *more)
{
        size_t n = s->n;

        for (size_t i = 0; i < more->n; i++)
                if (!set_add(s, &more->list[i])) {
                        s->n = n;
                        return false;
                }
        return true;
}

/* @a and then @b, cut. Return: false if it may not be cut, and must be. */
static bool literal_join(Literal *ret, const Literal *a, const Literal *b, LiteralCut cut)
{
        uint8_t both[2 * LITERAL_LEN];
        size_t len = (size_t)a->len + b->len, from = 0, left;

        memcpy(both, a->at, a->len);
        memcpy(both + a->len, b->at, b->len);
        if (len > LITERAL_LEN) {
                switch (cut) {
                case LITERAL_WHOLE:
                        return false;
                case LITERAL_HEAD:
                        break;
                case LITERAL_TAIL:
                        from = len - LITERAL_LEN;
                        break;
                case LITERAL_SEAM:
                        left = b->len > LITERAL_LEN / 2 ? LITERAL_LEN / 2 : LITERAL_LEN - b->len;
                        from = a->len > left ? a->len - left : 0;
                        break;
                }
                len = LITERAL_LEN;
        }
        *ret = (Literal){ .len = (uint8_t)len };
        memcpy(ret->at, both + from, len);
        return true;
}

bool literal_set_cross(LiteralSet *ret, const LiteralSet *a, const LiteralSet *b, LiteralCut cut)
{
        Literal l;

        ret->n = 0;
        for (size_t i = 0; i < a->n; i++)
                for (size_t k = 0; k < b->n; k++)
                        if (!literal_join(&l, &a->list[i], &b->list[k], cut) || !set_add(ret, &l))
                                return false;
        return true;
}

double literal_set_share(const LiteralSet *s, const ClassTable *t)
{
        double sum = 0;

        for (size_t i = 0; i < s->n; i++) {
                double p = 1;

                for (size_t k = 0; k < s->list[i].len; k++)
                        p *= t->share[s->list[i].at[k]];
                sum += p;
        }
        return sum;
}

void literal_part_any(LiteralPart *p)
{
        p->exact = false;
        literal_set_empty(&p->best);
        p->head = p->tail = p->best;
}

void literal_part_empty(LiteralPart *p)
{
        literal_part_any(p);
        p->exact = true;
}

void literal_part_append(LiteralPart *x, const LiteralPart *y, const ClassTable *table)
{
        LiteralPart both = {};
        LiteralSet seam;

        both.exact = x->exact && y->exact && literal_set_cross(&both.best, &x->best, &y->best, LITERAL_WHOLE);
        if (both.exact) {
                both.head = both.tail = both.best;
                *x = both;
                return;
        }
        both.best =
                literal_set_share(&x->best, table) <= literal_set_share(&y->best, table) ? x->best : y->best;
        if (literal_set_cross(&seam, &x->tail, &y->head, LITERAL_SEAM) &&
            literal_set_share(&seam, table) < literal_set_share(&both.best, table))
                both.best = seam;
        if (!x->exact || !literal_set_cross(&both.head, &x->head, &y->head, LITERAL_HEAD))
                both.head = x->head;
        if (!y->exact || !literal_set_cross(&both.tail, &x->tail, &y->tail, LITERAL_TAIL))
                both.tail = y->tail;
        *x = both;
}

static void set_alternative(LiteralSet *s, const LiteralSet *other)
{
        if (!literal_set_unite(s, other))
                literal_set_empty(s);
}

void literal_part_alternative(LiteralPart *x, const LiteralPart *y)
{
        if (x->exact && y->exact && literal_set_unite(&x->best, &y->best)) {
                x->head = x->tail = x->best;
                return;
        }
        x->exact = false;
        set_alternative(&x->head, &y->head);
        set_alternative(&x->tail, &y->tail);
        set_alternative(&x->best, &y->best);
}

void literal_part_repeat(LiteralPart *x, unsigned min, unsigned max, const ClassTable *table)
{
        LiteralPart one = *x, nothing;

        if (min == 0) {
                literal_part_empty(&nothing);
                if (max == 1 && x->exact)
                        literal_part_alternative(x, &nothing);
                else if (max == 0)
                        *x = nothing;
                else
                        literal_part_any(x);
                return;
        }
        for (unsigned i = 1; i < min && i < LITERAL_LEN; i++)
                literal_part_append(x, &one, table);
        if (max != min || min > LITERAL_LEN)
                x->exact = false;
}

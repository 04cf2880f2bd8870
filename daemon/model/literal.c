/*
 * literal - reads a pattern for what its matches must contain
 *
 * Called once for each pattern, by the prefilter. The pattern has been compiled by PCRE2 before, so it is
 * known to be right; this reader needs to know only enough of the syntax to be sure of what it says. Whatever
 * it does not know ((*VERBS), conditions, octal, \Q..\E, the x flag ...) makes it say nothing: the pattern is
 * then asked about every line, which is slow and right.
 *
 * Each part of a pattern is described by sets of sequences: how its matches begin, how they end, and what
 * they contain somewhere; for a part whose matches are few and short, all of them. A joint of two parts is
 * where the end of one meets the beginning of the other.
 *
 * Patterns are matched in UTF mode, where two characters outside of ASCII are equal to a letter of it
 * without regard to case: U+017F to s, U+212A to k. A text that holds one of them may be matched whatever
 * the rest says, so for such a pattern their bytes are further sequences of the set.
 *
 * Pure. Test: tests/unit/test_literal.c, which compares with PCRE2 on random patterns and texts.
 */
#include "model/literal.h"

#include <string.h>

#define DEPTH_MAX 40
/* What stands in more places than this saves nothing. */
#define SHARE_MAX 0.02

typedef LiteralPart Part;

typedef struct Reader {
        const char *s;
        ClassTable *table;
        bool caseless;
        bool unknown;        /* something that this reader does not know */
        bool long_s, kelvin; /* a letter s, or k, without regard to case */
        unsigned depth;
} Reader;

static void part_class(Reader *r, Part *p, const ByteClass *c)
{
        uint8_t number;

        if (class_table_find(r->table, c, &number) != 0) {
                literal_part_any(p);
                return;
        }
        literal_set_one(&p->best, number);
        p->exact = true;
        p->head = p->tail = p->best;
}

/* --- bytes and classes --- */

static void class_add_range(ByteClass *c, unsigned from, unsigned to)
{
        for (unsigned b = from; b <= to; b++)
                byte_class_add(c, (uint8_t)b);
}

/* \d, \w or \s. */
static bool class_add_kind(ByteClass *c, char kind)
{
        if (kind == 's') {
                class_add_range(c, '\t', '\r');
                byte_class_add(c, ' ');
                return true;
        }
        if (kind != 'd' && kind != 'w')
                return false;
        class_add_range(c, '0', '9');
        if (kind == 'w') {
                class_add_range(c, 'a', 'z');
                class_add_range(c, 'A', 'Z');
                byte_class_add(c, '_');
        }
        return true;
}

static bool is_letter(unsigned b)
{
        return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
}

static void class_fold(Reader *r, ByteClass *c)
{
        if (!r->caseless)
                return;
        for (unsigned b = 'A'; b <= 'z'; b++)
                if (is_letter(b) && byte_class_has(c, (uint8_t)b))
                        byte_class_add(c, (uint8_t)(b ^ 0x20));
        r->long_s |= byte_class_has(c, 's');
        r->kelvin |= byte_class_has(c, 'k');
}

static void part_byte(Reader *r, Part *p, uint8_t b)
{
        ByteClass c = {};

        byte_class_add(&c, b);
        class_fold(r, &c);
        part_class(r, p, &c);
}

/* A character outside of ASCII: its bytes, if case does not matter. */
static void read_wide(Reader *r, Part *p)
{
        Part next;
        bool any = r->caseless;

        literal_part_empty(p);
        do {
                ByteClass c = {};

                byte_class_add(&c, (uint8_t)*r->s++);
                part_class(r, &next, &c);
                literal_part_append(p, &next, r->table);
        } while (((uint8_t)*r->s & 0xc0) == 0x80);
        if (any)
                literal_part_any(p);
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                return (c | 0x20) - 'a' + 10;
        return -1;
}

#define CODE_WIDE 0x80 /* any character that is more than a byte */

/* Behind "\x". */
static unsigned read_hex(Reader *r)
{
        unsigned code = 0, n = 0;

        if (*r->s == '{') {
                for (r->s++; hex_digit(*r->s) >= 0; r->s++)
                        code = code > 0xffff ? code : code * 16 + (unsigned)hex_digit(*r->s);
                if (*r->s++ != '}') {
                        r->s--;
                        r->unknown = true;
                }
        } else
                for (; n < 2 && hex_digit(*r->s) >= 0; n++)
                        code = code * 16 + (unsigned)hex_digit(*r->s++);
        return code < CODE_WIDE ? code : CODE_WIDE;
}

/* The character that the escape \@c stands for, if it is one; else -1. */
static int read_escaped_char(Reader *r, char c)
{
        static const char from[] = "tnrfea", to[] = "\t\n\r\f\x1b\a";
        const char *at = c ? strchr(from, c) : NULL;

        if (at)
                return to[at - from];
        if (c == 'x')
                return (int)read_hex(r);
        if (c > ' ' && !is_letter((uint8_t)c) && !(c >= '0' && c <= '9') && (uint8_t)c < 0x7f)
                return c;
        return c == ' ' ? c : -1;
}

/* --- classes in brackets --- */

/* "[:alpha:]" and its like, behind the bracket: not worth knowing, if it is plainly one. */
static void read_posix(Reader *r, bool *wide)
{
        const char *end = r->s + 1 + (r->s[1] == '^');

        while (*end >= 'a' && *end <= 'z')
                end++;
        if (r->s[0] == ':' && end[0] == ':' && end[1] == ']')
                r->s = end + 2;
        else
                r->unknown = true;
        *wide = true;
}

/*
 * One member of a class: adds it if it is a kind, else yields its code. Return: the code, or -1 if it was a
 * kind.
 */
static int read_member(Reader *r, ByteClass *c, bool *wide)
{
        char e;
        int code;

        if (*r->s != '\\') {
                code = (uint8_t)*r->s;
                r->s += *r->s != '\0';
                return code < CODE_WIDE ? code : CODE_WIDE;
        }
        e = *++r->s;
        r->s += e != '\0';
        if (e == 'b')
                return '\b';
        if (class_add_kind(c, e))
                return -1;
        if (e && strchr("DWSHhVvpPNRX", e)) {
                *wide = true;
                return -1;
        }
        code = read_escaped_char(r, e);
        r->unknown |= code < 0;
        return code;
}

/* Behind the bracket. */
static void read_class(Reader *r, Part *p)
{
        ByteClass c = {};
        bool wide = *r->s == '^';

        r->s += wide;
        for (bool first = true; first || *r->s != ']'; first = false) {
                int from, to;

                if (*r->s == '\0' || r->unknown) {
                        r->unknown = true;
                        break;
                }
                if (r->s[0] == '[' && r->s[1] && strchr(":.=", r->s[1])) {
                        r->s++;
                        read_posix(r, &wide);
                        continue;
                }
                from = to = read_member(r, &c, &wide);
                if (from >= 0 && r->s[0] == '-' && r->s[1] != ']') {
                        r->s++;
                        to = read_member(r, &c, &wide);
                        r->unknown |= to < 0;
                }
                if (from >= CODE_WIDE || to >= CODE_WIDE)
                        wide = true;
                else if (from >= 0 && to >= 0)
                        class_add_range(&c, (unsigned)from, (unsigned)to);
        }
        r->s += *r->s == ']';
        class_fold(r, &c);
        if (wide)
                literal_part_any(p);
        else
                part_class(r, p, &c);
}

/* --- escapes and groups --- */

static void skip_past(Reader *r, char end)
{
        const char *at = strchr(r->s, end);

        if (at)
                r->s = at + 1;
        else
                r->unknown = true;
}

/* A reference, behind \g or \k: to a name or number in brackets, or to a bare number. */
static void skip_reference(Reader *r)
{
        switch (*r->s) {
        case '{':
                skip_past(r, '}');
                return;
        case '<':
                skip_past(r, '>');
                return;
        case '\'':
                r->s++;
                skip_past(r, '\'');
                return;
        }
        r->s += *r->s == '-' || *r->s == '+';
        while (*r->s >= '0' && *r->s <= '9')
                r->s++;
}

/* Behind the backslash. */
static void read_escape(Reader *r, Part *p)
{
        char e = *r->s;
        ByteClass c = {};
        int code;

        literal_part_any(p);
        r->s += e != '\0';
        if (class_add_kind(&c, e)) {
                part_class(r, p, &c);
                return;
        }
        if (e && strchr("bBAZzGK", e)) {
                literal_part_empty(p);
                return;
        }
        if (e == 'p' || e == 'P') {
                if (*r->s == '{')
                        skip_past(r, '}');
                else
                        r->s += *r->s != '\0';
                return;
        }
        if (e == 'g' || e == 'k') {
                skip_reference(r);
                return;
        }
        if (e >= '1' && e <= '9') {
                while (*r->s >= '0' && *r->s <= '9')
                        r->s++;
                return;
        }
        if (e && strchr("DWSHhVvRX", e))
                return;
        code = read_escaped_char(r, e);
        if (code < 0)
                r->unknown = true;
        else if (code < CODE_WIDE)
                part_byte(r, p, (uint8_t)code);
}

static void read_alternatives(Reader *r, Part *p);

/* Up to and with the closing bracket. */
static void read_group_body(Reader *r, Part *p)
{
        bool caseless = r->caseless;

        read_alternatives(r, p);
        r->caseless = caseless;
        if (*r->s == ')')
                r->s++;
        else
                r->unknown = true;
}

/* "(?i)", "(?i-s:...)": behind the question mark. */
static void read_flags(Reader *r, Part *p)
{
        bool before = r->caseless, on = true;

        literal_part_empty(p);
        for (;; r->s++) {
                switch (*r->s) {
                case '^':
                        r->caseless = false;
                        continue;
                case '-':
                        on = false;
                        continue;
                case 'i':
                        r->caseless = on;
                        continue;
                case 'x':
                        r->unknown |= on;
                        continue;
                case 'm':
                case 's':
                case 'n':
                case 'J':
                case 'U':
                        continue;
                case ')': /* for the rest of the group around it */
                        r->s++;
                        return;
                case ':':
                        r->s++;
                        read_group_body(r, p);
                        r->caseless = before;
                        return;
                }
                r->unknown = true;
                return;
        }
}

/* A look ahead or back is no part of what is matched. */
static void read_look(Reader *r, Part *p)
{
        read_group_body(r, p);
        literal_part_empty(p);
}

/* "(?P": a name, a reference, a call. */
static void read_python(Reader *r, Part *p)
{
        char kind = *r->s;

        if (kind == '<') {
                skip_past(r, '>');
                read_group_body(r, p);
        } else if (kind == '=' || kind == '>')
                skip_past(r, ')');
        else
                r->unknown = true;
}

/* Behind "(?". */
static void read_special(Reader *r, Part *p)
{
        char kind = *r->s++;

        literal_part_any(p);
        switch (kind) {
        case ':':
        case '|':
        case '>':
                read_group_body(r, p);
                return;
        case '=':
        case '!':
                read_look(r, p);
                return;
        case '#':
                skip_past(r, ')');
                literal_part_empty(p);
                return;
        case 'P':
                read_python(r, p);
                return;
        case '&':
        case 'R':
                skip_past(r, ')');
                return;
        case '\'':
                skip_past(r, '\'');
                read_group_body(r, p);
                return;
        case '<':
                if (*r->s == '=' || *r->s == '!') {
                        r->s++;
                        read_look(r, p);
                } else {
                        skip_past(r, '>');
                        read_group_body(r, p);
                }
                return;
        }
        r->s--;
        if ((kind >= '0' && kind <= '9') || kind == '+' || (kind == '-' && r->s[1] >= '0' && r->s[1] <= '9'))
                skip_past(r, ')');
        else
                read_flags(r, p);
}

static void read_atom(Reader *r, Part *p)
{
        char c = *r->s;

        if ((uint8_t)c >= 0x80) {
                read_wide(r, p);
                return;
        }
        r->s++;
        switch (c) {
        case '(':
                if (*r->s == '*')
                        r->unknown = true;
                else if (*r->s == '?') {
                        r->s++;
                        read_special(r, p);
                        return;
                } else {
                        read_group_body(r, p);
                        return;
                }
                break;
        case '[':
                read_class(r, p);
                return;
        case '\\':
                read_escape(r, p);
                return;
        case '^':
        case '$':
                literal_part_empty(p);
                return;
        case '.':
                break;
        case '*':
        case '+':
        case '?':
                r->unknown = true;
                break;
        }
        if (c == '(' || c == '.' || r->unknown)
                literal_part_any(p);
        else /* any other stands for itself */
                part_byte(r, p, (uint8_t)c);
}

static unsigned read_number(const char **s)
{
        unsigned n = 0;

        for (; **s >= '0' && **s <= '9'; (*s)++)
                n = n > 100000 ? n : n * 10 + (unsigned)(**s - '0');
        return n;
}

/* Return: is there a quantifier? */
static bool read_quantifier(Reader *r, unsigned *min, unsigned *max)
{
        const char *s = r->s;

        *min = *s == '+';
        *max = *s == '?' ? 1 : UINT32_MAX;
        if (*s && strchr("*+?", *s))
                s++;
        else if (*s == '{' && s[1] >= '0' && s[1] <= '9') {
                s++;
                *min = *max = read_number(&s);
                if (*s == ',') {
                        s++;
                        *max = *s >= '0' && *s <= '9' ? read_number(&s) : UINT32_MAX;
                }
                if (*s++ != '}') {
                        r->unknown = true; /* a brace that stands for itself, or newer syntax */
                        return false;
                }
        } else {
                r->unknown |= *s == '{' && s[1] && strchr(", \t", s[1]);
                return false;
        }
        r->s = s + (*s == '+' || *s == '?');
        return true;
}

static void read_sequence(Reader *r, Part *p)
{
        Part atom;
        unsigned min, max;

        literal_part_empty(p);
        while (*r->s && *r->s != '|' && *r->s != ')' && !r->unknown) {
                read_atom(r, &atom);
                if (!r->unknown && read_quantifier(r, &min, &max))
                        literal_part_repeat(&atom, min, max, r->table);
                literal_part_append(p, &atom, r->table);
        }
}

static void read_alternatives(Reader *r, Part *p)
{
        Part other;

        if (++r->depth > DEPTH_MAX)
                r->unknown = true;
        read_sequence(r, p);
        while (*r->s == '|' && !r->unknown) {
                r->s++;
                read_sequence(r, &other);
                literal_part_alternative(p, &other);
        }
        r->depth--;
}

/* A character whose bytes are a sequence by themselves. */
static bool set_add_bytes(ClassTable *table, LiteralSet *s, const char *bytes)
{
        LiteralSet one = { .n = 1 };

        for (; *bytes; bytes++) {
                ByteClass c = {};

                byte_class_add(&c, (uint8_t)*bytes);
                if (class_table_find(table, &c, &one.list[0].at[one.list[0].len++]) != 0)
                        return false;
        }
        return literal_set_unite(s, &one);
}

int literal_of(const char *pattern, ClassTable *table, LiteralSet *ret)
{
        Reader r = { .s = pattern, .table = table };
        Part all;

        read_alternatives(&r, &all);
        if (r.unknown || *r.s != '\0' || literal_set_share(&all.best, table) > SHARE_MAX)
                return LITERAL_E_NONE;
        if (r.long_s && !set_add_bytes(table, &all.best, "\xc5\xbf"))
                return LITERAL_E_NONE;
        if (r.kelvin && !set_add_bytes(table, &all.best, "\xe2\x84\xaa"))
                return LITERAL_E_NONE;
        *ret = all.best;
        return 0;
}

/*
 * memory - what is known of a million messages, written down change by change
 *
 * A block is a sequence of sections: a letter, and numbers of seven bits a byte, least significant first, the
 * last byte without the high bit. Texts have their length before them.
 *
 *      I incident                            first, and only in the first block of a log
 *      M n, then n times: store, id          messages that were added to the roster
 *      F n, then n times: gap, count, flags  runs of messages that have these flags now
 *      H n, then n times: gap, count         runs of messages that changed between held and not held
 *      T the same                            ... between tried and not tried
 *      N                                     the candidates begin anew
 *      C n, then n times: first, count       candidates that were added: runs of roster indices
 *      S text, K text                        the search, the culprits; "" is none
 *
 * A gap counts from the end of the run before. Whatever does not fit (an index past the roster, an id that
 * was there before, a number that does not end) is -EBADMSG: a block is believed as a whole or not at all.
 * Test: tests/unit/test_memory.c.
 */
#include "model/memory.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* --- writing --- */

typedef struct Writer {
        uint8_t *data;
        size_t len, allocated;
        bool failed;
} Writer;

static bool writer_room(Writer *w, size_t len)
{
        size_t n = w->allocated > 0 ? w->allocated : 256;
        uint8_t *bigger;

        if (w->failed)
                return false;
        while (n < w->len + len)
                n *= 2;
        if (n == w->allocated)
                return true;
        bigger = realloc(w->data, n);
        if (!bigger) {
                w->failed = true;
                return false;
        }
        w->data = bigger;
        w->allocated = n;
        return true;
}

static void put_number(Writer *w, uint64_t v)
{
        if (!writer_room(w, 10))
                return;
        for (; v >= 0x80; v >>= 7)
                w->data[w->len++] = (uint8_t)(v | 0x80);
        w->data[w->len++] = (uint8_t)v;
}

static void put_bytes(Writer *w, const void *bytes, size_t len)
{
        put_number(w, len);
        if (!writer_room(w, len))
                return;
        memcpy(w->data + w->len, bytes, len);
        w->len += len;
}

static void put_text(Writer *w, char section, const char *text)
{
        put_number(w, (uint8_t)section);
        put_bytes(w, text ? text : "", text ? strlen(text) : 0);
}

static void put_messages(Writer *w, const Roster *r, size_t from)
{
        if (from >= r->n)
                return;
        put_number(w, 'M');
        put_number(w, r->n - from);
        for (size_t i = from; i < r->n; i++) {
                size_t len;
                const char *id = roster_id(r, (uint32_t)i, &len);

                put_number(w, r->entries[i].store);
                put_bytes(w, id, len);
        }
}

/* The number of a section's runs is known only behind them: they are made aside. */
static void put_section(Writer *w, char section, size_t n, Writer *runs)
{
        if (n > 0) {
                put_number(w, (uint8_t)section);
                put_number(w, n);
                if (writer_room(w, runs->len)) {
                        memcpy(w->data + w->len, runs->data, runs->len);
                        w->len += runs->len;
                }
        }
        w->failed = w->failed || runs->failed;
        free(runs->data);
}

static void put_flags(Writer *w, Memory *m, const Roster *r)
{
        Writer runs = {};
        size_t n = 0, end = 0;

        for (size_t i = 0; i < r->n;) {
                uint16_t flags = r->entries[i].flags;
                size_t begin = i;

                if (flags == m->flags[i]) {
                        i++;
                        continue;
                }
                for (; i < r->n && r->entries[i].flags == flags && m->flags[i] != flags; i++)
                        m->flags[i] = flags;
                put_number(&runs, begin - end);
                put_number(&runs, i - begin);
                put_number(&runs, flags);
                end = i;
                n++;
        }
        put_section(w, 'F', n, &runs);
}

static uint64_t set_word(const MessageSet *s, size_t word)
{
        return word < s->n_words ? s->bits[word] : 0;
}

static void put_set(Writer *w, char section, const MessageSet *before, const MessageSet *now)
{
        size_t words = before->n_words > now->n_words ? before->n_words : now->n_words, n = 0, end = 0;
        size_t begin = SIZE_MAX;
        Writer runs = {};

        for (size_t i = 0; i <= words * 64; i++) {
                uint64_t changed = i < words * 64 ? set_word(before, i / 64) ^ set_word(now, i / 64) : 0;
                bool in = changed >> (i % 64) & 1;

                if (i % 64 == 0 && begin == SIZE_MAX && changed == 0 && i < words * 64) {
                        i += 63; /* nothing of this word has changed */
                        continue;
                }
                if (in && begin == SIZE_MAX)
                        begin = i;
                if (in || begin == SIZE_MAX)
                        continue;
                put_number(&runs, begin - end);
                put_number(&runs, i - begin);
                end = i;
                begin = SIZE_MAX;
                n++;
        }
        put_section(w, section, n, &runs);
}

static void put_candidates(Writer *w, Memory *m, const MemoryView *v)
{
        Writer runs = {};
        size_t n = 0;

        if (m->candidates_changed && m->n_candidates > 0) {
                put_number(w, 'N');
                m->n_candidates = 0;
        }
        m->candidates_changed = false;
        for (size_t i = m->n_candidates; i < v->n_candidates;) {
                size_t begin = i;

                do
                        i++;
                while (i < v->n_candidates && v->candidates[i] == v->candidates[i - 1] + 1);
                put_number(&runs, v->candidates[begin]);
                put_number(&runs, i - begin);
                n++;
        }
        put_section(w, 'C', n, &runs);
        m->n_candidates = v->n_candidates;
}

void memory_deinit(Memory *m)
{
        free(m->flags);
        message_set_deinit(&m->held);
        message_set_deinit(&m->tried);
        *m = (Memory){};
}

/* Room for the flags of all messages; those of new ones are none. */
static int memory_grow(Memory *m, size_t n)
{
        size_t more = n + n / 4;
        uint16_t *flags;

        if (n > m->allocated) {
                flags = reallocarray(m->flags, more, sizeof(flags[0]));
                if (!flags)
                        return err_origin(-ENOMEM);
                m->flags = flags;
                m->allocated = more;
        }
        if (n > m->n)
                memset(m->flags + m->n, 0, (n - m->n) * sizeof(m->flags[0]));
        return 0;
}

int memory_append(Memory *m, const MemoryView *v, uint8_t **ret, size_t *ret_len)
{
        bool first = !m->begun;
        Writer w = {};
        int r;

        r = memory_grow(m, v->roster->n);
        if (r < 0)
                return err_trace(r);
        if (first)
                put_text(&w, 'I', v->incident);
        put_messages(&w, v->roster, m->n);
        put_flags(&w, m, v->roster);
        put_set(&w, 'H', &m->held, v->held);
        put_set(&w, 'T', &m->tried, v->tried);
        put_candidates(&w, m, v);
        if (first || m->search_changed)
                put_text(&w, 'S', v->search);
        put_text(&w, 'K', v->culprits);
        m->begun = true;
        m->n = v->roster->n;
        m->search_changed = false;
        r = w.failed ? err_origin(-ENOMEM) : message_set_copy(&m->held, v->held);
        if (r == 0)
                r = message_set_copy(&m->tried, v->tried);
        if (r < 0) {
                free(w.data);
                return err_trace(r);
        }
        *ret = w.data;
        *ret_len = w.len;
        return 0;
}

/* --- reading --- */

typedef struct Reader {
        const uint8_t *data;
        size_t len, at;
} Reader;

/* Return: 0, or -EBADMSG past the end, or above @max. */
static int get_number(Reader *r, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64 && r->at < r->len; shift += 7) {
                uint8_t byte = r->data[r->at++];

                v |= (uint64_t)(byte & 0x7f) << shift;
                if (byte & 0x80)
                        continue;
                *ret = v;
                return v > max ? err_origin(-EBADMSG) : 0;
        }
        return err_origin(-EBADMSG);
}

/* Bytes that are in the block itself. */
static int get_bytes(Reader *r, const char **ret, size_t *ret_len)
{
        uint64_t len;
        int k;

        k = get_number(r, r->len, &len);
        if (k < 0)
                return err_trace(k);
        if (len > r->len - r->at || memchr(r->data + r->at, 0, len))
                return err_origin(-EBADMSG);
        *ret = (const char *)r->data + r->at;
        *ret_len = len;
        r->at += len;
        return 0;
}

/* Replaces *@text; "" is NULL. */
static int get_text(Reader *r, char **text)
{
        const char *bytes;
        size_t len;
        int k;

        k = get_bytes(r, &bytes, &len);
        if (k < 0)
                return err_trace(k);
        free(*text);
        *text = len > 0 ? strndup(bytes, len) : NULL;
        return len > 0 && !*text ? err_origin(-ENOMEM) : 0;
}

static int get_messages(Reader *r, Recall *c)
{
        uint64_t n, store;
        int k;

        k = get_number(r, UINT32_MAX, &n);
        for (uint64_t i = 0; k == 0 && i < n; i++) {
                size_t len, before = c->roster.n;
                const char *id;
                uint32_t index;

                k = get_number(r, UINT8_MAX, &store);
                if (k == 0)
                        k = get_bytes(r, &id, &len);
                if (k == 0 && (len == 0 || len > UINT16_MAX))
                        k = err_origin(-EBADMSG);
                if (k < 0)
                        return err_trace(k);
                k = roster_add(&c->roster, (unsigned)store, id, len, &index);
                if (k == 0 && index != before)
                        k = err_origin(-EBADMSG);
        }
        return err_trace(k);
}

typedef struct Run {
        size_t begin, end;
} Run;

/* The run after *@run, inside the roster. */
static int get_run(Reader *r, const Recall *c, Run *run)
{
        uint64_t gap, count;
        int k;

        k = get_number(r, c->roster.n - run->end, &gap);
        if (k == 0)
                k = get_number(r, c->roster.n - run->end - gap, &count);
        if (k < 0)
                return err_trace(k);
        run->begin = run->end + gap;
        run->end = run->begin + count;
        return 0;
}

static int get_flags(Reader *r, Recall *c)
{
        uint64_t n, flags;
        Run run = {};
        int k;

        k = get_number(r, UINT32_MAX, &n);
        for (uint64_t i = 0; k == 0 && i < n; i++) {
                k = get_run(r, c, &run);
                if (k == 0)
                        k = get_number(r, UINT16_MAX, &flags);
                for (size_t e = run.begin; k == 0 && e < run.end; e++)
                        c->roster.entries[e].flags = (uint16_t)flags;
        }
        return err_trace(k);
}

static int get_set(Reader *r, const Recall *c, MessageSet *set)
{
        uint64_t n;
        Run run = {};
        int k;

        k = get_number(r, UINT32_MAX, &n);
        for (uint64_t i = 0; k == 0 && i < n; i++) {
                k = get_run(r, c, &run);
                for (size_t e = run.begin; k == 0 && e < run.end; e++) {
                        if (message_set_has(set, (uint32_t)e))
                                message_set_remove(set, (uint32_t)e);
                        else
                                k = message_set_add(set, (uint32_t)e);
                }
        }
        return err_trace(k);
}

static int candidates_room(Recall *c, size_t n)
{
        size_t more = c->n_candidates + n;
        uint32_t *bigger;

        if (more <= c->allocated)
                return 0;
        more += more / 2;
        bigger = reallocarray(c->candidates, more, sizeof(bigger[0]));
        if (!bigger)
                return err_origin(-ENOMEM);
        c->candidates = bigger;
        c->allocated = more;
        return 0;
}

static int get_candidates(Reader *r, Recall *c)
{
        uint64_t n;
        int k;

        k = get_number(r, UINT32_MAX, &n);
        for (uint64_t i = 0; k == 0 && i < n; i++) {
                Run run = {};

                k = get_run(r, c, &run);
                /* No message is a candidate twice. */
                if (k == 0 && run.end - run.begin > c->roster.n - c->n_candidates)
                        k = err_origin(-EBADMSG);
                if (k == 0)
                        k = candidates_room(c, run.end - run.begin);
                for (size_t e = run.begin; k == 0 && e < run.end; e++)
                        c->candidates[c->n_candidates++] = (uint32_t)e;
        }
        return err_trace(k);
}

static int get_section(Reader *r, Recall *c)
{
        uint64_t section;
        int k;

        k = get_number(r, UINT8_MAX, &section);
        if (k < 0)
                return err_trace(k);
        switch (section) {
        case 'I':
                return c->incident ? err_origin(-EBADMSG) : err_trace(get_text(r, &c->incident));
        case 'M':
                return err_trace(get_messages(r, c));
        case 'F':
                return err_trace(get_flags(r, c));
        case 'H':
                return err_trace(get_set(r, c, &c->held));
        case 'T':
                return err_trace(get_set(r, c, &c->tried));
        case 'N':
                c->n_candidates = 0;
                return 0;
        case 'C':
                return err_trace(get_candidates(r, c));
        case 'S':
                return err_trace(get_text(r, &c->search));
        case 'K':
                return err_trace(get_text(r, &c->culprits));
        }
        return err_origin(-EBADMSG);
}

int recall_block(Recall *c, const uint8_t *block, size_t len)
{
        Reader r = { .data = block, .len = len };

        while (r.at < r.len) {
                int k = get_section(&r, c);

                if (k < 0)
                        return err_trace(k);
        }
        return c->incident ? 0 : err_origin(-EBADMSG);
}

void recall_deinit(Recall *c)
{
        free(c->incident);
        roster_deinit(&c->roster);
        message_set_deinit(&c->held);
        message_set_deinit(&c->tried);
        free(c->candidates);
        free(c->search);
        free(c->culprits);
        *c = (Recall){};
}

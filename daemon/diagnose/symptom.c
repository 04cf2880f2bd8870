/*
 * symptom - filling in symptoms
 *
 * Symptoms are plain values in fixed room, so that diagnosing never fails for want of memory. Whatever is
 * longer is cut between two characters: a record takes whole UTF-8 only. Called by the rest of diagnose.
 * Cannot fail. Test: tests/unit/test_symptom.c.
 */
#include "diagnose/symptom.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drops the beginning of a character that the end of the room has cut off. */
static void text_trim(char *s, size_t len)
{
        size_t start = len, need;
        unsigned char lead;

        while (start > 0 && len - start < 3 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
                start--;
        if (start == 0)
                return;
        lead = (unsigned char)s[start - 1];
        need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
        if (len - (start - 1) < need)
                s[start - 1] = '\0';
}

void text_copy(char *dst, size_t size, const char *src)
{
        size_t len = src ? strnlen(src, size - 1) : 0;

        if (len > 0)
                memcpy(dst, src, len);
        dst[len] = '\0';
        if (src && src[len])
                text_trim(dst, len);
}

__attribute__((format(printf, 3, 0))) static void detail_print(Symptom *s, size_t used, const char *format,
                                                               va_list args)
{
        size_t room = sizeof(s->detail) - used;
        int n;

        n = vsnprintf(s->detail + used, room, format, args);
        if (n < 0)
                s->detail[used] = '\0';
        else if ((size_t)n >= room)
                text_trim(s->detail, sizeof(s->detail) - 1);
}

void symptom_detail(Symptom *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        detail_print(s, 0, format, args);
        va_end(args);
}

void symptom_add_detail(Symptom *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        detail_print(s, strlen(s->detail), format, args);
        va_end(args);
}

Symptom symptom_make(const ServiceSettings *service, SymptomKind kind, const char *tail, usec_t wall)
{
        const char *unit = service->units && service->units[0] ? service->units[0] : service->name;
        Symptom s = { .kind = kind, .wall = wall };
        size_t room = sizeof(s.signature), tail_len = strnlen(tail, room / 2), len;

        /* Two signatures must differ in what happened even where the unit's name is too long. */
        text_copy(s.signature, room - tail_len - 1, unit);
        len = strlen(s.signature);
        s.signature[len++] = '/';
        text_copy(s.signature + len, tail_len + 1, tail);
        return s;
}

uint64_t text_hash(const char *text)
{
        uint64_t h = UINT64_C(14695981039346656037);

        for (; *text; text++)
                h = (h ^ (uint8_t)*text) * UINT64_C(1099511628211);
        return h;
}

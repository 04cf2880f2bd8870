/*
 * text - bytes from anywhere, made fit for records and terminals
 *
 * Called by everybody who shows or stores what came from outside: log lines, file names, process titles,
 * program output. Guarantees: any bytes are accepted and none is a reason to fail; what comes out of
 * text_to_utf8() and text_percent_encode() is valid UTF-8, so a JSON library takes it and no record is lost
 * over a stray byte.
 *
 * Diagnostics: NULL or -ENOMEM without memory, -EINVAL for text that is not of the asked form. Nothing is
 * logged.
 */
#include "base/text.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <sodium.h>
#include <string.h>

/* U+FFFD in UTF-8. */
static const char replacement[] = "\xEF\xBF\xBD";

/*
 * The length of the valid UTF-8 sequence at @p, or 0. Overlong forms, surrogates and what lies beyond
 * U+10FFFF are invalid: JSON libraries refuse them, and terminals disagree about them. NUL is invalid here as
 * well.
 */
static size_t sequence_length(const uint8_t *p, size_t len)
{
        uint8_t first_min = 0x80, first_max = 0xBF;
        size_t n;

        if (len == 0 || p[0] == 0)
                return 0;
        if (p[0] < 0x80)
                return 1;
        if (p[0] >= 0xC2 && p[0] <= 0xDF)
                n = 2;
        else if (p[0] >= 0xE0 && p[0] <= 0xEF)
                n = 3;
        else if (p[0] >= 0xF0 && p[0] <= 0xF4)
                n = 4;
        else
                return 0;
        if (len < n)
                return 0;

        /* Only the second byte has a narrower range, after these four first bytes. */
        if (p[0] == 0xE0)
                first_min = 0xA0;
        else if (p[0] == 0xED)
                first_max = 0x9F;
        else if (p[0] == 0xF0)
                first_min = 0x90;
        else if (p[0] == 0xF4)
                first_max = 0x8F;
        if (p[1] < first_min || p[1] > first_max)
                return 0;
        for (size_t i = 2; i < n; i++)
                if ((p[i] & 0xC0) != 0x80)
                        return 0;
        return n;
}

bool text_is_utf8(const void *data, size_t len)
{
        const uint8_t *p = data;

        for (size_t i = 0; i < len;) {
                size_t n = sequence_length(p + i, len - i);

                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}

char *text_to_utf8(const void *data, size_t len, size_t max)
{
        const uint8_t *p = data;
        size_t end = max > 0 && max < len ? max : len, used = 0;
        char *out;

        if (end > (SIZE_MAX - 1) / 3)
                return NULL;
        out = malloc(end * 3 + 1);
        if (!out)
                return NULL;
        for (size_t i = 0; i < end;) {
                size_t n = sequence_length(p + i, len - i);

                if (n == 0) {
                        memcpy(out + used, replacement, 3);
                        used += 3;
                        i++;
                        continue;
                }
                /* A character that the limit would cut in two is left out, not damaged. */
                if (i + n > end)
                        break;
                memcpy(out + used, p + i, n);
                used += n;
                i += n;
        }
        out[used] = 0;
        return out;
}

/* C0, DEL, and C1 in its two-byte form: a terminal obeys them. */
static bool is_control(const uint8_t *p, size_t n)
{
        return (n == 1 && (p[0] < 0x20 || p[0] == 0x7F)) || (n == 2 && p[0] == 0xC2 && p[1] < 0xA0);
}

char *text_percent_encode(const void *data, size_t len)
{
        static const char digits[] = "0123456789ABCDEF";
        const uint8_t *p = data;
        size_t used = 0;
        char *out;

        if (len > (SIZE_MAX - 1) / 3)
                return NULL;
        out = malloc(len * 3 + 1);
        if (!out)
                return NULL;
        for (size_t i = 0; i < len;) {
                size_t n = sequence_length(p + i, len - i);
                bool plain = n > 0 && p[i] != '%' && !is_control(p + i, n);

                if (n == 0)
                        n = 1;
                for (size_t k = 0; k < n; k++, i++) {
                        if (plain) {
                                out[used++] = (char)p[i];
                                continue;
                        }
                        out[used++] = '%';
                        out[used++] = digits[p[i] >> 4];
                        out[used++] = digits[p[i] & 15];
                }
        }
        out[used] = 0;
        return out;
}

char *text_base64(const void *data, size_t len)
{
        size_t size;
        char *out;

        /* sodium aborts where the length would overflow. */
        if (len > SIZE_MAX / 4 * 3 - 8)
                return NULL;
        size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);
        out = malloc(size);
        if (!out)
                return NULL;
        return sodium_bin2base64(out, size, data, len, sodium_base64_VARIANT_ORIGINAL);
}

int text_unbase64(const char *text, void **ret, size_t *ret_len)
{
        size_t len = strlen(text), size = len / 4 * 3 + 3, n;
        _cleanup_(freep) uint8_t *out = malloc(size + 1);

        if (!out)
                return err_origin(-ENOMEM);
        if (sodium_base642bin(out, size, text, len, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
                return err_origin(-EINVAL);
        out[n] = 0;
        *ret = TAKE_PTR(out);
        *ret_len = n;
        return 0;
}

char *text_hex(char *out, const void *data, size_t len)
{
        return sodium_bin2hex(out, len * 2 + 1, data, len);
}

int text_unhex(const char *text, void *data, size_t len)
{
        size_t n;

        if (strlen(text) != len * 2)
                return err_origin(-EINVAL);
        if (sodium_hex2bin(data, len, text, len * 2, NULL, &n, NULL) != 0 || n != len)
                return err_origin(-EINVAL);
        return 0;
}

int size_parse(const char *text, uint64_t *ret)
{
        static const struct {
                const char *unit;
                unsigned shift;
        } units[] = { { "", 0 }, { "B", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 } };
        uint64_t value = 0;
        const char *p = text;

        if (*p < '0' || *p > '9')
                return err_origin(-EINVAL);
        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return err_origin(-EINVAL);
        while (*p == ' ')
                p++;
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (strcmp(p, units[i].unit) != 0)
                        continue;
                if (value > UINT64_MAX >> units[i].shift)
                        return err_origin(-EINVAL);
                *ret = value << units[i].shift;
                return 0;
        }
        return err_origin(-EINVAL);
}

static size_t min3(size_t a, size_t b, size_t c)
{
        size_t m = a < b ? a : b;

        return m < c ? m : c;
}

size_t text_distance(const char *a, const char *b)
{
        size_t la = strlen(a), lb = strlen(b), width = lb + 1;
        _cleanup_(freep) size_t *rows = calloc(3, width * sizeof(size_t));
        size_t *before, *last, *row;

        /* Without memory nothing is near anything: a suggestion is all that is lost. */
        if (!rows)
                return la > lb ? la : lb;
        before = rows;
        last = rows + width;
        row = rows + 2 * width;
        for (size_t j = 0; j <= lb; j++)
                row[j] = j;
        for (size_t i = 1; i <= la; i++) {
                size_t *spare = before;

                before = last;
                last = row;
                row = spare;
                row[0] = i;
                for (size_t j = 1; j <= lb; j++) {
                        size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

                        row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = min3(row[j], before[j - 2] + 1, SIZE_MAX);
                }
        }
        return row[lb];
}

char **strv_free(char **v)
{
        for (size_t i = 0; v && v[i]; i++)
                free(v[i]);
        free(v);
        return NULL;
}

size_t strv_length(char *const *v)
{
        size_t n = 0;

        while (v && v[n])
                n++;
        return n;
}

char **strv_copy(char *const *v)
{
        size_t n = strv_length(v);
        _cleanup_(strv_freep) char **copy = calloc(n + 1, sizeof(char *));

        if (!copy)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                copy[i] = strdup(v[i]);
                if (!copy[i])
                        return NULL;
        }
        return TAKE_PTR(copy);
}

bool strv_contains(char *const *v, const char *s)
{
        for (size_t i = 0; v && v[i]; i++)
                if (strcmp(v[i], s) == 0)
                        return true;
        return false;
}

int strv_append(char ***v, const char *s)
{
        size_t n = strv_length(*v);
        _cleanup_(freep) char *copy = strdup(s);
        char **grown;

        if (!copy)
                return err_origin(-ENOMEM);
        grown = reallocarray(*v, n + 2, sizeof(char *));
        if (!grown)
                return err_origin(-ENOMEM);
        grown[n] = TAKE_PTR(copy);
        grown[n + 1] = NULL;
        *v = grown;
        return 0;
}

char *strv_join(char *const *v, const char *separator)
{
        size_t gap = strlen(separator), len = 1;
        char *out, *p;

        for (size_t i = 0; v && v[i]; i++)
                len += strlen(v[i]) + (i > 0 ? gap : 0);
        out = malloc(len);
        if (!out)
                return NULL;
        p = out;
        for (size_t i = 0; v && v[i]; i++) {
                if (i > 0)
                        p = mempcpy(p, separator, gap);
                p = mempcpy(p, v[i], strlen(v[i]));
        }
        *p = 0;
        return out;
}

char *strdup_null(const char *s)
{
        return s ? strdup(s) : NULL;
}

bool streq_null(const char *a, const char *b)
{
        if (!a || !b)
                return a == b;
        return strcmp(a, b) == 0;
}

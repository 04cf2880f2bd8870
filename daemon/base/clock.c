/*
 * clock - one unit of time, its text forms, and the one place where a clock is read
 *
 * Called by everybody. Guarantees: now_read() never fails; each writer fits the buffer size that clock.h
 * names; every text written by usec_rfc3339() and timespec_rfc3339() is read back by rfc3339_parse().
 *
 * Diagnostics: -EINVAL for text that is not of the asked form. A time beyond the years 0 to 9999, as a
 * hostile file may carry, is written as the nearest one that has a form.
 */
#include "base/clock.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* 0000-01-01 and the last second of 9999, from 1970. */
#define SECOND_MIN INT64_C(-62167219200)
#define SECOND_MAX INT64_C(253402300799)

static const struct {
        const char *name;
        usec_t usec;
} units[] = {
        { "d", USEC_PER_DAY }, { "h", USEC_PER_HOUR },  { "min", USEC_PER_MIN },
        { "s", USEC_PER_SEC }, { "ms", USEC_PER_MSEC }, { "us", 1 },
};

static usec_t clock_read(clockid_t id)
{
        struct timespec ts;

        /* Both clocks exist on every kernel that has pidfds; 0 is for a seccomp filter gone wrong. */
        if (clock_gettime(id, &ts) < 0)
                return 0;
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

Now now_read(void)
{
        return (Now){ .mono = clock_read(CLOCK_BOOTTIME), .wall = clock_read(CLOCK_REALTIME) };
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* One "1h" or "1.5s" at *@p, which is moved past it. */
static int part_parse(const char **p, usec_t *ret)
{
        uint64_t whole = 0, fraction = 0, scale = 1;
        const char *s = *p;
        size_t len;

        if (!is_digit(*s))
                return err_origin(-EINVAL);
        for (; is_digit(*s); s++)
                if (__builtin_mul_overflow(whole, UINT64_C(10), &whole) ||
                    __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
                        return err_origin(-EINVAL);
        if (*s == '.') {
                s++;
                if (!is_digit(*s))
                        return err_origin(-EINVAL);
                /* Digits past the sixth are less than a microsecond of any unit up to the second. */
                for (; is_digit(*s); s++)
                        if (scale < 1000000) {
                                fraction = fraction * 10 + (uint64_t)(*s - '0');
                                scale *= 10;
                        }
        }
        while (*s == ' ')
                s++;
        len = strspn(s, "abcdefghijklmnopqrstuvwxyz");
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                usec_t value;

                if (strlen(units[i].name) != len || memcmp(s, units[i].name, len) != 0)
                        continue;
                if (__builtin_mul_overflow(whole, units[i].usec, &value) ||
                    __builtin_add_overflow(value, fraction * units[i].usec / scale, &value))
                        return err_origin(-EINVAL);
                *p = s + len;
                *ret = value;
                return 0;
        }
        return err_origin(-EINVAL);
}

int usec_parse(const char *text, usec_t *ret)
{
        usec_t sum = 0;

        do {
                usec_t part;
                int r;

                r = part_parse(&text, &part);
                if (r < 0)
                        return err_trace(r);
                /* Infinity is no time that somebody configures. */
                if (__builtin_add_overflow(sum, part, &sum) || sum == USEC_INFINITY)
                        return err_origin(-EINVAL);
                while (*text == ' ')
                        text++;
        } while (*text);
        *ret = sum;
        return 0;
}

char *usec_format(char *buf, size_t size, usec_t t)
{
        uint64_t d = t / USEC_PER_DAY, h = t / USEC_PER_HOUR % 24, min = t / USEC_PER_MIN % 60,
                 s = t / USEC_PER_SEC % 60;

        if (t == USEC_INFINITY)
                snprintf(buf, size, "infinity");
        else if (t == 0)
                snprintf(buf, size, "0s");
        else if (t < USEC_PER_MSEC)
                snprintf(buf, size, "%" PRIu64 "us", t);
        else if (t < USEC_PER_SEC)
                snprintf(buf, size, "%" PRIu64 "ms", t / USEC_PER_MSEC);
        else if (t < USEC_PER_MIN && t % USEC_PER_SEC >= 100 * USEC_PER_MSEC)
                snprintf(buf, size, "%" PRIu64 ".%" PRIu64 "s", s, t % USEC_PER_SEC / (100 * USEC_PER_MSEC));
        else if (t < USEC_PER_MIN)
                snprintf(buf, size, "%" PRIu64 "s", s);
        else if (d > 0)
                snprintf(buf, size, h > 0 ? "%" PRIu64 "d %" PRIu64 "h" : "%" PRIu64 "d", d, h);
        else if (h > 0)
                snprintf(buf, size, min > 0 ? "%" PRIu64 "h %" PRIu64 "min" : "%" PRIu64 "h", h, min);
        else
                snprintf(buf, size, s > 0 ? "%" PRIu64 "min %" PRIu64 "s" : "%" PRIu64 "min", min, s);
        return buf;
}

/* @digits of @fraction after the point. */
static char *rfc3339_write(char *buf, size_t size, int64_t second, int digits, long fraction)
{
        struct tm tm;
        time_t t;

        if (second < SECOND_MIN) {
                second = SECOND_MIN;
                fraction = 0;
        } else if (second > SECOND_MAX) {
                second = SECOND_MAX;
                fraction = 0;
        }
        t = (time_t)second;
        gmtime_r(&t, &tm);
        /* All are in range already; the remainders say so to the compiler, which counts what may
         * be written. */
        snprintf(buf, size, "%04u-%02u-%02uT%02u:%02u:%02u.%0*uZ", (unsigned)(tm.tm_year + 1900) % 10000U,
                 (unsigned)(tm.tm_mon + 1) % 100U, (unsigned)tm.tm_mday % 100U, (unsigned)tm.tm_hour % 100U,
                 (unsigned)tm.tm_min % 100U, (unsigned)tm.tm_sec % 100U, digits,
                 (unsigned)fraction % 1000000000U);
        return buf;
}

char *usec_rfc3339(char *buf, usec_t wall)
{
        return rfc3339_write(buf, USEC_RFC3339_MAX, (int64_t)(wall / USEC_PER_SEC), 6,
                             (long)(wall % USEC_PER_SEC));
}

char *timespec_rfc3339(char *buf, const struct timespec *ts)
{
        return rfc3339_write(buf, TIMESPEC_RFC3339_MAX, ts->tv_sec, 9, ts->tv_nsec);
}

/* Exactly @n digits at *@p and then @end, which is skipped unless it is NUL. */
static bool digits_parse(const char **p, int n, char end, int *ret)
{
        int value = 0;

        for (int i = 0; i < n; i++) {
                if (!is_digit(**p))
                        return false;
                value = value * 10 + (*(*p)++ - '0');
        }
        if (end && *(*p)++ != end)
                return false;
        *ret = value;
        return true;
}

int rfc3339_parse(const char *text, struct timespec *ret)
{
        struct tm tm = { 0 }, back;
        const char *p = text;
        long nsec = 0, scale = 100000000;
        time_t t;

        if (!digits_parse(&p, 4, '-', &tm.tm_year) || !digits_parse(&p, 2, '-', &tm.tm_mon) ||
            !digits_parse(&p, 2, 'T', &tm.tm_mday) || !digits_parse(&p, 2, ':', &tm.tm_hour) ||
            !digits_parse(&p, 2, ':', &tm.tm_min) || !digits_parse(&p, 2, 0, &tm.tm_sec))
                return err_origin(-EINVAL);
        if (*p == '.') {
                if (!is_digit(*++p))
                        return err_origin(-EINVAL);
                for (; is_digit(*p) && scale > 0; p++, scale /= 10)
                        nsec += (*p - '0') * scale;
        }
        if (strcmp(p, "Z") != 0)
                return err_origin(-EINVAL);
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;

        /* timegm() accepts February 30 and makes March of it: what does not come back as it went is
         * no date. */
        back = tm;
        t = timegm(&back);
        if (back.tm_year != tm.tm_year || back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday ||
            back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
                return err_origin(-EINVAL);
        *ret = (struct timespec){ .tv_sec = t, .tv_nsec = nsec };
        return 0;
}

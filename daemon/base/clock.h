#pragma once

/*
 * Time, in one unit.
 *
 * usec_t counts microseconds. A "monotonic" usec_t is CLOCK_BOOTTIME (it goes on while the machine sleeps)
 * and means nothing after a reboot; a "wall" usec_t is CLOCK_REALTIME since 1970 and is for records only: no
 * decision is taken on it.
 */

#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef uint64_t usec_t;

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MIN  (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)
#define USEC_PER_DAY  (24 * USEC_PER_HOUR)
#define USEC_INFINITY UINT64_MAX

/* One moment, read once per wake-up of the loop, on both clocks. */
typedef struct Now {
        usec_t mono;
        usec_t wall;
} Now;

Now now_read(void);

/* Parses "500ms", "30s", "5min", "2h", "5d", "1h30min" (units: us ms s min h d). Return: 0, or -EINVAL. */
int usec_parse(const char *text, usec_t *ret);
/* Writes a short form such as "1.5s", "2min 3s", "infinity" to @buf; yields @buf. */
char *usec_format(char *buf, size_t size, usec_t t);

/* RFC 3339 in UTC with microseconds, "2026-11-22T14:00:00.123456Z". @buf takes USEC_RFC3339_MAX bytes. */
#define USEC_RFC3339_MAX 32
char *usec_rfc3339(char *buf, usec_t wall);
/* The same with nanoseconds, for a file's time. @buf takes TIMESPEC_RFC3339_MAX bytes. */
#define TIMESPEC_RFC3339_MAX 40
char *timespec_rfc3339(char *buf, const struct timespec *ts);
/* Reads either form back. Return: 0, or -EINVAL. */
int rfc3339_parse(const char *text, struct timespec *ret);

/* a + b that sticks at USEC_INFINITY. */
static inline usec_t usec_add(usec_t a, usec_t b)
{
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

/* a - b that sticks at 0. */
static inline usec_t usec_sub(usec_t a, usec_t b)
{
        return a > b ? a - b : 0;
}

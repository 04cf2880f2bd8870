#pragma once

/*
 * Pressure: how much of the last ten seconds somebody, or everybody, waited for CPU, memory or disk (PSI).
 */

#include <stdbool.h>

/* Of one resource, avg10, in hundredths of a percent: 10000 is all the time. */
typedef struct PressureShare {
        unsigned some; /* at least one task waited */
        unsigned full; /* all of them did */
} PressureShare;

typedef struct Pressure {
        bool known; /* the kernel tells */
        PressureShare cpu, memory, io;
} Pressure;

/* Pure: the text of a pressure file. Return: was it one? */
bool pressure_parse(const char *text, PressureShare *ret);
/*
 * Adds what the files in @dirfd say, and keeps the worse of both: "cpu", "memory" and "io" of /proc/pressure,
 * with @suffix ".pressure" those of a control group. What is not there is no pressure.
 */
void pressure_add(int dirfd, const char *suffix, Pressure *p);

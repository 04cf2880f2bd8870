#pragma once

/*
 * LogTorture: a log that is written to and rotated in every way there is, and the real source that follows
 * it, in a process of its own that is killed again and again.
 */

#include <stdint.h>

typedef struct LogTortureConfig {
        unsigned rotations, kills;
        uint64_t seed;
} LogTortureConfig;

typedef struct LogTortureResult {
        uint64_t written; /* lines that match a rule */
        uint64_t lost;    /* of them, never reported */
        uint64_t doubled; /* reported as two finds: under two cursors, or twice by one life of the reader */
        uint64_t
                again; /* reported by two lives under one cursor: the reader died between report and commit */
        uint64_t foreign; /* reported, but never written so */
        uint64_t gaps;    /* gaps reported, though nothing was missing */
        unsigned rotations, kills;
        char note[256]; /* of the first fault */
} LogTortureResult;

/* Return: 0 if it could be carried out, else a negated errno. */
int log_torture_run(const LogTortureConfig *config, LogTortureResult *ret);

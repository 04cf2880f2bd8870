#pragma once

/* LogPlace: a log and how far it has been read, as turns see it. Private to log_turn.c and log_place.c. */

#include "model/line_rules.h"
#include "observe/log_turn.h"

#define LOG_SLICE ((size_t)256 << 10) /* what is read at once: it fits into the processor's cache */

struct LogPlace {
        const ServiceSettings *settings;
        Settings *owner;
        char *path, *state_dir;
        Disk *disk;
        LogWatch *watch;
        Rules *rules;
        LineRules *lines;
        size_t line_max;
        usec_t line_wait;
        LogFamily family;
        uint64_t seq;
        bool loaded;
        bool moved;        /* further than what is saved */
        bool reported;     /* what the saved state has as pending was reported */
        bool poll;         /* something has no watch */
        bool odd, unsaved; /* these gaps were told */
        usec_t saved;      /* monotonic */
        int dir_wd;
        /* Gaps to be summed up. */
        uint64_t n_cut, limited;
        usec_t told_cut, told_limited;
        /* For this turn. */
        char *buffer;
        size_t room, budget;
};

/* Adds a gap to what @t found. Return: 0 or -ENOMEM. */
int log_place_gap(LogTurn *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * Makes durable what @t found and how far it came, if it is time to. A state that cannot be written becomes a
 * gap, once. Return: 0 or -ENOMEM.
 */
int log_place_commit(LogTurn *t);
/* The first turn: what is known from before. Return: 0 or -ENOMEM. */
int log_place_load(LogTurn *t);

#pragma once

/*
 * Claims: what event rules say. A claim is a log line's word, so it never is a fault by itself.
 */

#include "diagnose/diagnosis.h"
#include "diagnose/windows.h"

#define CLAIM_LIFETIME (10 * USEC_PER_MIN)

typedef struct Claim {
        bool open;
        bool confirmed; /* a second fact was seen */
        bool recorded;  /* the engine was told */
        usec_t since;   /* monotonic: when it fired */
        usec_t last;    /* when it fired last: it expires CLAIM_LIFETIME later */
        Symptom symptom;
        EventWindow window;
} Claim;

typedef struct Claims {
        const ServiceSettings *service;
        Claim *claims; /* one per rule */
        size_t n;
} Claims;

/* @service must outlive it. Return: 0 or -ENOMEM. */
int claims_init(Claims *c, const ServiceSettings *service);
void claims_deinit(Claims *c);
/* Drops all claims and counts. */
void claims_clear(Claims *c);
/*
 * A log entry matched its rule, or cancels it. @moved: when mail moved last. @quiet becomes now if an open
 * claim is taken back. Return: 0, or -EINVAL if there is no such rule.
 */
int claims_feed(Claims *c, const LogEntry *entry, usec_t moved, const Now *now, usec_t *quiet);
/* Closes those that are too old. Yields when the next one will be, or USEC_INFINITY. Tells if any
 * was closed. */
usec_t claims_expire(Claims *c, usec_t mono, bool *ret_closed);
/* The first open claim, a confirmed one before others; NULL if there is none. */
Claim *claims_first(const Claims *c);

#pragma once

/* Sift: canaries among the messages that are suspected. */

#include "act/spool.h"
#include "model/canary.h"

#define SIFT_MAX 256 /* files are read: only for few */

/*
 * Those of @set that are canaries made with @key get MESSAGE_CANARY in @roster; *@ret is @set without them.
 * With more than SIFT_MAX, or where a message cannot be read, nothing is left out. For a worker. Return: 0,
 * or a negated errno.
 */
int sift_canaries(Spool *spool, const CanaryKey *key, const char *incident, Roster *roster,
                  const MessageSet *set, MessageSet *ret);

#pragma once

/*
 * Stores check: the causes that unjamd finds without a program, disk_full and permissions over the
 * directories of a service's stores, and what is wrong with their state. Looking may wait for a disk: from
 * a worker thread.
 */

#include "base/clock.h"
#include "model/settings.h"

/* Where to look: copies, so that the configuration may go meanwhile. */
typedef struct StoresCheck {
        char **dirs;                /* must be there, be readable, and have space */
        char **holds;               /* are made when needed: looked at only if they are there */
        RecreateSettings *recreate; /* path and kind only */
        size_t n_recreate;
        LockSettings *locks;
        size_t n_locks;
} StoresCheck;

int stores_check_init(StoresCheck *c, const ServiceSettings *service);
/* Twice is fine. */
void stores_check_deinit(StoresCheck *c);

#define STORES_E_FOUND 1 /* the fault is there, and *@ret_detail says where (caller frees) */

/* No space or no inodes where one of them is. Return: 0, STORES_E_FOUND, or a negated errno: it cannot be
 * told. */
int stores_check_full(const StoresCheck *c, char **ret_detail);
/* A directory of a store is missing, unreadable, no directory, or on a file system that went read-only. */
int stores_check_permissions(const StoresCheck *c, char **ret_detail);

/* Something that must exist is missing, or of another kind. */
int stores_check_state(const StoresCheck *c, char **ret_detail);
/* A lock outlived the process that took it. */
int stores_check_locks(const StoresCheck *c, char **ret_detail);

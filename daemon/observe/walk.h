#pragma once

/*
 * Walk: goes through the directories of a service's stores, in a worker thread, so that sources can set marks
 * on each and see what is in them.
 */

#include "model/settings.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* A directory of a store: number @dir of store @store, and where below it ("" for itself). */
typedef struct WalkPlace {
        size_t store, dir;
        const char *path;
} WalkPlace;

typedef struct WalkOps {
        /*
         * A directory, open, before its entries are read: what happens after a mark is set here is seen by
         * the mark, what happened before by the entries. Return: 0, >0 to leave it out, or a negated errno to
         * give up.
         */
        int (*directory)(void *userdata, const WalkPlace *place, int fd);
        /*
         * An entry; @path is its path below the store's directory. Return: 0, >0 not to go down into it if it
         * is a directory, or a negated errno to give up.
         */
        int (*entry)(void *userdata, const WalkPlace *place, const char *path, bool is_directory);
} WalkOps;

typedef struct Walk {
        const ServiceSettings *settings;
        const WalkOps *ops; /* entry may be NULL: then only directories are visited */
        void *userdata;
        const atomic_bool *cancel; /* or NULL */
        size_t n_directories;      /* visited so far */
        bool truncated; /* more or deeper directories than anybody keeps mail in: some were left out */
        bool missing;   /* a store's directory is not there (now) */
        bool remote;    /* one lies on a network file system, which tells nobody of changes made elsewhere */
} Walk;

#define WALK_DIRECTORIES_MAX 65536
#define WALK_DEPTH_MAX       16

/*
 * Everything from @place down; @place->path NULL means all directories of all stores. What vanishes meanwhile
 * is passed over; symbolic links are entries and are never followed. Return: 0, -ECANCELED, or a negated
 * errno.
 */
int walk_run(Walk *w, const WalkPlace *place);

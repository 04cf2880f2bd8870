#pragma once

/*
 * Spawn: a child process of unjamd that is a service: what it needs is found out first, where it may take
 * time; it is forked, waits until its existence is on record, and then executes the program.
 */

#include "model/settings.h"

typedef struct SpawnPlan {
        char *user; /* of the settings */
        char *directory;
        char **command;
        char **extra; /* environment of the settings */
        /* After spawn_plan_resolve(): */
        char *path;         /* the program */
        char **environment; /* whole */
        bool has_user;
        uid_t uid;
        gid_t gid;
        gid_t *groups;
        size_t n_groups;
        char *error; /* for people, if it failed */
} SpawnPlan;

/* Copies what it needs. Return: 0 or -ENOMEM. */
int spawn_plan_init(SpawnPlan *p, const ServiceSettings *service);
void spawn_plan_deinit(SpawnPlan *p);
/*
 * Looks up user, groups and program. May wait for a name service: for a worker. Return: 0, or a negated errno
 * with
 * @p->error set (NULL on -ENOMEM).
 */
int spawn_plan_resolve(SpawnPlan *p);

typedef struct Spawned {
        pid_t pid;
        int pidfd;
        int go_fd;     /* write one byte: the child goes on; close: it ends */
        int status_fd; /* end of file: the program runs; else a SpawnFailure */
} Spawned;

typedef enum SpawnStage {
        SPAWN_CGROUP,
        SPAWN_STDIO,
        SPAWN_USER,
        SPAWN_DIRECTORY,
        SPAWN_EXEC,
        _SPAWN_STAGE_MAX,
} SpawnStage;

typedef struct SpawnFailure {
        SpawnStage stage;
        int error; /* positive errno */
} SpawnFailure;

const char *spawn_stage_describe(SpawnStage s);

/* Forks. @cgroupfd: the group it joins, or -1. Both descriptors stay the caller's. Return: 0 or a negated
 * errno. */
int spawn_fork(const SpawnPlan *p, int cgroupfd, int output, Spawned *ret);
/* Closes what is open; a child that still waits ends by that. */
void spawned_deinit(Spawned *s);

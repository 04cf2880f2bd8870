#pragma once

/*
 * ChildEnds: reports processes of a service that were killed by a signal while it goes on. Part of the
 * in-flight source, which holds them by pidfd.
 */

#include "observe/source.h"

typedef struct ChildEnd {
        pid_t pid;
        int signal;
        bool core, out_of_memory;
        char name[32]; /* UTF-8 */
        char *path;    /* a message file that it had open, or NULL */
} ChildEnd;

/* All zero but for the context is an empty one. */
typedef struct ChildEnds {
        const SourceContext *context;
        /*
         * Has the kernel killed a process of the service for want of memory since it was asked last? Or
         * NULL.
         */
        bool (*out_of_memory)(void *userdata);
        void *userdata;
        sd_event_source *defer;
        ChildEnd *list;
        size_t n;
} ChildEnds;

/*
 * @status is that of wait(2), -1 if it is not known. What was no crash (an exit, a signal by which
 * processes are asked to end) is dropped. Reports from the loop, not at once: an observer may ask the
 * source again.
 */
void child_ends_add(ChildEnds *c, pid_t pid, const char *name, const char *path, int status);
void child_ends_deinit(ChildEnds *c);

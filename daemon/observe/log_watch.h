#pragma once

/*
 * LogWatch: one inotify instance for all logs. Watches are set and dropped by the one worker that reads logs;
 * events are read in the loop.
 */

#include <stdint.h>

typedef struct LogWatch LogWatch;

/* Without inotify (too many instances) it is made all the same, and sets no watch. Return: 0 or -ENOMEM. */
int log_watch_new(LogWatch **ret);
/* In the loop only. Frees with the last reference; NULL is fine. */
LogWatch *log_watch_ref(LogWatch *w);
LogWatch *log_watch_unref(LogWatch *w);
/* To be polled and read; -1: there is none. */
int log_watch_fd(const LogWatch *w);
/*
 * Watches the file or directory behind @fd. An inode has one watch, however many watch it: it is dropped when
 * all of them have. Return: the watch, or -1: it must be polled.
 */
int log_watch_add(LogWatch *w, int fd, uint32_t mask);
void log_watch_drop(LogWatch *w, int wd);

#pragma once

/*
 * CgroupWatch: tells when the last process of a control group has ended.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

typedef struct CgroupWatch CgroupWatch;

/* @emptied is called once, from the loop, when the group has become empty after it was seen with a process in
 * it. */
int cgroup_watch_new(CgroupWatch **ret, sd_event *event, const char *cgroup, void (*emptied)(void *userdata),
                     void *userdata);
/* Looks by itself, where the kernel does not tell (cgroup v1). */
void cgroup_watch_look(CgroupWatch *w);
/* Must it be asked to look, for the kernel does not tell? */
bool cgroup_watch_is_blind(const CgroupWatch *w);
/* NULL is fine. Yields NULL. */
CgroupWatch *cgroup_watch_free(CgroupWatch *w);

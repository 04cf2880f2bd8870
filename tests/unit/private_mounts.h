#pragma once

/* A mount namespace of a test, also in a chroot, where "/" is no mount point that could be made private. */

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <unistd.h>

/* False where it is not permitted. The root and the working directory stay what they are. */
static inline bool mounts_are_private(void)
{
        int root, here, ns;
        bool done = false;

        if (unshare(CLONE_NEWNS) < 0)
                return false;
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        if (root >= 0 && here >= 0 && ns >= 0) {
                /* To enter the namespace that we are in leads to its root, out of the chroot; then back. */
                done = setns(ns, CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
                done = fchdir(root) == 0 && chroot(".") == 0 && fchdir(here) == 0 && done;
        }
        if (root >= 0)
                close(root);
        if (here >= 0)
                close(here);
        if (ns >= 0)
                close(ns);
        return done;
}

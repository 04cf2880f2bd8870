#pragma once

/* A mount namespace of the test's own, where that is permitted. */

#include "private_mounts.h"
#include "spool_fixture.h"

static bool can_mount;

static inline int mounts_setup(void **state)
{
        (void)state;
        can_mount = mounts_are_private();
        return 0;
}

/* Mounts @what (NULL: an empty tmpfs) at @where; else the test is skipped. */
static inline void mount_or_skip(const Fixture *f, const char *what, const char *where)
{
        int r;

        if (!can_mount)
                skip();
        r = what ? mount(at(f, what), at(f, where), NULL, MS_BIND, NULL)
                 : mount("none", at(f, where), "tmpfs", 0, "size=1m");
        if (r < 0)
                skip();
}

static inline void unmount(const Fixture *f, const char *where)
{
        assert_int_equal(umount2(at(f, where), MNT_DETACH), 0);
}

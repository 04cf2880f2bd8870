/*
 * filesystem - which mount a path is on, and whether other hosts share it
 *
 * Called by the cross checks when a configuration is read; reads statx(2), statfs(2) and
 * /proc/self/mountinfo, changes nothing. A rename is possible inside one mount only; whether it really works
 * is decided by a probe elsewhere (act/spool.h), this is for what is not worth a probe and for observe mode,
 * where none is made.
 *
 * Network file systems are told by the magic of statfs. FUSE has one magic for all, local or not, so there
 * the name in mountinfo decides, and a FUSE file system of unknown name counts as a network: then unjamd only
 * observes.
 * Test: tests/unit/test_config_filesystem.c.
 */
#include "config/filesystem.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "config/path.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Not in linux/magic.h, because these are defined beside their own code in the kernel. */
#define MAGIC_GFS2   0x01161970
#define MAGIC_LUSTRE 0x0bd00bd0
#define MAGIC_GPFS   0x47504653
#define MAGIC_BEEGFS 0x19830326
#define MAGIC_ORANGE 0x20030528

/* Goes up until something exists: a hold is asked for before it is made. */
int mount_find(const char *path, uint64_t *ret)
{
        _cleanup_(freep) char *p = strdup(path);

        while (p) {
                struct statx sx;
                char *up;

                if (statx(AT_FDCWD, p, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_MNT_ID, &sx) == 0) {
                        *ret = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id : 0;
                        return 0;
                }
                if (errno != ENOENT || strcmp(p, "/") == 0)
                        return err_origin(-errno);
                up = path_parent(p);
                free(p);
                p = up;
        }
        return err_origin(-ENOMEM);
}

/* Resolves the longest part that exists, and adds the rest as it is written. */
int path_resolve(const char *path, char **ret)
{
        _cleanup_(freep) char *p = strdup(path);
        char *joined;

        while (p) {
                _cleanup_(freep) char *real = realpath(p, NULL);
                char *up;

                if (real) {
                        /* What follows begins with the slash that "/" already ends with. */
                        const char *rest = path + (strcmp(p, "/") == 0 ? 0 : strlen(p));
                        bool whole = strcmp(path, p) == 0;

                        if (asprintf(&joined, "%s%s", !whole && strcmp(real, "/") == 0 ? "" : real,
                                     whole ? "" : rest) < 0)
                                return err_origin(-ENOMEM);
                        *ret = joined;
                        return 0;
                }
                if (errno != ENOENT || strcmp(p, "/") == 0)
                        return err_origin(-errno);
                up = path_parent(p);
                free(p);
                p = up;
        }
        return err_origin(-ENOMEM);
}

/* A FUSE file system, "fuse.sshfs", is local only if it is known to be. */
bool filesystem_type_is_network(const char *type)
{
        static const char *const network[] = {
                "9p",    "acfs",      "afs",  "beegfs", "ceph",   "cifs",   "coda",
                "gfs2",  "glusterfs", "gpfs", "lustre", "ncpfs",  "nfs",    "nfs4",
                "ocfs2", "orangefs",  "smb3", "smbfs",  "vboxsf", "wekafs",
        };
        static const char *const local_fuse[] = { "fuseblk", "fuse.fuse-overlayfs", "fuse.bindfs",
                                                  "fuse.lxcfs" };

        for (size_t i = 0; i < ELEMENTSOF(network); i++)
                if (strcmp(type, network[i]) == 0)
                        return true;
        if (strncmp(type, "fuse", 4) != 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(local_fuse); i++)
                if (strcmp(type, local_fuse[i]) == 0)
                        return false;
        return true;
}

/* "36 35 98:0 /root /mnt rw,noatime shared:1 - ext4 /dev/sda1 rw": the type follows the lone dash. */
char *mountinfo_type(const char *mountinfo, uint64_t id)
{
        for (const char *line = mountinfo; *line;) {
                size_t len = strcspn(line, "\n");
                char *rest;

                if (strtoull(line, &rest, 10) == id && rest > line && rest < line + len) {
                        const char *dash = memmem(line, len, " - ", 3);

                        if (dash)
                                return strndup(dash + 3, strcspn(dash + 3, " \n"));
                }
                line += len;
                if (*line == '\n')
                        line++;
        }
        return NULL;
}

/* The mounts of this process: /proc gives no size, so it is read until it ends. NULL on error. */
static char *mountinfo_read(void)
{
        _cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
        char *text = NULL;
        size_t allocated = 0;

        /* Mountinfo holds no NUL, so this is the whole of it. */
        if (!f || getdelim(&text, &allocated, '\0', f) < 0) {
                free(text);
                return NULL;
        }
        return text;
}

/* Without mountinfo (no /proc) there is no name, and the answer is the careful one. */
static int fuse_is_network(const char *path)
{
        _cleanup_(freep) char *mountinfo = NULL;
        _cleanup_(freep) char *type = NULL;
        uint64_t id;
        int r;

        r = mount_find(path, &id);
        if (r < 0)
                return err_trace(r);
        mountinfo = mountinfo_read();
        if (mountinfo)
                type = mountinfo_type(mountinfo, id);
        return type ? filesystem_type_is_network(type) : 1;
}

int filesystem_is_network(const char *path)
{
        static const uint32_t network[] = {
                NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC,  SMB2_SUPER_MAGIC,
                CEPH_SUPER_MAGIC, MAGIC_GFS2,       OCFS2_SUPER_MAGIC, AFS_SUPER_MAGIC,
                AFS_FS_MAGIC,     CODA_SUPER_MAGIC, NCP_SUPER_MAGIC,   V9FS_MAGIC,
                MAGIC_LUSTRE,     MAGIC_GPFS,       MAGIC_BEEGFS,      MAGIC_ORANGE,
        };
        struct statfs sf;

        if (statfs(path, &sf) < 0)
                return err_origin(-errno);
        /* f_type is a signed long on some machines and the magics use all 32 bits. */
        if ((uint32_t)sf.f_type == FUSE_SUPER_MAGIC)
                return fuse_is_network(path);
        for (size_t i = 0; i < ELEMENTSOF(network); i++)
                if ((uint32_t)sf.f_type == network[i])
                        return 1;
        return 0;
}

/*
 * key_file - random bytes that stay the same
 *
 * Used by main for the key of the canaries. Either the whole file is there or none of it. Test:
 * tests/unit/test_key_file.c.
 */
#include "base/key_file.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

int key_file_load(Disk *d, const char *dir, const char *name, uint8_t *ret, size_t len)
{
        _cleanup_(closep) int dirfd = dir_ensure(d, dir, 0700);
        _cleanup_(freep) char *bytes = NULL;
        size_t found;
        int r;

        if (dirfd < 0)
                return err_trace(dirfd);
        r = file_read(dirfd, name, len + 1, &bytes, &found);
        if (r == 0 && found != len)
                return err_origin(-EBADMSG);
        if (r == 0)
                memcpy(ret, bytes, len);
        if (r != -ENOENT)
                return err_trace(r);
        randombytes_buf(ret, len);
        return err_trace(file_replace(d, dirfd, name, ret, len, 0600));
}

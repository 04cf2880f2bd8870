/*
 * spool_known - the digests of messages that were culprits once
 *
 * Written by spool_quarantine.c, read by spool_scan.c, and by observe/arrivals.c. A message that comes again
 * is the first that a search looks at: MESSAGE_KNOWN, nothing more; only where arrival_quarantine is enabled
 * is anybody held for his digest. The list is HOLD/culprits, a line "SIZE SHA256" for each file, the newest
 * last, and outlives the quarantine: an operator's release or delete leaves it as it is. What is no such line
 * is skipped. A list that cannot be written costs weight, and is reported.
 *
 * Files of less than 64 bytes are not listed: too many are alike. Only a new file whose size is on the list
 * is read, and of those so many in an inventory.
 *
 * Test: tests/unit/test_spool_known.c
 */
#include "act/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void spool_known_load(const SpoolStore *store, SpoolKnown *ret)
{
        _cleanup_(closep) int hold = open(store->real_hold, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(freep) char *text = NULL;

        *ret = (SpoolKnown){ .reads = SPOOL_KNOWN_READS };
        if (hold >= 0 && file_read(hold, KNOWN_FILE, KNOWN_MAX * KNOWN_LINE_MAX, &text, NULL) == 0)
                known_parse(&ret->list, text);
}

int spool_known_save(Disk *disk, const SpoolStore *store, const SpoolKnown *k)
{
        _cleanup_(closep) int hold = open(store->real_hold, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(freep) char *text = known_format(&k->list);

        if (hold < 0)
                return err_origin(-errno);
        if (!text)
                return err_origin(-ENOMEM);
        return err_trace(file_replace(disk, hold, KNOWN_FILE, text, strlen(text), 0600));
}

bool spool_known_has(SpoolKnown *k, int dirfd, const char *name)
{
        _cleanup_(closep) int fd = -1;
        uint8_t digest[SHA256_SIZE];
        struct stat st;

        if (k->list.n == 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
            !known_has_size(&k->list, (uint64_t)st.st_size) || k->reads == 0)
                return false;
        k->reads--;
        fd = file_open_beneath(dirfd, name, O_RDONLY | O_NOFOLLOW);
        return fd >= 0 && file_sha256(fd, digest) == 0 && known_has(&k->list, (uint64_t)st.st_size, digest);
}

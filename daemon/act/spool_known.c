/*
 * spool_known - the digests of messages that were culprits once
 *
 * Written by spool_quarantine.c, read by spool_scan.c. A message that comes again is the first that a search
 * looks at: MESSAGE_KNOWN, nothing more; nobody is held for his digest. The list is HOLD/culprits, a line
 * "SIZE SHA256" for each file, the newest last, and outlives the quarantine: an operator's release or delete
 * leaves it as it is. What is no such line is skipped. A list that cannot be written costs weight, and is
 * reported.
 *
 * Files of less than 64 bytes are not listed: too many are alike. Only a new file whose size is on the list
 * is read, and of those so many in an inventory.
 *
 * Test: tests/unit/test_spool_known.c
 */
#include "act/spool_private.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIST_NAME "culprits"
#define LINE_MAX  (20 + 1 + 2 * SHA256_SIZE + 1)
#define SIZE_MIN  64

void spool_known_add(SpoolKnown *k, uint64_t size, const uint8_t digest[SHA256_SIZE])
{
        size_t at;

        if (size < SIZE_MIN)
                return;
        for (at = 0; at < k->n; at++)
                if (k->at[at].size == size && memcmp(k->at[at].digest, digest, SHA256_SIZE) == 0)
                        break;
        if (at == k->n && k->n < SPOOL_KNOWN_MAX)
                k->n++;
        else if (at == k->n)
                at = 0;
        memmove(k->at + at, k->at + at + 1, (k->n - at - 1) * sizeof(k->at[0]));
        k->at[k->n - 1].size = size;
        memcpy(k->at[k->n - 1].digest, digest, SHA256_SIZE);
}

static void line_read(SpoolKnown *k, const char *line)
{
        uint8_t digest[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        uint64_t size;

        if (sscanf(line, "%" SCNu64 " %64[0-9a-f]", &size, hex) == 2 && strlen(hex) == sizeof(hex) - 1 &&
            text_unhex(hex, digest, sizeof(digest)) == 0)
                spool_known_add(k, size, digest);
}

void spool_known_load(const SpoolStore *store, SpoolKnown *ret)
{
        _cleanup_(closep) int hold = open(store->real_hold, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(freep) char *text = NULL;
        char *save = NULL;

        *ret = (SpoolKnown){ .reads = SPOOL_KNOWN_READS };
        if (hold < 0 || file_read(hold, LIST_NAME, SPOOL_KNOWN_MAX * LINE_MAX, &text, NULL) < 0)
                return;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                line_read(ret, line);
}

int spool_known_save(Disk *disk, const SpoolStore *store, const SpoolKnown *k)
{
        _cleanup_(closep) int hold = open(store->real_hold, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(freep) char *text = malloc(SPOOL_KNOWN_MAX * LINE_MAX + 1);
        size_t len = 0;

        if (hold < 0)
                return err_origin(-errno);
        if (!text)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < k->n; i++) {
                char hex[2 * SHA256_SIZE + 1];

                len += (size_t)snprintf(text + len, LINE_MAX + 1, "%" PRIu64 " %s\n", k->at[i].size,
                                        text_hex(hex, k->at[i].digest, SHA256_SIZE));
        }
        return err_trace(file_replace(disk, hold, LIST_NAME, text, len, 0600));
}

bool spool_known_has(SpoolKnown *k, int dirfd, const char *name)
{
        _cleanup_(closep) int fd = -1;
        uint8_t digest[SHA256_SIZE];
        struct stat st;
        size_t i;

        if (k->n == 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return false;
        for (i = 0; i < k->n && k->at[i].size != (uint64_t)st.st_size; i++)
                ;
        if (i == k->n || k->reads == 0)
                return false;
        k->reads--;
        fd = file_open_beneath(dirfd, name, O_RDONLY | O_NOFOLLOW);
        if (fd < 0 || file_sha256(fd, digest) < 0)
                return false;
        for (; i < k->n; i++)
                if (k->at[i].size == (uint64_t)st.st_size &&
                    memcmp(k->at[i].digest, digest, sizeof(digest)) == 0)
                        return true;
        return false;
}

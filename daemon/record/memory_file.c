/*
 * memory_file - a log of blocks, each with its digest
 *
 * A block is MEMORY_BLOCK_HEADER bytes and its payload: "UNJM", version, length, and the SHA-256 of
 * generation, offset and payload, so that a block counts only where it was written. Numbers are
 * little-endian. The file is written by the recorder's thread alone, and read when the daemon starts.
 * Test: tests/unit/test_memory_file.c.
 */
#include "record/memory_file.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "record/snapshot.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define MEMORY_MODE     0600
#define MEMORY_VERSION  1
#define MEMORY_SIZE_MAX (UINT64_C(1) << 32)

typedef struct Header {
        char magic[4];
        uint32_t version;
        uint64_t length; /* of the payload */
        uint8_t digest[SHA256_SIZE];
} Header;
static_assert(sizeof(Header) == MEMORY_BLOCK_HEADER, "no padding in what lies on disk");

static const char magic[4] = { 'U', 'N', 'J', 'M' };

/* "NAME.memory-": the snapshot's name for the service, with another end. NULL on ENOMEM. */
static char *file_stem(const char *service)
{
        _cleanup_(freep) char *file = snapshot_file_name(service);
        char *stem = NULL;

        if (!file)
                return NULL;
        return asprintf(&stem, "%.*s.memory-", (int)(strlen(file) - strlen(".json")), file) < 0 ? NULL : stem;
}

static char *file_name(const char *service, uint64_t generation)
{
        _cleanup_(freep) char *stem = file_stem(service);
        char *name = NULL;

        if (!stem)
                return NULL;
        return asprintf(&name, "%s%" PRIu64, stem, generation) < 0 ? NULL : name;
}

static void block_digest(uint64_t generation, uint64_t offset, const uint8_t *payload, size_t len,
                         uint8_t ret[SHA256_SIZE])
{
        const uint64_t place[2] = { htole64(generation), htole64(offset) };
        crypto_hash_sha256_state state;

        crypto_hash_sha256_init(&state);
        crypto_hash_sha256_update(&state, (const uint8_t *)place, sizeof(place));
        crypto_hash_sha256_update(&state, payload, len);
        crypto_hash_sha256_final(&state, ret);
}

static int block_write(Disk *d, int fd, const MemoryWrite *w)
{
        Header h = { .version = htole32(MEMORY_VERSION), .length = htole64(w->len) };
        int r;

        memcpy(h.magic, magic, sizeof(magic));
        block_digest(w->generation, w->offset, w->block, w->len, h.digest);
        r = disk_write(d, fd, &h, sizeof(h));
        if (r == 0)
                r = disk_write(d, fd, w->block, w->len);
        if (r == 0)
                r = disk_sync(d, fd);
        return err_trace(r);
}

int memory_file_write(Disk *d, int dirfd, const char *service, const MemoryWrite *w)
{
        _cleanup_(freep) char *name = file_name(service, w->generation);
        _cleanup_(closep) int fd = -1;
        struct stat st;
        int r;

        if (!name)
                return err_origin(-ENOMEM);
        fd = disk_create(d, dirfd, name, O_WRONLY | O_APPEND | O_CREAT, MEMORY_MODE);
        if (fd < 0)
                return err_trace(fd);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if ((uint64_t)st.st_size < w->offset)
                return err_origin(-EBADMSG); /* what was durable has gone: nothing is built upon the rest */
        if ((uint64_t)st.st_size > w->offset && ftruncate(fd, (off_t)w->offset) < 0)
                return err_origin(-errno);
        r = block_write(d, fd, w);
        if (r == 0 && w->offset == 0)
                r = disk_sync(d, dirfd);
        return err_trace(r);
}

int memory_file_sweep(Disk *d, int dirfd, const char *service, uint64_t generation)
{
        _cleanup_(freep) char *stem = file_stem(service), *keep = file_name(service, generation);
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *e;
        int r;

        if (!stem || !keep)
                return err_origin(-ENOMEM);
        r = dir_stream_at(dirfd, ".", &dir);
        while (r == 0 && (e = readdir(dir))) {
                size_t len = strlen(stem),
                       digits = strspn(e->d_name + (strlen(e->d_name) < len ? 0 : len), "0123456789");

                if (strncmp(e->d_name, stem, len) != 0 || digits == 0 || e->d_name[len + digits] ||
                    (generation > 0 && strcmp(e->d_name, keep) == 0))
                        continue;
                r = disk_remove(d, dirfd, e->d_name, 0);
        }
        return err_trace(r);
}

int memory_file_read(int dirfd, const char *service, uint64_t generation, uint64_t length,
                     MemoryVisitor visit, void *userdata)
{
        _cleanup_(freep) char *name = file_name(service, generation), *text = NULL;
        uint8_t digest[SHA256_SIZE];
        size_t size;
        int r;

        if (!name)
                return err_origin(-ENOMEM);
        r = file_read(dirfd, name, MEMORY_SIZE_MAX, &text, &size);
        if (r == -ENOENT || (r == 0 && size < length))
                return err_origin(-EBADMSG);
        for (uint64_t at = 0; r == 0 && at < length;) {
                const uint8_t *payload = (const uint8_t *)text + at + sizeof(Header);
                Header h;

                if (length - at < sizeof(h))
                        return err_origin(-EBADMSG);
                memcpy(&h, text + at, sizeof(h));
                h.length = le64toh(h.length);
                if (memcmp(h.magic, magic, sizeof(magic)) != 0 || le32toh(h.version) != MEMORY_VERSION ||
                    h.length > length - at - sizeof(h))
                        return err_origin(-EBADMSG);
                block_digest(generation, at, payload, h.length, digest);
                if (memcmp(digest, h.digest, sizeof(digest)) != 0)
                        return err_origin(-EBADMSG);
                r = visit(userdata, payload, h.length);
                at += sizeof(h) + h.length;
        }
        return err_trace(r);
}

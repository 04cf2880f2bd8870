/*
 * State files. The bytes as a snapshot file (torn, damaged, forged); then, sealed as unjamd itself seals
 * them, so that what is behind the digest is reached as well.
 */
#include "base/disk.h"
#include "fuzz.h"
#include "record/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int dirfd = -1;
        Snapshot s = { 0 }, back = { 0 };
        json_t *state;
        int r;

        if (dirfd < 0)
                dirfd = open(fuzz_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fuzz_write(dirfd, "x.json", data, size);
        r = snapshot_read(dirfd, "x.json", &s);
        assert(r == 0 || r == -EBADMSG);
        if (r == 0)
                snapshot_deinit(&s);
        state = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
        if (state) {
                s = (Snapshot){ .state = state, .records = json_array(), .commit = 1, .seq = 1 };
                assert(snapshot_write(disk_posix(), dirfd, "x.json", &s) == 0);
                r = snapshot_read(dirfd, "x.json", &back);
                /* Numbers of a text may round: what was read is at least read again the same. */
                assert(r == 0 && back.commit == 1 && json_equal(back.state, state));
                snapshot_deinit(&back);
                snapshot_deinit(&s);
        }
        return 0;
}

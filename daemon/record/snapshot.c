/*
 * snapshot - the memory of one service on disk
 *
 * Written and read by recorder_disk.c. The write is file_replace(): after a crash the old or the new one is
 * there. A damaged file is reported as -EBADMSG and left alone, for people to look at.
 */
#include "record/snapshot.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "model/json.h"
#include "record/chain.h"

#include <string.h>

#define SNAPSHOT_VERSION  1
#define SNAPSHOT_SIZE_MAX (UINT64_C(1) << 30)
#define SNAPSHOT_MODE     0600

void snapshot_deinit(Snapshot *s)
{
        json_decref(s->state);
        json_decref(s->records);
        *s = (Snapshot){ 0 };
}

char *snapshot_file_name(const char *service)
{
        static const char hex[] = "0123456789ABCDEF";
        size_t len = strlen(service), n = 0;
        char *name = malloc(3 * len + sizeof(".json"));

        if (!name)
                return NULL;
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)service[i];

                if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == '@' || (c == '.' && i > 0)) {
                        name[n++] = (char)c;
                        continue;
                }
                name[n++] = '%';
                name[n++] = hex[c >> 4];
                name[n++] = hex[c & 15];
        }
        memcpy(name + n, ".json", sizeof(".json"));
        return name;
}

static json_t *snapshot_object(const Snapshot *s)
{
        return json_pack("{s:i, s:O?, s:{s:I, s:I, s:O?}}", "unjam", SNAPSHOT_VERSION, "snapshot", s->state,
                         "pending", "commit", (json_int_t)s->commit, "seq", (json_int_t)s->seq, "records",
                         s->records);
}

/* The line with its digest. NULL on ENOMEM. */
static char *snapshot_line(const Snapshot *s)
{
        char digest[CHAIN_HEX + 1] = CHAIN_ZERO;
        char *line = NULL;
        json_t *j;

        j = snapshot_object(s);
        if (!j || json_object_set_new(j, "sha256", json_string(digest)) < 0)
                goto finish;
        line = json_text(j, JSON_COMPACT | JSON_SORT_KEYS);
        if (line) {
                ChainMember m;

                /* Filled in where the zeros are: the digest is made without them. */
                if (chain_digest(line, strlen(line), "sha256", digest) < 0 ||
                    chain_member(line, strlen(line), "sha256", &m) < 0) {
                        free(line);
                        line = NULL;
                        goto finish;
                }
                memcpy(line + m.value + 1, digest, CHAIN_HEX);
        }
finish:
        json_decref(j);
        return line;
}

int snapshot_write(Disk *d, int dirfd, const char *file, const Snapshot *s)
{
        _cleanup_(freep) char *line = snapshot_line(s);
        size_t len;

        if (!line)
                return err_origin(-ENOMEM);
        len = strlen(line);
        line[len] = '\n'; /* in place of the NUL; the length is known */
        return err_trace(file_replace(d, dirfd, file, line, len + 1, SNAPSHOT_MODE));
}

static int snapshot_parse(const char *text, size_t len, Snapshot *ret)
{
        char digest[CHAIN_HEX + 1];
        _cleanup_(snapshot_deinitp) Snapshot s = { 0 };
        json_int_t commit, seq;
        const char *said;
        json_t *j, *state, *records;
        int version, r = -EBADMSG;

        if (len == 0 || text[len - 1] != '\n' || chain_digest(text, len - 1, "sha256", digest) < 0)
                return -EBADMSG;
        j = json_parse(text, len - 1);
        if (!j && errno == ENOMEM)
                return err_origin(-ENOMEM);
        if (j &&
            json_unpack(j, "{s:i, s:s, s:o, s:{s:I, s:I, s:o}}", "unjam", &version, "sha256", &said,
                        "snapshot", &state, "pending", "commit", &commit, "seq", &seq, "records",
                        &records) == 0 &&
            version == SNAPSHOT_VERSION && strcmp(said, digest) == 0 && commit >= 0 && seq >= 0 &&
            (json_is_array(records) || json_is_null(records))) {
                s.commit = (uint64_t)commit;
                s.seq = (uint64_t)seq;
                s.state = json_is_null(state) ? NULL : json_incref(state);
                s.records = json_is_array(records) ? json_incref(records) : json_array();
                r = s.records ? 0 : -ENOMEM;
        }
        json_decref(j);
        if (r == 0) {
                *ret = s;
                s = (Snapshot){ 0 };
        }
        return r;
}

int snapshot_read(int dirfd, const char *file, Snapshot *ret)
{
        _cleanup_(freep) char *text = NULL;
        size_t len;
        int r;

        r = file_read(dirfd, file, SNAPSHOT_SIZE_MAX, &text, &len);
        if (r == -ENOENT)
                return SNAPSHOT_E_NONE;
        if (r < 0)
                return err_trace(r);
        return snapshot_parse(text, len, ret);
}

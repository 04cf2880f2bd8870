/*
 * audit - the audit trail as it is written
 *
 * Called by recorder_disk.c, from its worker thread. The head in memory always describes what counts: the
 * records up to the last append that succeeded. The file may hold more than that only between a failure and
 * the next append (`dirty`), which cuts it back first; if that is impossible too, nothing is appended.
 *
 * The trail on disk, and what opening it does:
 *
 *   last whole record = head       the ordinary case
 *   last whole record > head       unjamd died between append and head: the records are adopted
 *   last whole record < head       records were lost: the chain goes on from the head; `audit verify` names
 *                                  the gap
 *   bytes after the last record    a torn write if they are newer than the head: cut off and reported
 */
#include "record/audit.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/json.h"
#include "record/trail.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#define AUDIT_FILE_MODE 0640
#define HEAD_SIZE_MAX   4096
#define CUT_TEXT_MAX    2048
/* Weights and loads are the only fractions in a record; 17 digits of 0.1 help nobody. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9))

struct Audit {
        Disk *disk;
        uint64_t max_size;
        unsigned keep;
        gid_t group;
        int dirfd;
        int statefd;
        char *name;
        int fd; /* of the file that is appended to; -1 until it exists */
        AuditHead head;
        off_t size;      /* of what counts in that file */
        bool dirty;      /* there may be more than @size */
        bool head_dirty; /* the head on disk may be newer than @head */
};

void audit_findings_deinit(AuditFindings *f)
{
        free(f->cut_text);
        *f = (AuditFindings){ 0 };
}

const AuditHead *audit_head(const Audit *a)
{
        return &a->head;
}

Audit *audit_free(Audit *a)
{
        if (!a)
                return NULL;
        closep(&a->fd);
        closep(&a->dirfd);
        closep(&a->statefd);
        free(a->name);
        free(a);
        return NULL;
}

/* Heads */

int audit_head_read(int dirfd, AuditHead *ret)
{
        _cleanup_(freep) char *text = NULL;
        json_int_t seq, commit, first;
        const char *hash;
        json_t *j;
        size_t len;
        int r;

        r = file_read(dirfd, AUDIT_HEAD_FILE, HEAD_SIZE_MAX, &text, &len);
        if (r == -ENOENT)
                return AUDIT_E_NONE;
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : err_trace(r);
        j = json_parse(text, len);
        if (!j && errno == ENOMEM)
                return err_origin(-ENOMEM);
        r = j &&
                            json_unpack(j, "{s:I, s:I, s:I, s:s}", "seq", &seq, "commit", &commit, "first",
                                        &first, "hash", &hash) == 0 &&
                            seq >= 0 && commit >= 0 && first >= 0 && strlen(hash) == CHAIN_HEX
                    ? 0
                    : -EBADMSG;
        if (r == 0) {
                *ret = (AuditHead){ .seq = (uint64_t)seq,
                                    .commit = (uint64_t)commit,
                                    .first = (uint64_t)first };
                memcpy(ret->hash, hash, sizeof(ret->hash));
        }
        json_decref(j);
        return r;
}

static int head_write(const Audit *a, const AuditHead *head)
{
        _cleanup_(freep) char *text = NULL;
        json_t *j;

        j = json_pack("{s:i, s:I, s:I, s:I, s:s}", "unjam", 1, "seq", (json_int_t)head->seq, "commit",
                      (json_int_t)head->commit, "first", (json_int_t)head->first, "hash", head->hash);
        if (!j)
                return err_origin(-ENOMEM);
        text = json_text(j, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(j);
        if (!text)
                return err_origin(-ENOMEM);
        return err_trace(
                file_replace(a->disk, a->statefd, AUDIT_HEAD_FILE, text, strlen(text), AUDIT_FILE_MODE));
}

/* Records */

json_t *audit_record_new(AuditRecord *record, const char *boot, const char *host)
{
        const char *event = audit_event_to_string(record->event);
        json_t *j = TAKE_PTR(record->members);
        char time[USEC_RFC3339_MAX];

        if (!j)
                j = json_object();
        if (!j || !event || json_object_set_new(j, "v", json_integer(1)) < 0 ||
            json_object_set_new(j, "time", json_string(usec_rfc3339(time, record->wall))) < 0 ||
            json_object_set_new(j, "boot", json_string(boot)) < 0 ||
            json_object_set_new(j, "host", json_string(host)) < 0 ||
            json_object_set_new(j, "event", json_string(event)) < 0 ||
            (record->service && json_object_set_new(j, "service", json_string(record->service)) < 0) ||
            (record->incident && json_object_set_new(j, "incident", json_string(record->incident)) < 0)) {
                json_decref(j);
                return NULL;
        }
        return j;
}

/* Gives @record its place after @head, which moves on to it. *@ret is its line with the newline. */
static int record_line(json_t *record, AuditHead *head, char **ret, size_t *ret_len)
{
        _cleanup_(freep) char *bare = NULL, *line = NULL;
        uint8_t digest[SHA256_SIZE];
        char hash[CHAIN_HEX + 1];
        char *more;
        size_t len;

        json_object_del(record, "hash");
        if (json_object_set_new(record, "seq", json_integer((json_int_t)(head->seq + 1))) < 0 ||
            json_object_set_new(record, "prev", json_string(head->hash)) < 0)
                return err_origin(-ENOMEM);
        bare = json_text(record, DUMP_FLAGS);
        if (!bare)
                return err_origin(-ENOMEM);
        sha256(bare, strlen(bare), digest);
        text_hex(hash, digest, sizeof(digest));
        if (json_object_set_new(record, "hash", json_string(hash)) < 0)
                return err_origin(-ENOMEM);
        line = json_text(record, DUMP_FLAGS);
        if (!line)
                return err_origin(-ENOMEM);
        len = strlen(line);
        more = realloc(line, len + 2);
        if (!more)
                return err_origin(-ENOMEM);
        line = more;
        memcpy(line + len, "\n", 2);
        head->seq++;
        memcpy(head->hash, hash, sizeof(hash));
        if (head->first == 0)
                head->first = head->seq;
        *ret = TAKE_PTR(line);
        *ret_len = len + 1;
        return 0;
}

static int records_lines(json_t *const *records, size_t n, AuditHead *head, char **ret, size_t *ret_len)
{
        _cleanup_(freep) char *text = NULL;
        size_t len = 0;
        int r;

        for (size_t i = 0; i < n; i++) {
                _cleanup_(freep) char *line = NULL;
                size_t line_len;
                char *more;

                r = record_line(records[i], head, &line, &line_len);
                if (r < 0)
                        return r;
                more = realloc(text, len + line_len);
                if (!more)
                        return err_origin(-ENOMEM);
                text = more;
                memcpy(text + len, line, line_len);
                len += line_len;
        }
        *ret = TAKE_PTR(text);
        *ret_len = len;
        return 0;
}

/* Appending */

static int file_open(Audit *a)
{
        struct stat st;
        int fd, r;

        fd = disk_create(a->disk, a->dirfd, a->name, O_RDWR | O_APPEND | O_CREAT, AUDIT_FILE_MODE);
        if (fd < 0)
                return err_trace(fd);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                close(fd);
                return err_origin(-EBADF);
        }
        if (st.st_size == 0) {
                /* New: the umask must not decide who may read it, and its name must last. */
                (void)fchmod(fd, AUDIT_FILE_MODE);
                if (a->group != (gid_t)-1 && fchown(fd, (uid_t)-1, a->group) < 0) {
                        /* A file system without owners, or we are not root: then its owner alone reads it. */
                }
                r = disk_sync(a->disk, a->dirfd);
                if (r < 0) {
                        close(fd);
                        return err_trace(r);
                }
        }
        closep(&a->fd);
        a->fd = fd;
        a->size = st.st_size;
        a->dirty = false;
        return 0;
}

/*
 * Takes back what does not count: first the head, which may have been replaced though its last step failed,
 * then the end of the file. A crash between the two leaves records that are newer than the head, which is
 * harmless.
 */
static int file_cut(Audit *a)
{
        int r;

        if (a->head_dirty) {
                r = head_write(a, &a->head);
                if (r < 0)
                        return r;
                a->head_dirty = false;
        }
        if (!a->dirty)
                return 0;
        if (ftruncate(a->fd, a->size) < 0)
                return err_origin(-errno);
        a->dirty = false;
        return 0;
}

/* Somebody may have moved, removed or written to the file: take it as it is now. */
static int file_refresh(Audit *a)
{
        struct stat here, named;
        int r;

        if (a->fd < 0)
                return file_open(a);
        r = file_cut(a);
        if (r < 0)
                return r;
        if (fstat(a->fd, &here) < 0)
                return err_origin(-errno);
        if (fstatat(a->dirfd, a->name, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_dev != here.st_dev ||
            named.st_ino != here.st_ino)
                return file_open(a);
        a->size = here.st_size;
        return 0;
}

/* The seq of the oldest record among the current file and the rotated ones that are kept; 0: cannot
 * be told. */
static uint64_t oldest_kept(const Audit *a)
{
        _cleanup_(freep) unsigned *numbers = NULL;
        _cleanup_(freep) char *name = NULL, *line = NULL;
        _cleanup_(fclosep) FILE *stream = NULL;
        ChainLink link;
        size_t n, i = 0, allocated = 0;
        ssize_t len;
        int fd;

        if (trail_list(a->dirfd, a->name, &numbers, &n) < 0)
                return 0;
        while (i < n && numbers[i] > a->keep)
                i++;
        if ((i < n ? asprintf(&name, "%s.%u", a->name, numbers[i]) : asprintf(&name, "%s", a->name)) < 0)
                return 0;
        fd = openat(a->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        stream = fd >= 0 ? fdopen(fd, "re") : NULL;
        if (!stream) {
                closep(&fd);
                return 0;
        }
        len = getline(&line, &allocated, stream);
        return len > 1 && chain_parse(line, (size_t)len - 1, &link) == 0 ? link.seq : 0;
}

/*
 * The files move up, the head learns which record will be the oldest, and only then older ones are removed: a
 * crash in between never makes the head claim records that rotation took away.
 */
static int file_rotate(Audit *a)
{
        uint64_t oldest;
        int r;

        r = trail_rotate(a->disk, a->dirfd, a->name);
        if (r < 0)
                return r;
        closep(&a->fd);
        a->fd = -1;
        r = file_open(a);
        if (r < 0)
                return r;
        oldest = oldest_kept(a);
        if (oldest > a->head.first) {
                AuditHead head = a->head;

                head.first = oldest;
                r = head_write(a, &head);
                if (r < 0)
                        return r;
                a->head = head;
        }
        return err_trace(trail_prune(a->disk, a->dirfd, a->name, a->keep));
}

static int append_lines(Audit *a, const char *text, size_t len)
{
        int r;

        r = file_refresh(a);
        if (r < 0)
                return r;
        if (a->size > 0 && (uint64_t)a->size + len > a->max_size) {
                r = file_rotate(a);
                if (r < 0)
                        return r;
        }
        a->dirty = true;
        r = disk_write(a->disk, a->fd, text, len);
        if (r < 0)
                return err_trace(r);
        return err_trace(disk_sync(a->disk, a->fd));
}

int audit_append(Audit *a, json_t *const *records, size_t n, uint64_t commit)
{
        _cleanup_(freep) char *text = NULL;
        AuditHead head = a->head;
        size_t len;
        int r;

        r = records_lines(records, n, &head, &text, &len);
        if (r < 0)
                return r;
        if (len > 0) {
                r = append_lines(a, text, len);
                if (r < 0) {
                        /* Tried again before the next append if it fails now. */
                        (void)file_cut(a);
                        return r;
                }
        }
        head.commit = commit;
        if (a->head.first > head.first)
                head.first = a->head.first; /* the rotation has moved it */
        a->head_dirty = true;
        r = head_write(a, &head);
        if (r < 0) {
                (void)file_cut(a);
                return r;
        }
        a->head = head;
        a->head_dirty = false;
        if (len > 0) {
                a->size += (off_t)len;
                a->dirty = false;
        }
        return 0;
}

/* Opening */

/* Cuts the file at @end, and keeps what was there for the report. */
static int cut_torn(Audit *a, uint64_t end, uint64_t size, AuditFindings *f)
{
        char buf[CUT_TEXT_MAX];
        ssize_t n;

        n = pread(a->fd, buf, sizeof(buf), (off_t)end);
        if (n < 0)
                return err_origin(-errno);
        f->cut_text = text_to_utf8(buf, (size_t)n, 0);
        if (!f->cut_text)
                return err_origin(-ENOMEM);
        if (ftruncate(a->fd, (off_t)end) < 0)
                return err_origin(-errno);
        f->cut = size - end;
        a->size = (off_t)end;
        return err_trace(disk_sync(a->disk, a->fd));
}

/* Where a bad end begins: after the last record if it is newer than what counts, else only the unfinished
 * line. */
static int torn_from(const Audit *a, const TrailLast *here, uint64_t last_seq, uint64_t head_seq,
                     uint64_t *ret)
{
        char c = '\0';

        if (last_seq >= head_seq) {
                *ret = here->end;
                return 0;
        }
        /* Acknowledged records are damaged there: that is evidence, and stays, but for the line without an
         * end. */
        *ret = here->size;
        while (here->torn && *ret > 0) {
                if (pread(a->fd, &c, 1, (off_t)*ret - 1) != 1)
                        return err_origin(errno ? -errno : -EIO);
                if (c == '\n')
                        break;
                (*ret)--;
        }
        return 0;
}

static int audit_recover(Audit *a, AuditFindings *f)
{
        TrailLast here, last;
        AuditHead head = { .hash = CHAIN_ZERO };
        uint64_t end;
        int r, r_head;

        r_head = audit_head_read(a->statefd, &head);
        if (r_head < 0 && r_head != -EBADMSG)
                return r_head;
        r = trail_last(a->dirfd, a->name, &here);
        if (r < 0)
                return r;
        last = here;
        if (!here.found) {
                r = trail_last_rotated(a->dirfd, a->name, &last);
                if (r < 0)
                        return r;
        }
        if (r_head != 0 && last.found)
                f->head_lost = true;
        r = torn_from(a, &here, last.found ? last.link.seq : 0, head.seq, &end);
        if (r < 0)
                return r;
        if (end < here.size) {
                r = cut_torn(a, end, here.size, f);
                if (r < 0)
                        return r;
        }
        a->head = head;
        if (last.found && last.link.seq >= head.seq) {
                a->head.seq = last.link.seq;
                memcpy(a->head.hash, last.link.hash, sizeof(a->head.hash));
        } else if (head.seq > 0) {
                f->missing_from = (last.found ? last.link.seq : 0) + 1;
                f->missing_to = head.seq;
        }
        return 0;
}

static int audit_open_files(Audit *a, const AuditConfig *config)
{
        _cleanup_(freep) char *copy_a = strdup(config->path), *copy_b = strdup(config->path);

        if (!copy_a || !copy_b)
                return err_origin(-ENOMEM);
        a->name = strdup(basename(copy_b));
        if (!a->name)
                return err_origin(-ENOMEM);
        a->dirfd = dir_ensure(a->disk, dirname(copy_a), 0750);
        if (a->dirfd < 0)
                return err_trace(a->dirfd);
        a->statefd = dir_ensure(a->disk, config->state_dir, 0750);
        if (a->statefd < 0)
                return err_trace(a->statefd);
        return file_open(a);
}

int audit_open(Audit **ret, const AuditConfig *config, AuditFindings *ret_findings)
{
        _cleanup_(audit_freep) Audit *a = malloc(sizeof(*a));
        int r;

        if (!a)
                return err_origin(-ENOMEM);
        *a = (Audit){ .disk = config->disk,
                      .max_size = config->max_size,
                      .keep = config->keep > 0 ? config->keep : 1,
                      .group = config->group,
                      .dirfd = -1,
                      .statefd = -1,
                      .fd = -1,
                      .head.hash = CHAIN_ZERO };
        r = audit_open_files(a, config);
        if (r < 0)
                return r;
        r = audit_recover(a, ret_findings);
        if (r < 0)
                return r;
        if (a->head.first == 0 && a->head.seq > 0) {
                a->head.first = oldest_kept(a);
                if (a->head.first == 0)
                        a->head.first = 1;
        }
        *ret = TAKE_PTR(a);
        return 0;
}

/*
 * verify - is the audit trail what was written?
 *
 * Called by `unjamctl audit verify`, while the daemon runs or not. One pass over the lines; at the first
 * fault the rest is read too, but only to tell a dropped record from one that stands elsewhere, and a changed
 * record from one that was put in. What cannot be read is an error; what reads badly is an answer.
 */
#include "record/verify.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "record/audit.h"
#include "record/trail.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

/* How often the head is read again when the daemon has appended since, and the pause between. */
#define HEAD_TRIES    10
#define HEAD_PAUSE_NS (50 * 1000 * 1000)

static const char *const verify_fault_table[_VERIFY_FAULT_MAX] = {
        [VERIFY_INTACT] = "intact",       [VERIFY_CHANGED] = "changed",
        [VERIFY_DROPPED] = "dropped",     [VERIFY_INSERTED] = "inserted",
        [VERIFY_REORDERED] = "reordered", [VERIFY_TAIL_MISSING] = "tail_missing",
        [VERIFY_TORN] = "torn",           [VERIFY_NOT_IN_HEAD] = "not_in_head",
};

const char *verify_fault_to_string(VerifyFault f)
{
        return (unsigned)f < _VERIFY_FAULT_MAX ? verify_fault_table[f] : NULL;
}

void verify_result_deinit(VerifyResult *r)
{
        free(r->file);
        free(r->text);
        *r = (VerifyResult){ 0 };
}

static int __attribute__((format(printf, 4, 5)))
fault_set(VerifyResult *v, VerifyFault fault, uint64_t seq, const char *format, ...)
{
        va_list ap;
        int n;

        v->fault = fault;
        v->seq = seq;
        va_start(ap, format);
        n = vasprintf(&v->text, format, ap);
        va_end(ap);
        if (n < 0) {
                v->text = NULL;
                return err_origin(-ENOMEM);
        }
        return 0;
}

static int place_set(VerifyResult *v, const TrailLine *l)
{
        free(v->file);
        v->file = strdup(l->file);
        v->line = l->number;
        return v->file ? 0 : err_origin(-ENOMEM);
}

/* What the rest of the trail says of the records that are looked for. */
typedef struct Rest {
        uint64_t expected; /* in: this record should have come */
        uint64_t found;    /* in: this one came instead; 0: none that could be read */
        bool has_expected, has_found;
        bool next_fits; /* the next good record is the expected one, with the expected prev */
} Rest;

static int rest_read(Trail *t, const VerifyResult *v, Rest *rest)
{
        TrailLine l;
        bool first = true;
        int r;

        while ((r = trail_next(t, &l)) == 0) {
                ChainLink link;

                if (l.torn || chain_check(l.text, l.len, &link) < 0)
                        continue;
                if (first)
                        rest->next_fits = link.seq == rest->expected && strcmp(link.prev, v->hash) == 0;
                first = false;
                rest->has_expected |= link.seq == rest->expected;
                rest->has_found |= link.seq == rest->found;
        }
        return r < 0 ? r : 0;
}

/* A line that is no record, or whose hash is not its own. */
static int judge_bad(Trail *t, VerifyResult *v, uint64_t expected)
{
        Rest rest = { .expected = expected };
        int r;

        r = rest_read(t, v, &rest);
        if (r < 0)
                return r;
        if (rest.next_fits && expected > 0)
                return fault_set(v, VERIFY_INSERTED, expected,
                                 "line %" PRIu64 " of %s was inserted before record %" PRIu64, v->line,
                                 v->file, expected);
        return fault_set(v, VERIFY_CHANGED, expected,
                         "record %" PRIu64 " (line %" PRIu64 " of %s) was changed", expected, v->line,
                         v->file);
}

static int judge_gap(Trail *t, VerifyResult *v, uint64_t expected, uint64_t seq)
{
        Rest rest = { .expected = expected, .found = seq };
        int r;

        r = rest_read(t, v, &rest);
        if (r < 0)
                return r;
        if (rest.has_expected && rest.has_found)
                return fault_set(v, VERIFY_INSERTED, seq,
                                 "a second record %" PRIu64 " was inserted at line %" PRIu64 " of %s", seq,
                                 v->line, v->file);
        if (rest.has_expected)
                return fault_set(v, VERIFY_REORDERED, expected,
                                 "records were reordered: record %" PRIu64 " should be at line %" PRIu64
                                 " of %s, where record %" PRIu64 " stands",
                                 expected, v->line, v->file, seq);
        if (seq == expected + 1)
                return fault_set(v, VERIFY_DROPPED, expected,
                                 "record %" PRIu64 " was dropped before line %" PRIu64 " of %s", expected,
                                 v->line, v->file);
        return fault_set(v, VERIFY_DROPPED, expected,
                         "records %" PRIu64 " to %" PRIu64 " were dropped before line %" PRIu64 " of %s",
                         expected, seq - 1, v->line, v->file);
}

/* The first record: rotation may have taken those before it, as the head says. */
static int judge_first(Trail *t, VerifyResult *v, const AuditHead *head, const ChainLink *link)
{
        uint64_t oldest = v->head_error == 0 && head->first > 0 ? head->first : 0;

        if (oldest > 0 && link->seq > oldest)
                return judge_gap(t, v, oldest, link->seq);
        if (link->seq == 1 && strcmp(link->prev, CHAIN_ZERO) != 0)
                return fault_set(v, VERIFY_CHANGED, 1,
                                 "record 1 (line %" PRIu64 " of %s) was changed: it names one before",
                                 v->line, v->file);
        return 0;
}

/* A record with a good hash of its own. */
static int judge_link(Trail *t, VerifyResult *v, const AuditHead *head, const ChainLink *link)
{
        uint64_t expected = v->last_seq + 1;

        if (v->records == 0)
                return judge_first(t, v, head, link);
        if (link->seq > expected)
                return judge_gap(t, v, expected, link->seq);
        if (link->seq < expected)
                return fault_set(v, VERIFY_INSERTED, link->seq,
                                 "a second record %" PRIu64 " was inserted at line %" PRIu64 " of %s",
                                 link->seq, v->line, v->file);
        if (strcmp(link->prev, v->hash) != 0)
                return fault_set(v, VERIFY_CHANGED, v->last_seq,
                                 "record %" PRIu64 " was changed: record %" PRIu64 " (line %" PRIu64
                                 " of %s) names another hash for it",
                                 v->last_seq, link->seq, v->line, v->file);
        return 0;
}

static int verify_line(Trail *t, VerifyResult *v, const AuditHead *head, const TrailLine *l)
{
        ChainLink link;
        int r;

        r = place_set(v, l);
        if (r < 0)
                return r;
        if (l->torn)
                return fault_set(v, VERIFY_TORN, v->last_seq + 1,
                                 "the last line (%" PRIu64
                                 " of %s) is torn: unjamd will cut it off when it starts",
                                 v->line, v->file);
        if (chain_check(l->text, l->len, &link) < 0) {
                uint64_t expected = v->records > 0 ? v->last_seq + 1 : v->head_error == 0 ? head->first : 0;

                return judge_bad(t, v, expected);
        }
        r = judge_link(t, v, head, &link);
        if (r < 0 || v->fault != VERIFY_INTACT)
                return r;
        v->records++;
        if (v->first_seq == 0)
                v->first_seq = link.seq;
        v->last_seq = link.seq;
        memcpy(v->hash, link.hash, sizeof(v->hash));
        /* The head as it was before the first line was read: it must have been here. */
        if (v->head_error == 0 && link.seq == head->seq && strcmp(link.hash, head->hash) != 0)
                return fault_set(v, VERIFY_CHANGED, link.seq,
                                 "record %" PRIu64 " (line %" PRIu64
                                 " of %s) was changed: the head in the state "
                                 "directory has another hash for it",
                                 link.seq, v->line, v->file);
        return 0;
}

/* Everything reads well; does it reach as far as the head, and no farther? */
static int verify_end(VerifyResult *v, int statefd, AuditHead *head)
{
        if (v->last_seq < head->seq && v->last_seq + 1 == head->seq)
                return fault_set(v, VERIFY_TAIL_MISSING, head->seq, "the tail is missing: record %" PRIu64,
                                 head->seq);
        if (v->last_seq < head->seq)
                return fault_set(v, VERIFY_TAIL_MISSING, v->last_seq + 1,
                                 "the tail is missing: records %" PRIu64 " to %" PRIu64, v->last_seq + 1,
                                 head->seq);
        for (int i = 0; i < HEAD_TRIES && v->last_seq > head->seq; i++) {
                const struct timespec pause = { .tv_nsec = HEAD_PAUSE_NS };

                /* A running daemon writes the head right after the records. */
                if (i > 0)
                        (void)nanosleep(&pause, NULL);
                if (audit_head_read(statefd, head) != 0)
                        break;
        }
        if (v->last_seq > head->seq)
                return fault_set(
                        v, VERIFY_NOT_IN_HEAD, head->seq + 1,
                        "records %" PRIu64 " to %" PRIu64 " are newer than the head in the state directory: "
                        "unjamd was killed between the two (its next start settles that), or they were "
                        "inserted by somebody else",
                        head->seq + 1, v->last_seq);
        return 0;
}

static int verify_trail(VerifyResult *v, const char *path, int statefd)
{
        _cleanup_(trail_freep) Trail *t = NULL;
        AuditHead head = { 0 };
        TrailLine l;
        int r;

        /* Before the trail: what is in the head now must be in the trail then. */
        if (v->head_error == 0) {
                r = audit_head_read(statefd, &head);
                v->head_error = r == AUDIT_E_NONE ? -ENOENT : r;
        }
        r = trail_open(&t, path);
        if (r < 0)
                return r;
        while ((r = trail_next(t, &l)) == 0) {
                r = verify_line(t, v, &head, &l);
                if (r < 0 || v->fault != VERIFY_INTACT)
                        return r;
        }
        if (r < 0)
                return r;
        return v->head_error == 0 ? verify_end(v, statefd, &head) : 0;
}

int audit_verify(const char *path, const char *state_dir, VerifyResult *ret)
{
        VerifyResult v = { .hash = CHAIN_ZERO };
        _cleanup_(closep) int statefd = -1;
        int r;

        statefd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (statefd < 0)
                v.head_error = -errno;
        r = verify_trail(&v, path, statefd);
        if (r < 0) {
                verify_result_deinit(&v);
                return r;
        }
        if (v.fault == VERIFY_INTACT) {
                free(v.file);
                v.file = NULL;
                v.line = 0;
        }
        *ret = v;
        return 0;
}

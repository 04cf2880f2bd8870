#pragma once

/*
 * Spool: the stores of one service on disk, and the moving of messages between store, hold and quarantine.
 *
 * Everything here may wait for a disk and is called from a worker thread, never from the loop. The service
 * must be dead for all calls but spool_inventory, spool_message, spool_tidy, spool_quarantine (from hold
 * only), the operator's two, and spool_place with report->live (back to a store only). Every call looks at
 * the disk first and does what is missing, so each can be repeated after a crash at any point. Where
 * messages are is read from the disk itself. See the table of places at the top of spool.c.
 */

#include "act/actuator.h"
#include "base/disk.h"
#include "base/worker.h"
#include "model/layout.h"
#include "model/message.h"
#include "model/settings.h"

typedef struct Spool Spool;

/* Opens and checks the stores (a store that is gone or is a symbolic link is -ENOTDIR ...). Blocking. */
int spool_new(Spool **ret, const ServiceSettings *service, Disk *disk);
Spool *spool_free(Spool *s);
static inline void spool_freep(Spool **s)
{
        spool_free(*s);
}

/* Whose stores these are. */
const ServiceSettings *spool_service(const Spool *s);

/* What each call reports; all members may be left alone by a call that has nothing to say of them. */
typedef struct SpoolReport {
        Inventory *inventory; /* in/out, NULL: not wanted */
        json_t *data;         /* object the call adds to: counts, fall-backs, refusals, manifest digest */
        char *detail;         /* set on error: what failed, with the path, UTF-8; caller frees */
        Job *job;             /* progress and cancel, or NULL */
        bool live;            /* in: the service may run. Files are moved, no directory is exchanged */
        /* In: when it was found that nobody outside of the service has a file open (CLOCK_REALTIME); what was
         * not touched since is not asked for again. 0: never. */
        struct timespec still_at;
} SpoolReport;

/*
 * Scans store, hold and quarantine of each store into @roster: adds new messages (ARRIVED unless @first,
 * then BEFORE; odd kinds of file get SUSPECT), sets places, and marks what is in no place any more CONSUMED
 * if @ran (the service has run since the last inventory), else LOST.
 */
int spool_inventory(Spool *s, const char *incident, Roster *roster, bool first, bool ran,
                    SpoolReport *report);

/*
 * After it, exactly the messages of @held (NULL: none) and those in quarantine are out of the stores; a
 * message's control file leaves first and comes back last. With @store, only that store's messages are
 * moved. -ECANCELED between slices.
 */
int spool_place(Spool *s, const char *incident, Roster *roster, const MessageSet *held, size_t store,
                SpoolReport *report);

/*
 * The whole store (or STORE_ALL) into hold: one exchange per directory with a clone of its empty skeleton;
 * where a directory cannot be exchanged, sliced moves (the report says so). Other stores are left alone.
 */
int spool_set_aside(Spool *s, const char *incident, Roster *roster, size_t store, SpoolReport *report);

/*
 * Lists what is in hold of @store into HOLD/incidents/INCIDENT/STORE.manifest; its digest and @messages go to
 * report->data "stores". Reads hold only: the service may run.
 */
int spool_manifest(Spool *s, const char *incident, size_t store, uint64_t messages, SpoolReport *report);

/*
 * Rebuildable files of @store (or all) into the incident's folder; read-only and immutable flags are
 * cleared first. @only (strv) names those that are meant, NULL: all of them. Locks whose holder has gone go
 * there as well; what must exist and does not is made.
 */
int spool_purge(Spool *s, const char *incident, size_t store, char *const *only, SpoolReport *report);

/* Which messages go to quarantine, and what became of them. */
typedef struct SpoolQuarantine {
        const char *incident;
        Roster *roster;
        const MessageSet *set;
        const json_t *why; /* object "id" -> object that is merged into message.json, or NULL */
        /* On success, and the caller's: records and QIDs in the order of the set, without those that are
         * gone. */
        Message *messages;
        char **ids;
        size_t n;
} SpoolQuarantine;

/* Moves these (wherever they are) into HOLD/quarantine/QID/files and writes message.json. */
int spool_quarantine(Spool *s, SpoolQuarantine *q, SpoolReport *report);

/* The full record of one message with digests, wherever it is. -ENOENT if it is nowhere. */
int spool_message(Spool *s, const char *incident, const Roster *roster, uint32_t index, Message *ret);
/*
 * The same of several, in one walk of each store; store by store, those that are nowhere left out. The
 * caller frees them and *@ret.
 */
int spool_messages(Spool *s, const char *incident, const Roster *roster, const MessageSet *set, Message **ret,
                   size_t *ret_n);

#define SPOOL_E_NONE 1
/*
 * An operator's: back to its store (or to @target on the same mount), or unlinked. QIDs are as `quarantine
 * list` shows them. A complete message goes back live only where live_return says so; the caller sees to
 * that. Return: 0, SPOOL_E_NONE (with report->detail) if no such thing is in quarantine, or a negated errno.
 */
int spool_release(Spool *s, const char *quarantine, const char *target, Message *ret, SpoolReport *report);
int spool_delete(Spool *s, const char *quarantine, Message *ret, SpoolReport *report);
/* What the last release or delete on this service has done, if it was that of @quarantine; else
 * SPOOL_E_NONE. For one that ended before it could say so. @ret is the caller's. */
int spool_receipt(Spool *s, const char *quarantine, Message *ret);

/*
 * The server's own hold (spool_native.c). A message that goes there has a folder in quarantine all the same,
 * with its record. The calls come in pairs, before and after the server's command; in between the intent is
 * on disk. If @run is not set, there is nothing to run, and the second call is left out.
 */
typedef struct SpoolNative {
        char *quarantine; /* QID; NULL: there is none (left) */
        char *id;
        size_t store;
        bool run;
        bool delete, again, elsewhere; /* in, of a withdrawal: no release, but a delete; it may have been done
                                          already; to a directory of the operator's */
        bool held;                     /* settled: the server has it, as @message.where says */
        char *refusal;                 /* settled, not held: why, UTF-8; it is in our quarantine */
        Message message;
} SpoolNative;

void spool_native_deinit(SpoolNative *n);

/*
 * The next message of @incident that is to go there: put back into its store. With @begin, any that belongs
 * there, else only one that was on its way already. @seen (strv of QIDs) are left out. The service is dead.
 */
int spool_native_offer(Spool *s, const char *incident, bool begin, char *const *seen, SpoolNative *ret,
                       SpoolReport *report);
/* After a restart of unjamd, before a move: what was on its way and has not arrived is taken back. */
int spool_native_recall(Spool *s, const char *incident, SpoolReport *report);
/* @complaint: why the command did not end well, or NULL. What the server does not hold is taken back. */
int spool_native_settle(Spool *s, SpoolNative *n, const char *complaint, SpoolReport *report);

/* An operator's release, or delete: SPOOL_E_OURS if it is in our quarantine, SPOOL_E_NONE as above. */
#define SPOOL_E_OURS 2
int spool_native_withdraw(Spool *s, const char *quarantine, SpoolNative *n, SpoolReport *report);
int spool_native_withdrawn(Spool *s, SpoolNative *n, const char *complaint, SpoolReport *report);

/*
 * On arrival, beside a live service: the message with the file @path, if one of its files is a known
 * culprit's, goes from its store into the server's own hold. A pair as above; @n->again: an unjamd before had
 * begun it, and now it is only looked at what came of that. What the server does not take stays where it is,
 * with @n->refusal. SPOOL_E_NONE: it is gone, or no such message.
 */
int spool_native_catch(Spool *s, const char *path, SpoolNative *n, SpoolReport *report);
int spool_native_caught(Spool *s, SpoolNative *n, const char *complaint, SpoolReport *report);

/* Removes the incident's empty folders in hold. What is not empty stays and is named in the report. */
int spool_tidy(Spool *s, const char *incident, SpoolReport *report);

/* Pure path mapping, any thread: absolute path (in a store or in hold) -> store and id. */
int spool_resolve(const Spool *s, const char *path, size_t *ret_store, const char **ret_id, size_t *ret_len);
/* Is this absolute path inside a directory of a store (messages or not)? */
bool spool_covers(const Spool *s, const char *path);

/*
 * For configuration: can files really be renamed and exchanged between @dir and @hold (probe files, inside
 * this process' own sandbox)? Makes @hold if missing. Return: 0, -EXDEV ..., the errno of the refusal.
 */
int spool_probe_rename(Disk *disk, const char *dir, const char *hold);

#pragma once

/*
 * Spool, inside: what the spool_*.c files share. Nobody else includes it.
 *
 * A store's directory has sides: the store itself and its tree in hold. Files lie under the same relative
 * path on both, so "where is it" is a side, and a move is a rename between the two. A second tree in hold
 * takes what came under a name that is held already.
 */

#include "act/spool.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/known.h"

/* Sub-directories deeper than this are nobody's hash directories; they are left alone and reported. */
#define SPOOL_DEPTH_MAX 32
/* Nor are those with longer paths; it leaves room for a name below PATH_MAX. */
#define SPOOL_PATH_MAX 3800
/* Files moved between two looks at Job.cancel, and between two rounds of fsync. */
#define SPOOL_SLICE 2048
/* Paths of one kind that a report names; the rest is only counted. */
#define SPOOL_NOTES_MAX 100

typedef enum SpoolSide {
        SIDE_STORE,
        SIDE_HOLD,
        SIDE_SPARE, /* in hold, too: for names that SIDE_HOLD has already */
        _SIDE_MAX,
} SpoolSide;

/* What has been held longest first: of two files of one name, that is the one that is meant. */
static const SpoolSide spool_sides[] = { SIDE_HOLD, SIDE_SPARE, SIDE_STORE };

typedef struct SpoolDir {
        char *path;       /* as configured: what records show */
        char *real;       /* the same with the symbolic links in its parents resolved: what is opened */
        char *parent;     /* of real */
        const char *name; /* points into real */
        char **skip; /* paths below it that belong to something else: other directories, hold, rebuildable
                        files */
} SpoolDir;

typedef struct SpoolStore {
        const StoreSettings *settings;
        Layout *layout;
        char *folder; /* its name inside an incident's folder */
        char *real_hold;
        SpoolDir *dirs;
        size_t n_dirs;
} SpoolStore;

typedef struct SpoolSurvey SpoolSurvey;

struct Spool {
        const ServiceSettings *service;
        Disk *disk;
        SpoolStore *stores;
        SpoolSurvey *surveys; /* of each store; made by the first inventory */
        size_t n_stores;
};

/* --- spool_known.c: what was a culprit once --- */

#define SPOOL_KNOWN_READS 1000 /* files read in one inventory, because their size is known */

typedef struct SpoolKnown {
        Known list;
        size_t reads; /* that are left */
} SpoolKnown;

void spool_known_load(const SpoolStore *store, SpoolKnown *ret);
int spool_known_save(Disk *disk, const SpoolStore *store, const SpoolKnown *k);
/* Is this regular file one of them? Reads it if its size says that it may be. */
bool spool_known_has(SpoolKnown *k, int dirfd, const char *name);

/* --- spool_report.c: what a call says --- */

/* Sets report->detail to "WHAT DIR/PATH: reason"; @path may be NULL. Yields @r. */
int spool_fail(SpoolReport *report, int r, const char *what, const char *dir, const char *path);
/* Names a path under @key of report->data: { count, paths[{path, error}] }. */
void spool_note(SpoolReport *report, const char *key, const char *dir, const char *path, int error);
/* report->data[@key] += @n. */
void spool_count(SpoolReport *report, const char *key, uint64_t n);
/* Was what bears this time there, and unchanged, when nobody had a file open? */
bool spool_was_still(const SpoolReport *report, const struct timespec *mtime);
bool spool_cancelled(const SpoolReport *report);
void spool_progress(SpoolReport *report, uint64_t done);
void spool_expect(SpoolReport *report, uint64_t total);

/* --- spool_tree.c: directories, open --- */

typedef struct SpoolTree {
        const SpoolDir *dir;
        char name[24];  /* of its tree in hold: the index of the directory */
        char spare[32]; /* of the second one */
        int parent[_SIDE_MAX];
        int root[_SIDE_MAX]; /* -1 in hold: nothing was held of it yet */
} SpoolTree;

typedef struct SpoolTrees {
        Spool *spool;
        const SpoolStore *store;
        int incident; /* HOLD/incidents/INCIDENT, or -1 */
        int folder;   /* HOLD/incidents/INCIDENT/STORE, or -1 */
        SpoolTree *trees;
        size_t n;
} SpoolTrees;

/* Opens the store's directories and those of their trees in hold that are there. NULL @incident: no hold
 * side. */
int spool_trees_open(SpoolTrees *t, Spool *s, size_t store, const char *incident, SpoolReport *report);
void spool_trees_close(SpoolTrees *t);
/* Makes the incident's folder, the store's in it, and the tree of directory @d, as far as they
 * are missing. */
int spool_trees_make(SpoolTrees *t, const char *incident, SpoolReport *report);
int spool_tree_make(SpoolTrees *t, size_t d, SpoolSide side, SpoolReport *report);
/* The tree in hold for an exchange; the caller syncs t->folder before it. */
int spool_clone_make(SpoolTrees *t, size_t d, SpoolReport *report);

/* Opens one store directory; never through a symbolic link. *@ret_parent may be NULL. Return:
 * the descriptor. */
int spool_dir_open(const SpoolDir *d, int *ret_parent);
/* HOLD; made if @make. Return: the descriptor, -ENOENT. */
int spool_hold_open(const Spool *s, const SpoolStore *store, bool make);
/* A sub-directory (one component), made with 0700 and durable if @make. Return: the descriptor, -ENOENT. */
int spool_subdir_open(Disk *disk, int dirfd, const char *name, bool make);
/* One file from directory @from to @to, durably. Return: 0, -EEXIST if the name is taken, or what the disk
 * says. */
int spool_file_move(Disk *disk, int from, int to, const char *name);
/* One component that can be no way out of a directory? */
bool spool_name_ok(const char *name);

/* --- spool_walk.c: reading a tree --- */

typedef enum SpoolKind {
        KIND_MESSAGE, /* a file of a message, or a message that is a directory */
        KIND_FOLDER,  /* a sub-directory; what is in it comes next */
        KIND_SKIPPED, /* excluded by the configuration, or something else's */
        KIND_MOUNT,   /* something is mounted there */
        KIND_FOREIGN, /* none of these */
} SpoolKind;

typedef struct SpoolSeen {
        SpoolKind kind;
        const char *path; /* below the root */
        size_t len;
        FileType type;
        const char *id; /* KIND_MESSAGE; points into path */
        size_t id_len;
        bool odd;                     /* not the type of file that a message has here */
        struct timespec folder_mtime; /* of its directory, before that was read */
        int dirfd;                    /* its directory, and its name there */
        const char *name;
} SpoolSeen;

/* Return: 0, or a negated errno, which ends the walk. */
typedef int (*SpoolVisitor)(void *userdata, const SpoolSeen *seen);

/* Visits everything below @root, which belongs to directory @dir of @store. @root stays the caller's. */
int spool_walk(const SpoolStore *store, const SpoolDir *dir, int root, SpoolVisitor visit, void *userdata);
FileType spool_file_type(mode_t mode);

/* --- spool_list.c: the files of many messages --- */

#define SPOOL_NOBODY UINT32_MAX

typedef struct SpoolItem {
        uint32_t path;    /* into the arena, NUL-terminated; below the directory */
        uint32_t message; /* roster index, or SPOOL_NOBODY: no message's file */
        uint16_t dir;
        uint8_t side, wanted;
        uint8_t type;
        bool last;  /* control file: leaves first, comes back last */
        bool stuck; /* cannot be moved; left where it is */
        bool gone;  /* was listed, and was not there when it was to be moved */
        bool still; /* its folder had not changed since report->still_at */
} SpoolItem;

/* What stands in a tree. */
typedef struct SpoolTally {
        uint64_t files;   /* of messages */
        uint64_t strange; /* entries that are no message's: foreign, skipped, mounts */
        uint64_t last;    /* control files */
} SpoolTally;

typedef struct SpoolList {
        SpoolItem *items, *folders;
        size_t n_items, n_folders, items_allocated, folders_allocated;
        char *arena;
        size_t arena_len, arena_allocated;
        SpoolTally *tally; /* [directory * _SIDE_MAX + side] */
} SpoolList;

typedef struct SpoolCollect {
        size_t store;
        Roster *roster; /* gains what it does not know, as MESSAGE_ARRIVED, if @only is NULL; NULL: every file
                                   is nobody's */
        const MessageSet *only; /* or NULL: everything, folders and nobody's files too */
        bool hold_only;         /* not the store's side */
        SpoolReport *report;
} SpoolCollect;

void spool_list_deinit(SpoolList *l);
int spool_list_collect(SpoolList *l, SpoolTrees *t, const SpoolCollect *c);
int spool_list_add_folder(SpoolList *l, const SpoolItem *folder, const char *path, size_t len);
static inline const char *spool_list_path(const SpoolList *l, const SpoolItem *i)
{
        return l->arena + i->path;
}
static inline SpoolTally *spool_list_tally(SpoolList *l, size_t dir, SpoolSide side)
{
        return l->tally + dir * _SIDE_MAX + side;
}

/* --- spool_survey.c: what the last inventory saw, as long as it is true --- */

typedef struct SpoolStamp {
        uint64_t inode;
        struct timespec mtime;
        bool trusted; /* a change after it would have shown */
} SpoolStamp;

struct SpoolSurvey {
        const Roster *roster; /* whose places fit; NULL: no survey */
        char *incident;
        uint16_t pass; /* the roster's, of the inventory */
        size_t n_dirs;
        SpoolList list;     /* folders and tally, no items */
        SpoolStamp *stamps; /* of the folders; the top of each tree is one with the path "" */
        size_t allocated;
};

/* Was it changed so shortly before @now, or after, that another change may not show? */
bool spool_is_young(const struct timespec *mtime, const struct timespec *now);
void survey_deinit(SpoolSurvey *v);
/* What is known of @side is forgotten: it is about to be read. */
int survey_begin(SpoolSurvey *v, size_t n_dirs, SpoolSide side);
/* A folder of a tree as it is before it is read. @now: the clock, not later than the reading. */
int survey_add(SpoolSurvey *v, const SpoolItem *folder, const char *path, size_t len, const struct stat *st,
               const struct timespec *now);
/* Is @side of all directories as it was when it was read, whatever inventory that was for? */
bool survey_holds(const SpoolSurvey *v, const SpoolTrees *t, SpoolSide side);
/* After spool_exchange() of directory @d with the survey's list. */
void survey_exchanged(SpoolSurvey *v, size_t d);

/* --- spool_skeleton.c: directories like others --- */

/* Makes @to like @from in owner, mode, ACL, xattrs, inode flags and project, where it differs. */
int skeleton_copy_attributes(int from, int to);
/*
 * Opens @path below @to; what is missing of it is made like its counterpart below @from, or, with @from -1,
 * like its own parent. Return: the descriptor.
 */
int skeleton_folder(Disk *disk, int from, int to, const char *path);
/* Makes the hold side of directory @d a clone of the store side's empty skeleton, durably. */
int skeleton_sync(SpoolTrees *t, const SpoolList *l, size_t d);

/* --- spool_exchange.c --- */

#define EXCHANGE_E_REFUSED 1
/* The two sides of directory @d change places, and so do their items in @l. */
int spool_exchange(SpoolTrees *t, SpoolList *l, size_t d, SpoolReport *report);

/* --- spool_move.c --- */

typedef struct SpoolMoved {
        uint64_t to[_SIDE_MAX];
        uint64_t stuck;
        int refusal; /* why the last refused rename was, or 0 */
} SpoolMoved;

/* Moves every item to its wanted side, in slices, each durable. Items that cannot go are stuck,
 * and reported. */
int spool_list_move(SpoolTrees *t, SpoolList *l, SpoolReport *report, SpoolMoved *ret);
/* Is the regular file @path open for writing by anybody? Only where no server is at work: it takes a lease
 * for a moment. */
bool spool_file_is_busy(int root, const char *path);

/* --- spool_place.c --- */

typedef struct SpoolPlacement {
        const char *incident;
        Roster *roster;
        const MessageSet *held; /* NULL: all */
        MessageSet half;        /* those that stay where they are (spool_unshelve); the caller's */
        SpoolReport *report;
} SpoolPlacement;

int spool_store_place(Spool *s, size_t store, SpoolPlacement *p);

/* --- spool_message.c: full records --- */

/*
 * Adds the record of @path below @root (and, for a directory, of what is in it); @shown is the directory's
 * path. With
 * @still, a file that somebody is writing gets no digest; only where no server is at work.
 */
int spool_record_add(Message *m, const char *shown, int root, const char *path, bool still);
/* The file that was @shown/@path; NULL if there is none. */
const MessageFile *spool_record_find(const Message *m, const char *shown, const char *path);
/* The record of roster entry @index from the items in @l that are its; *@ret is zeroed first. */
int spool_record(SpoolTrees *t, const SpoolList *l, const Roster *roster, uint32_t index, Message *ret);

/* --- spool_shelf.c: quarantine on disk --- */

typedef struct Shelved {
        size_t store; /* where it came from; SIZE_MAX: no store of that name is configured any more */
        size_t home;  /* of the store in whose hold it was found */
        int shelf;    /* HOLD/quarantine */
        int fd;       /* HOLD/quarantine/QID[.tmp], or -1 */
        char *id;     /* QID */
        bool sealed;
        bool open;    /* files of it are, or may be, still elsewhere */
        json_t *json; /* message.json */
        Message message;
        char **dirs; /* the store's directories when it was made; files/N belongs to the N-th */
} Shelved;

#define SHELF_E_NONE 1
void shelved_deinit(Shelved *q);
/* Return: 0, SHELF_E_NONE if @name is no quarantined message of this service, or a negated errno. */
int shelf_load(Spool *s, int shelf, const char *name, Shelved *ret);
/*
 * Calls @visit with each of this service in @store's hold, until one yields other than 0. With @mark, only
 * those with it in their names.
 */
typedef int (*ShelfVisitor)(void *userdata, Shelved *q);
int shelf_walk(Spool *s, const SpoolStore *store, const char *mark, ShelfVisitor visit, void *userdata);
/* What every QID of this message bears: few other have it. NULL on ENOMEM. */
#define SHELF_MARK_SIZE (1 + 2 * 4 + 1)
char *shelf_mark(const char *incident, const SpoolStore *store, const char *id, char buf[SHELF_MARK_SIZE]);
/* HOLD/quarantine; made if @make. Return: the descriptor, -ENOENT. */
int shelf_open(const Spool *s, const SpoolStore *store, bool make);
/* File @i of the record as directory number and path below it. Return: 0, or -EINVAL if it is below none. */
int shelf_split(const Shelved *q, size_t i, size_t *ret_dir, const char **ret_path);
/* Is file @i inside of a directory that the record has as well, so that it moves with it? */
bool shelf_is_inside(const Shelved *q, size_t i);
/* Removes files/, durably: its directories, with @files all that is in them. -ENOTEMPTY: a file is left. */
int shelf_clear(Disk *disk, const Shelved *q, bool files);
/* Removes message.json and the folder, @name in @dirfd, that is empty otherwise. */
int shelf_drop(Disk *disk, int dirfd, const Shelved *q, const char *name);

/* --- spool_receipt.c: what an operator's release or delete did --- */

/* The cleared folder @name of @q becomes the receipt of what was done. */
int receipt_make(Spool *s, const Shelved *q, const char *name);
/* Receipts of this service: they have been read, or never will be. What cannot be removed stays. */
void receipts_forget(Spool *s);

/* --- spool_unshelve.c: quarantines that were begun and not sealed --- */

/*
 * Their files of @incident in this store go back to hold. @ret gains the roster indices of those of which a
 * file had to stay: only half of such a message is in store and hold.
 */
int spool_unshelve(SpoolTrees *t, const char *incident, const Roster *roster, MessageSet *ret,
                   SpoolReport *report);

/* --- spool_folder.c: a folder in quarantine, made --- */

/* What every record in quarantine has besides the message's own, but for the incident. */
int folder_describe(const Spool *s, const SpoolStore *store, json_t *j);
/* message.json, durably. */
int folder_write(const Spool *s, int fd, const json_t *j);
/* Makes QID.tmp, or takes an empty one of the same message. *@ret_id is the caller's. Return: descriptor. */
int folder_make(const Spool *s, const SpoolStore *store, int shelf, const char *incident, const char *id,
                char **ret_id);
int folder_seal(const Spool *s, int shelf, const char *id);

/* --- spool_release.c: out of quarantine --- */

/* Looks for HOLD/quarantine/QID@suffix in the hold of every store. SHELF_E_NONE: it is in none. */
int shelved_find(Spool *s, const char *id, const char *suffix, Shelved *ret);
/* Its files back to where they were, or to @target; what is out already is left. -EEXIST: nothing moved. */
int shelf_return(Spool *s, const Shelved *q, const char *target, SpoolReport *report);
/* Nothing is left of it but its record: that becomes the receipt. Mail goes with it only if @files. */
int shelf_finish(Spool *s, const Shelved *q, const char *name, bool files);
/* The directory of a store that is configured as @path, or NULL. */
const SpoolDir *spool_dir_find(const Spool *s, const char *path);

/* --- spool_native_look.c: a message in the server's own hold --- */

/*
 * Sets @m->where to what is found in the server's hold of the message that @m describes, and says whether
 * that proves that the server holds it; @well: its command has ended well. Return: 0 or a negated errno.
 */
int native_look(const Spool *s, const Shelved *q, bool well, Message *m, bool *ret_held);
/* Is it still where @m->where says, all of it? */
bool native_is_still(const Message *m);

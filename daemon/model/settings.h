#pragma once

/*
 * Settings: the validated configuration, immutable once made (daemon/config makes it). Every string and
 * vector is owned by the Settings. An incident keeps a reference to the Settings it was opened under.
 */

#include "base/clock.h"
#include "model/words.h"

#include <stdbool.h>
#include <sys/types.h>

typedef struct ProbeSettings {
        ProbeKind kind;
        char *address; /* "127.0.0.1:25", "[::1]:25" */
        char *path; /* a local socket, in place of an address; the file of a heartbeat, NULL: by datagram */
        char **command;
        char **submit; /* canary: takes the message on its standard input */
        char *arrives; /* canary: a Maildir or a file */
        usec_t within; /* canary */
        usec_t interval, timeout;
        usec_t slow; /* 0: no warning */
        unsigned failures;
} ProbeSettings;

typedef struct StallSettings {
        bool enabled;
        usec_t after;
        char **ignore; /* patterns (fnmatch) on the path below a store's directory: waits rightly */
} StallSettings;

/* Of one process each; 0: no limit. */
typedef struct LimitSettings {
        unsigned cpu;    /* percent of one CPU */
        uint64_t memory; /* resident bytes */
        unsigned descriptors;
        usec_t lasting; /* above it for so long is a symptom */
} LimitSettings;

typedef struct CrashWindow {
        unsigned count;
        usec_t within;
} CrashWindow;

typedef struct RuleSettings {
        char *name;
        RuleSource source;
        char *path;           /* file */
        char *field, *equals; /* journal field that must have this value; NULL: none asked for */
        char *match;          /* PCRE2 on MESSAGE, or on @field if equals is NULL; NULL: none */
        char *unless;    /* PCRE2 on MESSAGE: an entry that cancels what matched within the time before */
        char **captures; /* "id", "pid": named groups of @match that are evidence; NULL: none */
        unsigned count;
        usec_t within;
        SymptomKind symptom;
} RuleSettings;

typedef struct CauseSettings {
        CauseKind cause;
        char **command;
        char *match; /* output must match; NULL: exit status 0 is asked for */
        usec_t timeout;
        CauseEffect effect;
        char *advice;
} CauseSettings;

typedef struct LayoutSettings {
        bool flat;        /* each file is a message, its name the id */
        char *match;      /* PCRE2 with a group "id", on the path below the store's directory */
        char *last;       /* PCRE2: files that leave first and come back last (the control file) */
        bool live_return; /* the server notices a complete message that comes back while it runs */
        bool directory;   /* a message is a directory */
} LayoutSettings;

typedef struct RebuildSettings {
        char *path;
        char **command;
} RebuildSettings;

/* What a server needs to find in place. */
typedef struct RecreateSettings {
        char *path;
        FileType kind; /* FILE_FIFO, FILE_DIRECTORY, FILE_REGULAR */
        mode_t mode;
        uid_t uid;
        gid_t gid;
} RecreateSettings;

/* A file that locks others out while it is there. */
typedef struct LockSettings {
        char *path; /* its last component may be a pattern (fnmatch) */
        char *pid;  /* PCRE2 with a group "pid", on what is in it; NULL: the number that it begins with */
} LockSettings;

/* The server's own hold. "%i" in a command is a message's id. */
typedef struct NativeSettings {
        char **hold, **release, **remove;
        char **dirs; /* where what it holds lies; NULL: it has no hold */
        usec_t timeout;
} NativeSettings;

typedef struct StoreSettings {
        char *name;
        char **dirs;    /* absolute, normalised; never NULL; empty: it has no messages, only state */
        char **exclude; /* fnmatch patterns on the path below a directory: never touched */
        LayoutSettings layout;
        char *hold; /* absolute; always set after validation */
        char **rebuildable;
        RebuildSettings *rebuild;
        size_t n_rebuild;
        RecreateSettings *recreate;
        size_t n_recreate;
        LockSettings *locks;
        size_t n_locks;
        char **after_release;
        usec_t queue_lifetime;
        NativeSettings native;
        bool quarantine_native; /* culprits go into the server's own hold, not into ours */
} StoreSettings;

typedef struct LeftoverSettings {
        char *exe;
        uid_t uid;
        bool any_uid;
} LeftoverSettings;

typedef struct RecoverySettings {
        unsigned restarts, max_per_hour, max_trials;
        usec_t max_time, settle, verify;
        bool arrival;             /* a known culprit that arrives goes into the server's own hold, */
        unsigned arrival_per_day; /* so often */
        double confidence;        /* before a message is convicted, where one trial is no proof */
} RecoverySettings;

typedef struct ServiceSettings {
        char *name;
        Mode mode;
        ManagerKind manager;
        char **units;   /* systemd: at least one, escaped and with suffix */
        char **command; /* embedded */
        char *user, *directory;
        char **environment;
        char **start, **stop, **status; /* command */
        char *pidfile;
        char **depends_on; /* units, and names of services here */
        bool sole_supervisor, core;
        usec_t start_timeout, stop_timeout, kill_timeout;
        LeftoverSettings *leftovers;
        size_t n_leftovers;
        ProbeSettings *probes;
        size_t n_probes;
        StallSettings stall;
        LimitSettings limits;
        CrashWindow *crash_windows;
        size_t n_crash_windows;
        RuleSettings *rules;
        size_t n_rules;
        CauseSettings *causes;
        size_t n_causes;
        StoreSettings *stores;
        size_t n_stores;
        RecoverySettings recovery;
        /* Why this service can only be observed though mode is act: REASON_NONE, or e.g.
         * REASON_NETWORK_FILESYSTEM. */
        Reason observe_only;
} ServiceSettings;

typedef struct Settings {
        unsigned n_ref;
        Mode mode;
        char *path; /* the configuration file */
        char *state_dir, *run_dir;
        char *audit_path;
        uint64_t audit_max_size;
        unsigned audit_keep;
        bool audit_journal;
        char *control_group;
        uint64_t log_line_max; /* of a line of a log file, as much is matched */
        ServiceSettings *services;
        size_t n_services;
} Settings;

Settings *settings_ref(Settings *s);
/* Frees with the last reference. NULL is fine. Yields NULL. */
Settings *settings_unref(Settings *s);
static inline void settings_unrefp(Settings **s)
{
        settings_unref(*s);
}
/* Has @s any rule on this source? */
bool settings_has_rules(const ServiceSettings *s, RuleSource source);
/* NULL if there is none of that name. */
const ServiceSettings *settings_find(const Settings *s, const char *service);

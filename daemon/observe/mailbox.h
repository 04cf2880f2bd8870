#pragma once

/*
 * Mailbox: where canaries arrive, a Maildir or a file. Every call may wait for a disk: for a worker.
 */

#include "model/canary.h"

typedef struct MailboxReport {
        unsigned removed; /* canaries that were taken out */
        unsigned left;    /* canaries that could not be: other mail stands behind them in a file */
} MailboxReport;

#define MAILBOX_E_BUSY 1 /* a server holds the lock of the file: ask again */
/*
 * Takes every canary made with @key out of @path, and nothing else ever. *@ret_found tells whether @token was
 * among those that are there. @path that is not there (yet) is an empty one. Return: 0, MAILBOX_E_BUSY,
 * -ELOOP for a symbolic link, -EINVAL for what is neither file nor directory, -EFBIG for a file that holds
 * much other mail, or another negated errno.
 */
int mailbox_take(const char *path, const CanaryKey *key, const char *token, bool *ret_found,
                 MailboxReport *report);

/*
 * spool_receipt - what an operator's release or delete did, kept until the next one
 *
 * When the last file of a message has left its folder in quarantine, nothing on disk would say which message
 * that was; an unjamd that ends at that moment could not put it on record. So the folder, which then holds
 * message.json and nothing else, is renamed to HOLD/receipts/QID. The next release or delete of the service
 * removes it: by then the record of the one before is durable. No mail is in it, and nobody else reads it.
 *
 * A receipt without message.json is what a death in receipts_forget() leaves. Test:
 * tests/unit/test_spool_receipt.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <string.h>

/* HOLD/receipts; made if @make. Return: the descriptor, -ENOENT. */
static int receipts_open(Spool *s, const SpoolStore *store, bool make)
{
        _cleanup_(closep) int hold = -1;

        hold = spool_hold_open(s, store, make);
        if (hold < 0)
                return hold;
        return spool_subdir_open(s->disk, hold, "receipts", make);
}

int receipt_make(Spool *s, const Shelved *q, const char *name)
{
        _cleanup_(closep) int receipts = -1;
        int r;

        receipts = receipts_open(s, s->stores + q->home, true);
        if (receipts < 0)
                return err_trace(receipts);
        r = disk_rename(s->disk, q->shelf, name, receipts, q->id, 0);
        if (r < 0)
                return err_trace(r);
        /* It is done, and said so. If this fails, and the power too, a folder without mail comes back. */
        (void)disk_sync(s->disk, receipts);
        (void)disk_sync(s->disk, q->shelf);
        return 0;
}

int spool_receipt(Spool *s, const char *quarantine, Message *ret)
{
        for (size_t i = 0; i < s->n_stores; i++) {
                _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
                _cleanup_(closep) int receipts = -1;
                int r;

                receipts = receipts_open(s, s->stores + i, false);
                if (receipts == -ENOENT)
                        continue;
                if (receipts < 0)
                        return err_trace(receipts);
                r = shelf_load(s, receipts, quarantine, &q);
                if (r == SHELF_E_NONE)
                        continue;
                if (r < 0)
                        return err_trace(r);
                *ret = q.message;
                q.message = (Message){};
                return 0;
        }
        return SPOOL_E_NONE;
}

static void receipt_forget(Spool *s, int receipts, const char *name)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };

        if (shelf_load(s, receipts, name, &q) == 0)
                (void)shelf_drop(s->disk, receipts, &q, name);
        else /* another service's, or an empty one */
                (void)disk_remove(s->disk, receipts, name, AT_REMOVEDIR);
}

void receipts_forget(Spool *s)
{
        for (size_t i = 0; i < s->n_stores; i++) {
                _cleanup_(closedirp) DIR *dir = NULL;
                const struct dirent *e;
                int fd;

                fd = receipts_open(s, s->stores + i, false);
                if (fd < 0)
                        continue;
                (void)dir_stream(fd, &dir);
                while (dir && (e = readdir(dir)))
                        if (spool_name_ok(e->d_name))
                                receipt_forget(s, dirfd(dir), e->d_name);
        }
}

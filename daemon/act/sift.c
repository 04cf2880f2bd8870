/*
 * sift - canaries are unjamd's own: nobody is helped by suspecting them
 *
 * Called before suspects go to hold. A canary was in flight because unjamd sent it, often at the very moment
 * in which a probe found the service at fault. Which messages are canaries is told by their content, with
 * this host's key, so that none is missed after a restart of unjamd and no mail passes for one.
 *
 * Only evidence is sifted. A canary that trials without and with it convict, as any message, goes to
 * quarantine: the other mail must flow. Test: tests/unit/test_sift.c.
 */
#include "act/sift.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int store_index(const ServiceSettings *s, const char *name, unsigned *ret)
{
        for (size_t i = 0; i < s->n_stores; i++)
                if (strcmp(s->stores[i].name, name) == 0) {
                        *ret = (unsigned)i;
                        return 0;
                }
        return -ENOENT;
}

int sift_canaries(Spool *spool, const CanaryKey *key, const char *incident, Roster *roster,
                  const MessageSet *set, MessageSet *ret)
{
        Message *messages = NULL;
        size_t n = 0, count = message_set_count(set);
        int r = message_set_copy(ret, set);

        if (r < 0 || count == 0 || count > SIFT_MAX)
                return err_trace(r);
        r = spool_messages(spool, incident, roster, set, &messages, &n);
        if (r < 0)
                return r == -ENOMEM ? err_trace(r) : 0;
        for (size_t i = 0; i < n; i++) {
                const Message *m = messages + i;
                unsigned store;
                uint32_t index;

                if (m->canary && canary_is_ours(key, m->canary) &&
                    store_index(spool_service(spool), m->store, &store) == 0 &&
                    roster_find(roster, store, m->id, strlen(m->id), &index) == 0) {
                        roster->entries[index].flags |= MESSAGE_CANARY;
                        message_set_remove(ret, index);
                }
                message_deinit(messages + i);
        }
        free(messages);
        return 0;
}

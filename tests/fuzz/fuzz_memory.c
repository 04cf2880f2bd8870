/*
 * What an unjamd before wrote of an incident: {"imc": snapshot, "imc.memory": memory} with anything in it,
 * behind a digest that fits. The real engine wakes up on it, in a simulated world, and lives on for half an
 * hour of its time: no crash, and no message is lost or delivered twice.
 */
#include "fake/sim_private.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const SimConfig c = { .n_messages = 6, .mode = MODE_ACT, .rebuildable = true };
        json_t *j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
        Sim *s;

        if (!json_is_object(j)) {
                json_decref(j);
                return 0;
        }
        s = sim_new(&c);
        sim_poison(s, 1, POISON_CRASH, 0);
        json_decref(s->snapshots);
        s->snapshots = j;
        s->guarded = true; /* the marker outlives whatever the snapshot says */
        sim_crash(s);
        sim_run(s, sim_now(s) + 30 * USEC_PER_MIN);
        for (size_t k = 0; k < sim_n_messages(s); k++) {
                const SimMessage *m = sim_message(s, k);

                assert(m->delivered <= 1);
                assert((m->place == 0) == (m->delivered == 1));
        }
        sim_free(s);
        return 0;
}

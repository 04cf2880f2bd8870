/*
 * What an unjamd before wrote of an incident. The first line of the input is the snapshot, what follows are
 * blocks of its memory, each behind two bytes with its length; behind digests that fit, as it were. The real
 * engine wakes up on it, in a simulated world, and lives on for half an hour of its time: no crash, and no
 * message is lost or delivered twice.
 */
#include "fake/sim_private.h"
#include "fuzz.h"

/* The blocks as the log of the simulation's recorder, and the snapshot says how much of it counts. */
static void take_blocks(Sim *s, json_t *snapshot, const uint8_t *data, size_t size)
{
        SimMemory *m = &s->memory[0];

        free(m->log);
        *m = (SimMemory){ .generation = 1, .log = calloc(1, size * (MEMORY_BLOCK_HEADER + 1) + 1) };
        assert(m->log);
        while (size >= 2) {
                size_t len = (size_t)data[0] << 8 | data[1];

                data += 2;
                size -= 2;
                len = len < size ? len : size;
                memcpy(m->log + m->len, &len, sizeof(len));
                memcpy(m->log + m->len + MEMORY_BLOCK_HEADER, data, len);
                m->len += MEMORY_BLOCK_HEADER + len;
                data += len;
                size -= len;
        }
        json_object_set_new(snapshot, "memory",
                            json_pack("{s:i, s:I}", "generation", m->len > 0, "length", (json_int_t)m->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const SimConfig c = { .n_messages = 6, .mode = MODE_ACT, .rebuildable = true };
        size_t len;
        const char *line = fuzz_line(&data, &size, &len);
        json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
        Sim *s;

        if (!json_is_object(j)) {
                json_decref(j);
                return 0;
        }
        s = sim_new(&c);
        sim_poison(s, 1, POISON_CRASH, 0);
        take_blocks(s, j, data, size);
        json_object_set_new(s->snapshots, "imc", j);
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

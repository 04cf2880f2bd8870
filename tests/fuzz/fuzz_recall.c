/* Blocks of an incident's memory, each behind two bytes with its length: they are refused, or make sense. */
#include "fuzz.h"
#include "model/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Recall c = {};
        int r = 0;

        while (size >= 2 && r == 0) {
                size_t len = (size_t)data[0] << 8 | data[1];
                uint8_t *block;

                data += 2;
                size -= 2;
                len = len < size ? len : size;
                block = (uint8_t *)fuzz_text(data, len); /* its end is seen */
                r = recall_block(&c, block, len);
                free(block);
                data += len;
                size -= len;
        }
        assert(r == 0 || r == -EBADMSG);
        for (size_t i = 0; r == 0 && i < c.n_candidates; i++)
                assert(c.candidates[i] < c.roster.n);
        recall_deinit(&c);
        return 0;
}

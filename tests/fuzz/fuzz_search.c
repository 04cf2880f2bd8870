/* What the search knew, read back: it is refused, or the search goes on and ends. */
#include "decide/isolate.h"
#include "fuzz.h"

#define ROUNDS 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_t *j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
        Isolate *s = NULL;

        if (j && isolate_load(&s, j) == 0) {
                for (unsigned i = 0; i < ROUNDS; i++) {
                        const uint64_t *release = NULL;
                        const TrialReport report = { .failed = i % 3 == 1 };

                        if (isolate_n(s) > 4096 || isolate_next(s, &release) != ISOLATE_TRIAL)
                                break;
                        assert(release || isolate_n(s) == 0);
                        assert(isolate_feed(s, &report) <= 0);
                }
                isolate_free(s);
        }
        json_decref(j);
        return 0;
}

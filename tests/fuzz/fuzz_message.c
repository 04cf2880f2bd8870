/* message.json of a quarantine, and records that an operator hands back: what is read is what is written. */
#include "fuzz.h"
#include "model/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_t *j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
        Message m = { 0 }, again = { 0 };

        if (j && message_from_json(j, &m) == 0) {
                json_t *out = message_to_json(&m), *twice;

                assert(out && message_from_json(out, &again) == 0);
                twice = message_to_json(&again);
                assert(twice && json_equal(out, twice));
                message_deinit(&again);
                message_deinit(&m);
                json_decref(twice);
                json_decref(out);
        }
        json_decref(j);
        return 0;
}

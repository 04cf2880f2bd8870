/*
 * Names in a spool: each line of the input is a path below a store's directory, as whoever may write there
 * may make it. Its id lies in the path, and comes back from a record as the bytes that went in.
 */
#include "base/cleanup.h"
#include "fuzz.h"
#include "model/json.h"
#include "model/layout.h"
#include "model/message.h"

static Layout *layouts[4];

static void make_layouts(void)
{
        static const char *const patterns[] = { NULL, "^(?:.*/)?(?<id>[^/]+)-[HDJ]$", "^[dq]f(?<id>[^/]+)$",
                                                "^(?:new|cur)/(?<id>[^:/]+)(?::2,[A-Z]*)?$" };
        static const char *const last[] = { NULL, "-H$", "^qf", NULL };

        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                const LayoutSettings s = { .flat = !patterns[i],
                                           .match = (char *)patterns[i],
                                           .last = (char *)last[i] };

                assert(layout_new(&layouts[i], &s, NULL) == 0);
        }
}

static void round_trip(const char *id, size_t len)
{
        _cleanup_(freep) char *text = fuzz_text((const uint8_t *)id, len), *back = NULL;
        MessageFile file = { .path = text };
        Message m = { .id = text, .store = (char *)"s", .files = &file, .n_files = 1 }, again = { 0 };
        json_t *j;

        if (strlen(text) != len)
                return; /* no name holds a NUL */
        j = message_to_json(&m);
        assert(j && message_from_json(j, &again) == 0);
        assert(strcmp(again.id, text) == 0 && strcmp(again.files[0].path, text) == 0);
        assert(json_get_bytes(j, "id", &back) == 0 && strcmp(back, text) == 0);
        message_deinit(&again);
        json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char *const ignored[] = { (char *)"deferred/*", (char *)"*.tmp", (char *)"[", NULL };

        if (!layouts[0])
                make_layouts();
        while (size > 0) {
                size_t len;
                const char *line = fuzz_line(&data, &size, &len);
                _cleanup_(freep) char *path = fuzz_text((const uint8_t *)line, len);

                (void)path_is_ignored(ignored, path);
                for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
                        const char *id = NULL;
                        size_t id_len = 0;
                        int r = layout_match(layouts[i], path, len, &id, &id_len);

                        assert(r == 0 || r == LAYOUT_E_NONE);
                        (void)layout_is_last(layouts[i], path, len);
                        if (r != 0)
                                continue;
                        assert(id_len > 0 && id >= path && id + id_len <= path + len);
                        round_trip(id, id_len);
                }
        }
        return 0;
}

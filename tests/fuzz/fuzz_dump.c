/*
 * COREDUMP_OPEN_FDS: what systemd-coredump copied of a dead process's descriptors. The paths in it were
 * chosen by whoever made the files: newlines, "(deleted)" and lines that look like those of fdinfo included.
 */
#include "act/core_dump.h"
#include "fuzz.h"

#define FILES_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_text(data, size);
        Evidence e = { .processes = calloc(1, sizeof(*e.processes)), .n_processes = 1 };
        const ProcessEvidence *p = e.processes;

        assert(p && core_dump_files(e.processes, text) == 0);
        assert(p->n_files <= FILES_MAX);
        for (size_t i = 0; i < p->n_files; i++) {
                const char *path = p->files[i].path;

                /* Each is a part of one line of the text. */
                assert(path[0] == '/' && !strchr(path, '\n') && strstr(text, path));
        }
        evidence_deinit(&e);
        free(text);
        return 0;
}

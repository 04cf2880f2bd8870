/* The configuration: any bytes are Settings or a list of faults that can be printed. */
#include "config/config.h"
#include "fuzz.h"

/* libconfig forgets a string that a syntax error cuts short; the daemon reads its configuration once
 * a reload. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
        return "leak:libconfig\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char path[128];
        static int dirfd = -1;
        ConfigFaults faults = { 0 };
        Settings *settings = NULL;
        int r;

        /* What is included is another file: nothing of it is in the input. */
        if (memmem(data, size, "@include", 8))
                return 0;
        if (dirfd < 0) {
                dirfd = open(fuzz_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                snprintf(path, sizeof(path), "%s/unjamd.conf", fuzz_dir());
        }
        fuzz_write(dirfd, "unjamd.conf", data, size);
        r = config_load(path, CONFIG_READ_ONLY, NULL, &settings, &faults);
        assert(unlinkat(dirfd, "unjamd.conf", 0) == 0);
        assert(r == 0 || r == CONFIG_E_FAULTS);
        assert((r == 0) == (settings != NULL));
        assert((r == 0) == (faults.n == 0));
        for (size_t i = 0; i < faults.n; i++) {
                char *text = config_fault_format(&faults.list[i]);

                assert(text && !strchr(text, '\n'));
                free(text);
        }
        config_faults_deinit(&faults);
        settings_unref(settings);
        return 0;
}

/*
 * bench-log-torture: lines lost or found twice over 1,000 rotations of all kinds under load, with 100 kill -9
 */
#include "fake/log_torture.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void row(const char *name, uint64_t value, bool judged)
{
        printf("{\"bench\": \"log_torture\", \"row\": \"%s\", \"value\": %llu, \"unit\": \"lines\"", name,
               (unsigned long long)value);
        if (judged)
                printf(", \"goal\": 0, \"pass\": %s", value == 0 ? "true" : "false");
        printf("}\n");
}

int main(void)
{
        const char *seed = getenv("UNJAM_BENCH_SEED");
        const LogTortureConfig c = { .rotations = 1000,
                                     .kills = 100,
                                     .seed = seed ? strtoull(seed, NULL, 10) : 1 };
        LogTortureResult r;

        if (log_torture_run(&c, &r) < 0) {
                fprintf(stderr, "it could not be carried out: %s\n", r.note);
                return 1;
        }
        row("written", r.written, false);
        row("lost", r.lost, true);
        row("doubled", r.doubled, true);
        row("reported to two lives of unjamd under one cursor", r.again, false);
        return 0;
}

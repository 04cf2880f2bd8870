#pragma once

/* A runner for tests of sources: it starts nothing, and answers when the test says so. */

#include "base/runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

/* A runner that does as it is told. */
typedef struct FakeRunner {
        Runner runner;
        RunSpec spec;
        char name[64];
        RunDone done;
        void *userdata;
        unsigned started, cancelled;
        int refuse;
} FakeRunner;

static inline int fake_start(Runner *r, const RunSpec *spec, RunDone done, void *userdata, Run **ret)
{
        FakeRunner *f = (FakeRunner *)r;

        if (f->refuse < 0)
                return f->refuse;
        f->spec = *spec;
        snprintf(f->name, sizeof(f->name), "%s", spec->name);
        f->done = done;
        f->userdata = userdata;
        f->started++;
        *ret = (Run *)f;
        return 0;
}

static inline void fake_cancel(Runner *r, Run *run)
{
        FakeRunner *f = (FakeRunner *)r;

        assert_ptr_equal(run, f);
        f->cancelled++;
}

static const RunnerOps fake_runner_ops = { .start = fake_start, .cancel = fake_cancel };

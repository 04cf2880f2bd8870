/*
 * pressure - pressure stall information, of the host and of a control group
 *
 * Called in a worker by those who must know whether silence has a reason. Cannot fail: a kernel without PSI,
 * or one that keeps it off, leaves `known` unset. Test: tests/unit/test_pressure.c.
 */
#include "base/pressure.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

/* "some avg10=12.34 avg60=...": the first average. */
static bool share_parse(const char *text, const char *word, unsigned *ret)
{
        const char *p = strstr(text, word);
        unsigned whole, hundredths;

        if (!p || sscanf(p + strlen(word), " avg10=%3u.%2u", &whole, &hundredths) != 2)
                return false;
        *ret = whole * 100 + hundredths;
        return true;
}

bool pressure_parse(const char *text, PressureShare *ret)
{
        PressureShare share = { 0 };

        if (!share_parse(text, "some", &share.some))
                return false;
        (void)share_parse(text, "full", &share.full); /* Linux before 5.13 has none for the CPU */
        *ret = share;
        return true;
}

static unsigned worse(unsigned a, unsigned b)
{
        return a > b ? a : b;
}

void pressure_add(int dirfd, const char *suffix, Pressure *p)
{
        const struct {
                const char *name;
                PressureShare *share;
        } files[] = { { "cpu", &p->cpu }, { "memory", &p->memory }, { "io", &p->io } };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_(freep) char *text = NULL;
                PressureShare now;
                char name[32];

                snprintf(name, sizeof(name), "%s%s", files[i].name, suffix);
                if (file_read_virtual(dirfd, name, 1024, &text, NULL) < 0 || !pressure_parse(text, &now))
                        continue;
                p->known = true;
                files[i].share->some = worse(files[i].share->some, now.some);
                files[i].share->full = worse(files[i].share->full, now.full);
        }
}

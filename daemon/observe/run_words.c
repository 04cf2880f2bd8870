/*
 * run_words - what became of a program that a probe has started
 *
 * Used by the exec and canary probes. Test: tests/unit/test_run_words.c.
 */
#include "observe/run_words.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define DETAIL_MAX ((size_t)512)

bool run_is_good(const RunResult *result)
{
        return result->error == 0 && !result->timed_out && result->signal == 0 && result->exit_code == 0;
}

/* The end of what it said, without the line ends around it. NULL on ENOMEM. */
static char *last_words(const RunResult *result)
{
        const char *begin = result->output ? result->output : "", *end = begin + result->output_len;

        while (end > begin && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
                end--;
        if ((size_t)(end - begin) > DETAIL_MAX)
                begin = end - DETAIL_MAX;
        return text_to_utf8(begin, (size_t)(end - begin), 0);
}

char *run_failure(const char *program, const RunResult *result)
{
        _cleanup_(freep) char *words = last_words(result);
        const char *said = words && *words ? ": " : "", *text = words ? words : "";
        char *detail = NULL;
        int n;

        if (result->error != 0)
                n = asprintf(&detail, "%s could not be started: %s", program, strerror(-result->error));
        else if (result->timed_out)
                n = asprintf(&detail, "no result in time%s%s", said, text);
        else if (result->signal != 0)
                n = asprintf(&detail, "killed by signal %d%s%s", result->signal, said, text);
        else
                n = asprintf(&detail, "exit status %d%s%s", result->exit_code, said, text);
        return n < 0 ? NULL : detail;
}

char *run_name(const char *kind, const char *service)
{
        char *name;

        if (asprintf(&name, "%s-%s", kind, service) < 0)
                return NULL;
        for (char *c = name; *c; c++) {
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c - 'A' + 'a');
                if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
                        *c = '-';
        }
        return name;
}

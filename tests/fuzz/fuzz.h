#pragma once

/*
 * What a fuzz target is made of: one function that takes bytes and must neither crash, nor leak, nor break
 * what it asserts. With clang, libFuzzer is its main(); with any compiler, replay.c runs it over the corpus.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a string of its own, NUL-terminated: a read past its end is seen. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1);

        assert(text);
        memcpy(text, data, size);
        text[size] = '\0';
        return text;
}

/* Cuts the next line off the input: *@ret_len bytes from the returned place on. */
static inline const char *fuzz_line(const uint8_t **data, size_t *size, size_t *ret_len)
{
        const char *line = (const char *)*data;
        const char *end = memchr(line, '\n', *size);
        size_t len = end ? (size_t)(end - line) : *size;

        *ret_len = len;
        *data += len + (end != NULL);
        *size -= len + (end != NULL);
        return line;
}

/* A directory of this process in memory, made once; removed by nobody but its owner's fuzz_clean(). */
static inline const char *fuzz_dir(void)
{
        static char dir[] = "/dev/shm/unjam-fuzz.XXXXXX";
        static int made;

        if (!made) {
                if (!mkdtemp(dir))
                        abort();
                made = 1;
        }
        return dir;
}

static inline void fuzz_write(int dirfd, const char *name, const void *data, size_t size)
{
        int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert(fd >= 0);
        assert(write(fd, data, size) == (ssize_t)size);
        close(fd);
}

#pragma once

/*
 * Text from anywhere: log lines, file names and process titles are bytes; records and terminals take UTF-8.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Is [@data, @data + @len) valid UTF-8 without NUL? */
bool text_is_utf8(const void *data, size_t len);

/*
 * A new NUL-terminated valid UTF-8 string: bytes that are no UTF-8, and NUL, become U+FFFD; control
 * characters stay. At most @max bytes of input are taken (0: all). Return: the string (caller frees), NULL on
 * ENOMEM.
 */
char *text_to_utf8(const void *data, size_t len, size_t max);

/* A new string in which every byte that is no valid UTF-8, and '%' and control characters, is %XX. NULL on
 * ENOMEM. */
char *text_percent_encode(const void *data, size_t len);

/* A new base64 string. NULL on ENOMEM. */
char *text_base64(const void *data, size_t len);
/* Decodes; *@ret is allocated and NUL-terminated after *@ret_len bytes. Return: 0, -EINVAL, -ENOMEM. */
int text_unbase64(const char *text, void **ret, size_t *ret_len);

/* Lower-case hex of @data to @out, which takes 2 * len + 1 bytes. Yields @out. */
char *text_hex(char *out, const void *data, size_t len);
/* Return: 0, or -EINVAL if @text is not exactly 2 * len hex digits. */
int text_unhex(const char *text, void *data, size_t len);

/* Parses "64MiB", "1GiB", "512KiB", "4096". Return: 0, or -EINVAL. */
int size_parse(const char *text, uint64_t *ret);

/* Edits to turn one word into the other, for near misses (Damerau-Levenshtein). */
size_t text_distance(const char *a, const char *b);

/* A NULL-terminated string vector. strv_free(NULL) is fine and yields NULL. */
char **strv_free(char **v);
size_t strv_length(char *const *v);
char **strv_copy(char *const *v);
bool strv_contains(char *const *v, const char *s);
/* Appends a copy. Return: 0 or -ENOMEM (then *v is as it was). */
int strv_append(char ***v, const char *s);
/* "a b c" for people. NULL on ENOMEM. */
char *strv_join(char *const *v, const char *separator);
static inline void strv_freep(char ***v)
{
        strv_free(*v);
}
/* strdup that takes NULL. */
char *strdup_null(const char *s);
/* strcmp() == 0 that takes NULL. */
bool streq_null(const char *a, const char *b);

/*
 * json - bytes in and out of JSON
 *
 * Used by whatever writes or reads a record: messages, evidence, the engine. Display forms may be lossy, but
 * next to each stands the exact one, so nothing read back differs from what was written. Fails only with
 * ENOMEM, or EINVAL for a record that is not ours. Test: tests/unit/test_json.c.
 */
#include "model/json.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

json_t *json_from_text(const char *s)
{
        _cleanup_(freep) char *text = NULL;

        if (!s)
                return json_null();
        text = text_to_utf8(s, strlen(s), 0);
        return text ? json_string(text) : NULL;
}

int json_set(json_t *object, const char *key, json_t *value)
{
        return json_object_set_new(object, key, value) < 0 ? err_origin(-ENOMEM) : 0;
}

/* "path" -> "path_b64"; NULL on ENOMEM. */
static char *key_b64(const char *key)
{
        char *s = NULL;

        return asprintf(&s, "%s_b64", key) < 0 ? NULL : s;
}

int json_set_bytes(json_t *object, const char *key, const char *s)
{
        _cleanup_(freep) char *encoded = NULL, *exact = NULL, *exact_key = NULL;
        size_t len = strlen(s);

        if (text_is_utf8(s, len))
                return json_set(object, key, json_stringn(s, len));
        encoded = text_percent_encode(s, len);
        exact = text_base64(s, len);
        exact_key = key_b64(key);
        if (!encoded || !exact || !exact_key)
                return err_origin(-ENOMEM);
        if (json_set(object, key, json_string(encoded)) < 0 ||
            json_set(object, exact_key, json_string(exact)) < 0)
                return err_origin(-ENOMEM);
        return 0;
}

int json_get_bytes(const json_t *object, const char *key, char **ret)
{
        _cleanup_(freep) char *exact_key = key_b64(key);
        _cleanup_(freep) void *bytes = NULL;
        const json_t *value;
        size_t len;
        int r;

        if (!exact_key)
                return err_origin(-ENOMEM);
        value = json_object_get(object, exact_key);
        if (value) {
                if (!json_is_string(value))
                        return err_origin(-EINVAL);
                r = text_unbase64(json_string_value(value), &bytes, &len);
                if (r < 0)
                        return err_trace(r);
                if (memchr(bytes, '\0', len))
                        return err_origin(-EINVAL);
                *ret = TAKE_PTR(bytes);
                return 0;
        }
        value = json_object_get(object, key);
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
                return err_origin(-EINVAL);
        *ret = strdup(json_string_value(value));
        return *ret ? 0 : err_origin(-ENOMEM);
}

char *json_text(const json_t *j, size_t flags)
{
        size_t len = json_dumpb(j, NULL, 0, flags);
        char *text = len > 0 ? malloc(len + 1) : NULL;

        if (!text)
                return NULL;
        /* Into a buffer, nothing is allocated but the list of an object's keys; that fails for all to see. */
        if (json_dumpb(j, text, len, flags) != len) {
                free(text);
                return NULL;
        }
        text[len] = '\0';
        return text;
}

/*
 * --- reading ---
 *
 * jansson appends each byte of a token to a buffer and does not look whether that worked; if not, it copies
 * what is behind the buffer until there is a quote. So while a text is read no allocation of jansson's fails:
 * what malloc() refuses comes from a reserve that was made before. From then on the text has ended, so that
 * little of it is needed, and whatever was made is thrown away.
 */

#define RESERVE_MORE 16384 /* what is allocated besides the one token: nodes, the first hash table */
#define RESERVE_UNIT 16

typedef struct Reading {
        const char *text;
        size_t len;
        char *reserve, *free, *end;
        bool failed;
} Reading;

static _Thread_local Reading *reading;
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static json_malloc_t inner_malloc;
static json_free_t inner_free;

static void *guarded_malloc(size_t size)
{
        void *p = inner_malloc(size);
        Reading *r = reading;

        if (p || !r)
                return p;
        r->failed = true;
        size = (size + RESERVE_UNIT - 1) / RESERVE_UNIT * RESERVE_UNIT;
        if (size > (size_t)(r->end - r->free))
                return NULL; /* no token is that long: jansson does look after the others */
        p = r->free;
        r->free += size;
        return p;
}

static void guarded_free(void *p)
{
        const char *at = p;

        if (!reading || at < reading->reserve || at >= reading->end)
                inner_free(p);
}

/* Around whatever functions jansson was told to use. */
static void guard_install(void)
{
        json_malloc_t m;
        json_free_t f;

        (void)pthread_mutex_lock(&guard_lock);
        json_get_alloc_funcs(&m, &f);
        if (m != guarded_malloc) {
                inner_malloc = m;
                inner_free = f;
                json_set_alloc_funcs(guarded_malloc, guarded_free);
        }
        (void)pthread_mutex_unlock(&guard_lock);
}

/* One byte at a time: jansson is never ahead of what it has been able to keep. */
static size_t next_byte(void *buffer, size_t size, void *userdata)
{
        Reading *r = userdata;

        if (r->failed || r->len == 0 || size == 0)
                return 0;
        *(char *)buffer = *r->text++;
        r->len--;
        return 1;
}

json_t *json_parse(const char *text, size_t len)
{
        Reading r = { .text = text, .len = len };
        size_t size = 2 * len + RESERVE_MORE;
        json_t *j;

        guard_install();
        r.reserve = r.free = malloc(size);
        if (!r.reserve) {
                errno = ENOMEM;
                return NULL;
        }
        r.end = r.reserve + size;
        reading = &r;
        j = json_load_callback(next_byte, &r, JSON_REJECT_DUPLICATES, NULL);
        if (r.failed) {
                json_decref(j);
                j = NULL;
        }
        reading = NULL;
        free(r.reserve);
        if (!j)
                errno = r.failed ? ENOMEM : EINVAL;
        return j;
}

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

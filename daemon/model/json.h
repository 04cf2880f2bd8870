#pragma once

/*
 * JSON for text from anywhere: jansson takes UTF-8 only, and a record must never be lost for a file name.
 */

#include <jansson.h>

/* @s as a string, bytes that are no UTF-8 replaced; null for NULL. NULL on ENOMEM. */
json_t *json_from_text(const char *s);

/*
 * Sets @key to the bytes @s: as they are if they are UTF-8, else percent-encoded, with the exact ones in
 * "@key_b64". Return: 0 or -ENOMEM.
 */
int json_set_bytes(json_t *object, const char *key, const char *s);
/* The exact bytes back. *@ret is the caller's. Return: 0, -EINVAL if they are missing or hold a
 * NUL, -ENOMEM. */
int json_get_bytes(const json_t *object, const char *key, char **ret);

/*
 * json_dumps(), which with JSON_SORT_KEYS loses parts of the text when memory runs out in its middle, and
 * says nothing: here all of it or NULL.
 */
char *json_text(const json_t *j, size_t flags);

/*
 * json_loadb() with duplicate keys refused, for any text. That one writes past its own buffer when memory
 * runs out inside of a string; this one yields NULL. errno: EINVAL (no JSON), or ENOMEM, which says nothing
 * of the text.
 */
json_t *json_parse(const char *text, size_t len);

/* Takes @value even if it fails; a NULL @value is an ENOMEM of whoever made it. Return: 0 or -ENOMEM. */
int json_set(json_t *object, const char *key, json_t *value);

#pragma once

/* Symptom: filling in one, in fixed room and valid UTF-8. */

#include "diagnose/diagnosis.h"

/*
 * A symptom of @service with the signature "UNIT/@tail": the first unit's name, or the service's where it has
 * none.
 */
Symptom symptom_make(const ServiceSettings *service, SymptomKind kind, const char *tail, usec_t wall);
/* Sets the detail, cut at a character. */
void symptom_detail(Symptom *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds to it. */
void symptom_add_detail(Symptom *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies @src (UTF-8; NULL is "") to @dst of @size bytes, cut at a character. */
void text_copy(char *dst, size_t size, const char *src);
/* Of a name or signature (FNV-1a): to know it again in little room. */
uint64_t text_hash(const char *text);

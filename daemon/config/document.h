#pragma once

/* One file in libconfig syntax, read and parsed. For this directory only. */

#include "config/schema.h"

/* Settings point into it, so it must live as long as they are looked at. */
typedef struct Document {
        char *path;
        config_t config;
} Document;

/* Copies @path; reads nothing. Return: 0 or -ENOMEM. An all-zero one may be deinited, too. */
int document_init(Document *d, const char *path);
void document_deinit(Document *d);
/* Reads and parses it; what is wrong is a fault of @l. Return: can its settings be looked at? */
bool document_parse(Document *d, Loader *l);

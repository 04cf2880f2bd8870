#pragma once

/*
 * String tables: the only vocabulary for log, audit, state file, configuration and unjamctl.
 *
 * An enum X has _X_MAX and _X_INVALID = -EINVAL. DECLARE_STRING_TABLE(x, X) in the header declares, and
 * DEFINE_STRING_TABLE(x, X, table) in the .c file defines
 *
 *         const char *x_to_string(X v);        NULL outside of the enum
 *         X x_from_string(const char *s);      _X_INVALID if unknown
 */

#include <errno.h>
#include <string.h>

#define DECLARE_STRING_TABLE(name, Type)                                                                     \
        const char *name##_to_string(Type v);                                                                \
        Type name##_from_string(const char *s)

#define DEFINE_STRING_TABLE(name, Type, table)                                                               \
        const char *name##_to_string(Type v)                                                                 \
        {                                                                                                    \
                if ((int)v < 0 || (size_t)v >= sizeof(table) / sizeof((table)[0]))                           \
                        return NULL;                                                                         \
                return (table)[v];                                                                           \
        }                                                                                                    \
        Type name##_from_string(const char *s)                                                               \
        {                                                                                                    \
                for (size_t i = 0; s && i < sizeof(table) / sizeof((table)[0]); i++)                         \
                        if ((table)[i] && strcmp((table)[i], s) == 0)                                        \
                                return (Type)i;                                                              \
                return (Type)-EINVAL;                                                                        \
        }

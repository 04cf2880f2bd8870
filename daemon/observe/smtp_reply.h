#pragma once

/*
 * SmtpReply: reads the replies of an SMTP server from a stream of any bytes. Pure.
 *
 * A reply is one or more lines "NNN-text", the last one "NNN text" or "NNN". CR is optional, as is anything
 * after the code. All lines of a reply bear the same code.
 */

#include <stdbool.h>
#include <stddef.h>

#define SMTP_REPLY_MAX  ((size_t)64 * 1024)
#define SMTP_REPLY_TEXT ((size_t)256)

/* All zero is a reader before a reply. */
typedef struct SmtpReply {
        int code;                   /* of the lines so far; 0: none yet */
        size_t column, total;       /* in the line; in the reply */
        bool last;                  /* this line is the last one */
        char text[SMTP_REPLY_TEXT]; /* the beginning of the first line, code included; bytes, NUL-terminated
                                     */
        size_t text_len;
        bool first_done;
} SmtpReply;

#define SMTP_REPLY_E_MORE  1 /* the reply goes on */
#define SMTP_REPLY_E_WRONG 2 /* this is no SMTP reply, or a longer one than anybody sends */

/* Takes one byte. Return: 0 when a reply is complete (the next byte begins a new one), or SMTP_REPLY_E_*. */
int smtp_reply_feed(SmtpReply *r, char byte);

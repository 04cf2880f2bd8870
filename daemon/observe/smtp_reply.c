/*
 * smtp_reply - the replies of an SMTP server, byte by byte
 *
 * Used by the smtp probe. It keeps the code and the beginning of the first line, nothing else, so a server
 * that sends without end costs no memory and is given up after SMTP_REPLY_MAX bytes.
 */
#include "observe/smtp_reply.h"

static int line_end(SmtpReply *r)
{
        r->first_done = true;
        if (r->column > 0 && r->text_len > 0 && r->text[r->text_len - 1] == '\r')
                r->text[--r->text_len] = 0;
        if (r->column < 3)
                return SMTP_REPLY_E_WRONG;
        r->column = 0;
        return r->last ? 0 : SMTP_REPLY_E_MORE;
}

/* One digit of the code, the @column-th of its line. */
static bool code_digit(SmtpReply *r, char byte)
{
        static const int weights[] = { 100, 10, 1 };
        int digit = byte - '0', weight = weights[r->column];

        if (digit < 0 || digit > 9)
                return false;
        if (r->first_done)
                return r->code / weight % 10 == digit;
        r->code += digit * weight;
        return true;
}

int smtp_reply_feed(SmtpReply *r, char byte)
{
        if (r->last && r->column == 0)
                *r = (SmtpReply){ 0 };
        if (++r->total > SMTP_REPLY_MAX)
                return SMTP_REPLY_E_WRONG;
        if (byte == '\n')
                return line_end(r);
        if (!r->first_done && byte != 0 && r->text_len + 1 < sizeof(r->text))
                r->text[r->text_len++] = byte;
        if (r->column < 3 && !code_digit(r, byte))
                return SMTP_REPLY_E_WRONG;
        if (r->column == 2)
                r->last = true; /* a bare code ends the reply; a hyphen behind it takes that back */
        if (r->column == 3) {
                if (byte != '-' && byte != ' ' && byte != '\t' && byte != '\r')
                        return SMTP_REPLY_E_WRONG;
                r->last = byte != '-';
        }
        r->column++;
        return SMTP_REPLY_E_MORE;
}

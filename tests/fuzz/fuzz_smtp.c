/* Replies of an SMTP server, as anything that listens there may send them. */
#include "fuzz.h"
#include "observe/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        SmtpReply reply = { 0 };

        for (size_t i = 0; i < size; i++) {
                int r = smtp_reply_feed(&reply, (char)data[i]);

                assert(memchr(reply.text, '\0', sizeof(reply.text)));
                if (r == SMTP_REPLY_E_WRONG)
                        return 0;
                if (r == 0)
                        assert(reply.code >= 0 && reply.code <= 999);
        }
        return 0;
}

/*
 * packet - messages of any size in packets of at most 64 KiB
 *
 * Used by connection.c (splits) and client.c (joins). Pure. What does not follow packet.h is -EBADMSG.
 */
#include "control/packet.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "model/json.h"

#include <stdbool.h>
#include <string.h>

/* As a JSON string each byte of JSON text becomes two at most (quotes, backslashes); the rest is for the
 * envelope. */
#define CHUNK_MAX (CONTROL_PACKET_MAX / 2 - 128)

/* How much of @text goes into one packet: no character is cut in two. */
static size_t chunk_length(const char *text, size_t len)
{
        size_t n = len < CHUNK_MAX ? len : CHUNK_MAX;

        while (n > 0 && n < len && ((unsigned char)text[n] & 0xc0) == 0x80)
                n--;
        return n;
}

static int send_text(int64_t id, const char *text, size_t len, PacketHandler handler, void *userdata)
{
        json_int_t part = 0;
        int r;

        do {
                _cleanup_(freep) char *packet = NULL;
                size_t n = chunk_length(text, len);
                json_t *j;

                j = json_pack("{s:I, s:I, s:b, s:s%}", "id", (json_int_t)id, "part", part++, "last", n == len,
                              "data", text, n);
                packet = j ? json_text(j, JSON_COMPACT) : NULL;
                json_decref(j);
                if (!packet)
                        return err_origin(-ENOMEM);
                r = handler(userdata, packet, strlen(packet));
                if (r < 0)
                        return r;
                text += n;
                len -= n;
        } while (len > 0);
        return 0;
}

int packet_split(int64_t id, bool ok, json_t *body, PacketHandler handler, void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        json_t *message;

        message = json_pack("{s:b, s:O}", "ok", ok, "body", body);
        text = message ? json_text(message, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9)) : NULL;
        json_decref(message);
        if (!text)
                return err_origin(-ENOMEM);
        return send_text(id, text, strlen(text), handler, userdata);
}

void packet_join_deinit(PacketJoin *j)
{
        free(j->text);
        *j = (PacketJoin){ 0 };
}

static int join_append(PacketJoin *j, const char *data, size_t len)
{
        char *more = realloc(j->text, j->len + len + 1);

        if (!more)
                return err_origin(-ENOMEM);
        j->text = more;
        memcpy(j->text + j->len, data, len);
        j->len += len;
        return 0;
}

static int join_finish(const PacketJoin *j, bool *ret_ok, json_t **ret_body)
{
        json_t *message = json_parse(j->text, j->len), *body;
        int ok, r;

        r = message && json_unpack(message, "{s:b, s:o}", "ok", &ok, "body", &body) == 0 ? 0 : -EBADMSG;
        if (r == 0) {
                *ret_ok = ok;
                *ret_body = json_incref(body);
        }
        json_decref(message);
        return r;
}

int packet_join(PacketJoin *j, const char *packet, size_t len, int64_t *ret_id, bool *ret_ok,
                json_t **ret_body)
{
        json_t *o = json_parse(packet, len);
        json_int_t id, part;
        const char *data;
        size_t data_len;
        int last, r;

        if (!o ||
            json_unpack(o, "{s:I, s:I, s:b, s:s%}", "id", &id, "part", &part, "last", &last, "data", &data,
                        &data_len) < 0 ||
            part < 0 || (uint64_t)part != j->part || (j->part > 0 && j->id != id))
                r = -EBADMSG;
        else
                r = join_append(j, data, data_len);
        json_decref(o);
        if (r == 0 && !last) {
                j->id = id;
                j->part++;
                return PACKET_E_MORE;
        }
        if (r == 0)
                r = join_finish(j, ret_ok, ret_body);
        if (r == 0)
                *ret_id = id;
        packet_join_deinit(j);
        return r;
}

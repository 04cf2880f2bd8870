#pragma once

/*
 * Packets of the control socket (SOCK_SEQPACKET, one JSON object a packet, at most 64 KiB).
 *
 * A request is one packet:   {"id":7,"verb":"status","args":{...}}
 * A message to the client is one or more, in order:
 *
 *         {"id":7,"part":0,"last":false,"data":"..."}   {"id":7,"part":1,"last":true,"data":"..."}
 *
 * The data of all parts, one after the other, is the text of {"ok":true,"body":{...}} or, refused, of
 * {"ok":false,"body":{"error":"what, and what to do","reason":"word"}}. So a reply may be of any size.
 * `watch` is answered with ok, and then with one such message for each event until the client goes. id 0
 * belongs to no request: the server has something to say before it closes the connection, or the request had
 * no readable id.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_PACKET_MAX (64 * 1024)
#define CONTROL_SOCKET     "control"

/* Takes one finished packet. Return: 0, or a negated errno, which ends the splitting. */
typedef int (*PacketHandler)(void *userdata, const char *packet, size_t len);

/* Cuts the message (@body is borrowed) into packets. Return: 0, -ENOMEM, or what @handler returned. */
int packet_split(int64_t id, bool ok, json_t *body, PacketHandler handler, void *userdata);

/* A message that is being put together. All zero is an empty one. */
typedef struct PacketJoin {
        int64_t id;
        uint64_t part; /* the one that is next */
        char *text;
        size_t len;
} PacketJoin;

#define PACKET_E_MORE 1

void packet_join_deinit(PacketJoin *j);
/*
 * Takes a packet. Return: 0 when the message is whole (@ret_id, @ret_ok and @ret_body are set, the body is
 * the caller's, and @j is empty again), PACKET_E_MORE, -EBADMSG, -ENOMEM.
 */
int packet_join(PacketJoin *j, const char *packet, size_t len, int64_t *ret_id, bool *ret_ok,
                json_t **ret_body);

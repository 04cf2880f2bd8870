/*
 * The control socket: each line of the input is one packet that a client sends to the real server, which
 * hands requests to a handler. The same lines then go through packet_join(), as the client's side reads them.
 */
#include "control/packet.h"
#include "control/server.h"
#include "fuzz.h"

#include <sys/socket.h>
#include <sys/un.h>

static sd_event *event;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static Publisher publisher;

static void handle(void *userdata, const ControlRequest *request, ControlReply *reply)
{
        (void)userdata;
        assert(request->verb && json_is_object(request->args) && request->peer);
        control_reply(reply, true, json_pack("{s:s}", "verb", request->verb));
}

static void start(void)
{
        static ControlServer *server;
        const ControlHandler handler = { .handle = handle };

        assert(sd_event_new(&event) >= 0);
        assert(control_server_new(&server, event, fuzz_dir(), NULL, &handler) == 0);
        publisher = control_server_publisher(server);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/" CONTROL_SOCKET, fuzz_dir());
}

static void join(const char *line, size_t len, PacketJoin *j)
{
        json_t *body = NULL;
        int64_t id;
        bool ok;
        int r = packet_join(j, line, len, &id, &ok, &body);

        assert(r == 0 || r == PACKET_E_MORE || r == -EBADMSG);
        if (r == 0)
                json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PacketJoin j = { 0 };
        int fd;

        if (!event)
                start();
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert(fd >= 0);
        assert(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
        while (size > 0) {
                size_t len;
                const char *line = fuzz_line(&data, &size, &len);

                join(line, len, &j);
                (void)send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        for (unsigned turns = 0; turns < 100 && sd_event_run(event, 0) > 0; turns++)
                ;
        publisher.publish(publisher.userdata, json_pack("{s:s}", "event", "state"));
        close(fd);
        for (unsigned turns = 0; turns < 100 && sd_event_run(event, 0) > 0; turns++)
                ;
        packet_join_deinit(&j);
        return 0;
}

/*
 * server - the control socket's server
 *
 * Made by main.c. It knows who may ask, and passes requests on to a ControlHandler; it never waits for a
 * client, and no client can make it grow: their number, their requests under way and what waits to be sent
 * are bounded.
 *
 * A client that goes is freed by a deferred event, never inside of a call that might still use it. A reply
 * (the handler may keep it as long as it likes) points to its client, and is told when that goes.
 */
#include "control/server.h"

#include "base/cleanup.h"
#include "base/disk.h"
#include "base/error.h"
#include "base/file.h"
#include "control/access.h"
#include "control/connection.h"
#include "control/packet.h"
#include "model/json.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BACKLOG      16
#define GROUP_BUFFER 16384

typedef struct Reply Reply;

typedef struct Client {
        ControlServer *server;
        struct Client *next;
        Connection *connection;
        bool gone;
        bool may_act;
        char *peer;
        Reply *replies; /* that are owed */
        size_t n_replies;
        bool watches;
        int64_t watch_id;
        char *watch_service; /* NULL: all */
} Client;

struct Reply {
        ControlReply port; /* first: what the handler gets */
        Client *client;    /* NULL: it is gone */
        Reply *next;
        int64_t id;
};

struct ControlServer {
        sd_event *event;
        ControlHandler handler;
        int dirfd;
        int fd;
        gid_t group;
        sd_event_source *io;
        sd_event_source *sweep;
        Client *clients;
        size_t n_clients;
};

/* Replies */

static json_t *error_body(const char *error)
{
        return json_pack("{s:s}", "error", error);
}

static void client_refuse(Client *c, int64_t id, const char *error)
{
        json_t *body = error_body(error);

        if (body)
                (void)connection_send(c->connection, id, false, body);
        json_decref(body);
}

static void reply_answer(ControlReply *port, bool ok, json_t *body)
{
        Reply *reply = (Reply *)port;
        Client *c = reply->client;

        if (c) {
                for (Reply **p = &c->replies; *p; p = &(*p)->next)
                        if (*p == reply) {
                                *p = reply->next;
                                c->n_replies--;
                                break;
                        }
                if (body)
                        (void)connection_send(c->connection, reply->id, ok, body);
                else
                        client_refuse(c, reply->id, "out of memory: try again");
        }
        json_decref(body);
        free(reply);
}

static void client_free(Client *c)
{
        for (Reply *r = c->replies; r; r = r->next)
                r->client = NULL;
        connection_free(c->connection);
        free(c->peer);
        free(c->watch_service);
        free(c);
}

/* Requests */

static void client_watch(Client *c, int64_t id, const json_t *args)
{
        const char *service = json_string_value(json_object_get(args, "service"));
        char *copy = service ? strdup(service) : NULL;
        json_t *body;

        if (service && !copy) {
                client_refuse(c, id, "out of memory: try again");
                return;
        }
        free(c->watch_service);
        c->watch_service = copy;
        c->watch_id = id;
        body = json_pack("{s:b}", "watching", 1);
        if (body && connection_send(c->connection, id, true, body) == 0)
                c->watches = true;
        json_decref(body);
}

static void client_request(Client *c, int64_t id, const char *verb, const json_t *args)
{
        const ControlRequest request = { .verb = verb, .args = args, .may_act = c->may_act, .peer = c->peer };
        Reply *reply;

        if (!c->may_act && !access_verb_reads(verb)) {
                client_refuse(c, id, "not permitted: only root may do this; try again with sudo");
                return;
        }
        if (strcmp(verb, "watch") == 0) {
                client_watch(c, id, args);
                return;
        }
        if (c->n_replies >= CONTROL_PENDING_MAX) {
                client_refuse(c, id, "too many requests at a time: wait for a reply first");
                return;
        }
        reply = malloc(sizeof(*reply));
        if (!reply) {
                client_refuse(c, id, "out of memory: try again");
                return;
        }
        *reply = (Reply){ .port = { .answer = reply_answer }, .client = c, .next = c->replies, .id = id };
        c->replies = reply;
        c->n_replies++;
        c->server->handler.handle(c->server->handler.userdata, &request, &reply->port);
}

static void on_packet(void *userdata, Connection *connection, const char *packet, size_t len, bool truncated)
{
        Client *c = userdata;
        json_t *request, *args, *empty = NULL;
        const char *verb;
        int64_t id;

        (void)connection;
        if (truncated) {
                client_refuse(c, 0, "the request is larger than 64 KiB");
                return;
        }
        request = json_parse(packet, len);
        if (!request) {
                client_refuse(c, 0,
                              errno == ENOMEM ? "out of memory: try again" : "the request is no valid JSON");
                return;
        }
        id = json_integer_value(json_object_get(request, "id"));
        verb = json_string_value(json_object_get(request, "verb"));
        args = json_object_get(request, "args");
        if (!args)
                args = empty = json_object();
        if (!verb || id <= 0 || !json_is_object(args))
                client_refuse(
                        c, id,
                        "a request is {\"id\": a number above 0, \"verb\": a string, \"args\": an object}");
        else
                client_request(c, id, verb, args);
        json_decref(empty);
        json_decref(request);
}

static void on_gone(void *userdata, Connection *connection)
{
        Client *c = userdata;

        (void)connection;
        c->gone = true;
        (void)sd_event_source_set_enabled(c->server->sweep, SD_EVENT_ONESHOT);
}

static bool on_waits(void *userdata, Connection *connection)
{
        const Client *c = userdata;

        (void)connection;
        return c->watches || c->n_replies > 0;
}

static int on_sweep(sd_event_source *source, void *userdata)
{
        ControlServer *s = userdata;

        (void)source;
        for (Client **p = &s->clients; *p;) {
                Client *c = *p;

                if (!c->gone) {
                        p = &c->next;
                        continue;
                }
                *p = c->next;
                s->n_clients--;
                client_free(c);
        }
        return 0;
}

/* Clients */

static int client_new(ControlServer *s, int fd, Client **ret)
{
        Client *c = calloc(1, sizeof(*c));
        const ConnectionHandler handler = {
                .userdata = c, .packet = on_packet, .gone = on_gone, .waits = on_waits
        };
        int r;

        if (!c)
                return err_origin(-ENOMEM);
        c->server = s;
        r = connection_new(&c->connection, s->event, fd, &handler);
        if (r < 0) {
                free(c);
                return err_trace(r);
        }
        c->next = s->clients;
        s->clients = c;
        s->n_clients++;
        *ret = c;
        return 0;
}

/* Takes @fd in any case. A connection that is refused gets its reason in a packet, and never counts as a
 * client. */
static int client_admit(ControlServer *s, int fd)
{
        Peer peer = { 0 };
        Access access = ACCESS_NONE;
        size_t others = s->n_clients;
        Client *c;
        int r;

        r = peer_read(fd, &peer);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = client_new(s, fd, &c);
        if (r < 0) {
                close(fd);
                peer_deinit(&peer);
                return r;
        }
        access = access_of(&peer, s->group, geteuid());
        c->may_act = access == ACCESS_ACT;
        c->peer = peer_describe(&peer);
        peer_deinit(&peer);
        if (access == ACCESS_NONE)
                client_refuse(c, 0,
                              "not permitted: root, or the group named by control.group, may ask; try again "
                              "with sudo");
        else if (others >= CONTROL_CLIENTS_MAX)
                client_refuse(c, 0, "too many clients at a time: try again later");
        else if (!c->peer)
                client_refuse(c, 0, "out of memory: try again");
        else
                return 0;
        connection_finish(c->connection);
        return 0;
}

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        ControlServer *s = userdata;
        int client;

        (void)source;
        (void)events;
        client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        /* Out of descriptors or memory, or it went meanwhile: the next one may fare better. */
        if (client >= 0)
                (void)client_admit(s, client);
        return 0;
}

static void publish(void *userdata, json_t *event)
{
        ControlServer *s = userdata;
        const char *service = json_string_value(json_object_get(event, "service"));

        for (Client *c = s->clients; c; c = c->next)
                if (c->watches && !c->gone &&
                    (!c->watch_service || !service || strcmp(c->watch_service, service) == 0))
                        (void)connection_send(c->connection, c->watch_id, true, event);
        json_decref(event);
}

Publisher control_server_publisher(ControlServer *s)
{
        return (Publisher){ .userdata = s, .publish = publish };
}

/* The socket */

static int address_make(struct sockaddr_un *ret, socklen_t *ret_len, const char *run_dir, int dirfd)
{
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        /* An address holds 107 bytes; a directory that is longer is reached through its descriptor. */
        if ((size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", run_dir, CONTROL_SOCKET) >=
                    sizeof(ret->sun_path) &&
            (size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd,
                             CONTROL_SOCKET) >= sizeof(ret->sun_path))
                return err_origin(-ENAMETOOLONG);
        *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(ret->sun_path) + 1);
        return 0;
}

/* Removes the socket that an unjamd left which is no more. */
static int socket_remove_stale(int dirfd, const struct sockaddr_un *address, socklen_t len)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (fstatat(dirfd, CONTROL_SOCKET, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        if (!S_ISSOCK(st.st_mode))
                return err_origin(-EEXIST);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return err_origin(-errno);
        if (connect(fd, (const struct sockaddr *)address, len) == 0 || errno == EAGAIN)
                return err_origin(-EADDRINUSE);
        if (unlinkat(dirfd, CONTROL_SOCKET, 0) < 0 && errno != ENOENT)
                return err_origin(-errno);
        return 0;
}

static int server_listen(ControlServer *s, const char *run_dir)
{
        struct sockaddr_un address;
        socklen_t len;
        int r;

        s->dirfd = dir_ensure(disk_posix(), run_dir, 0755);
        if (s->dirfd < 0)
                return err_trace(s->dirfd);
        r = address_make(&address, &len, run_dir, s->dirfd);
        if (r < 0)
                return r;
        r = socket_remove_stale(s->dirfd, &address, len);
        if (r < 0)
                return r;
        s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0)
                return err_origin(-errno);
        /* Nobody can connect before listen(), so the mode is right from the start. */
        if (bind(s->fd, (const struct sockaddr *)&address, len) < 0 ||
            fchmodat(s->dirfd, CONTROL_SOCKET, 0666, 0) < 0 || listen(s->fd, BACKLOG) < 0)
                return err_origin(-errno);
        return 0;
}

static gid_t group_find(const char *name)
{
        char buf[GROUP_BUFFER];
        struct group group, *found = NULL;

        if (!name || getgrnam_r(name, &group, buf, sizeof(buf), &found) != 0 || !found)
                return (gid_t)-1;
        return group.gr_gid;
}

int control_server_new(ControlServer **ret, sd_event *event, const char *run_dir, const char *group,
                       const ControlHandler *handler)
{
        ControlServer *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return err_origin(-ENOMEM);
        s->dirfd = s->fd = -1;
        s->event = sd_event_ref(event);
        s->handler = *handler;
        s->group = group_find(group);
        r = server_listen(s, run_dir);
        if (r == 0)
                r = sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_connect, s);
        if (r >= 0)
                r = sd_event_add_defer(event, &s->sweep, on_sweep, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->sweep, SD_EVENT_OFF);
        if (r < 0) {
                control_server_free(s);
                return err_trace(r);
        }
        (void)sd_event_source_set_description(s->io, "control-socket");
        (void)sd_event_source_set_description(s->sweep, "control-sweep");
        *ret = s;
        return 0;
}

ControlServer *control_server_free(ControlServer *s)
{
        if (!s)
                return NULL;
        sd_event_source_unref(s->io);
        sd_event_source_unref(s->sweep);
        while (s->clients) {
                Client *c = s->clients;

                s->clients = c->next;
                client_free(c);
        }
        /* Only our own: s->fd is open only if this server has bound it. */
        if (s->fd >= 0)
                (void)unlinkat(s->dirfd, CONTROL_SOCKET, 0);
        closep(&s->fd);
        closep(&s->dirfd);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

/*
 * heartbeat - when a service last gave a sign of life
 *
 * One for each heartbeat probe, made by the scheduler (probe.c) and asked by its attempts
 * (probe_heartbeat.c). A file is looked at by the attempt; a socket listens all the time, so that a beat
 * between two attempts counts. The datagram is that of sd_notify(3) with "WATCHDOG=1"; what else is in it is
 * passed over.
 *
 * Anybody may send to the socket, but only root and processes of the service are heard: who else could keep a
 * hung service looking alive. The kernel says who sent it.
 *
 * A socket that was left behind by an unjamd that was killed is replaced; one that another has put in its
 * place is left alone. Test: tests/unit/test_heartbeat.c.
 */
#include "observe/heartbeat.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define DATAGRAMS_MAX 64 /* a wake-up */

struct Heartbeat {
        HeartbeatSpec spec;
        bool known;  /* there was a beat */
        bool looked; /* at the file */
        usec_t beat; /* monotonic: the last one */
        struct timespec mtime;
        int dirfd, fd;
        dev_t device; /* of the socket's file */
        ino_t inode;
        sd_event_source *io;
};

static void beat_at(Heartbeat *h, usec_t mono)
{
        h->known = true;
        h->beat = mono;
}

/* Is "WATCHDOG=1" one of the lines? */
static bool message_beats(const char *text)
{
        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                size_t len = strcspn(line, "\n");
                if (len == strlen("WATCHDOG=1") && strncmp(line, "WATCHDOG=1", len) == 0)
                        return true;
        }
        return false;
}

static bool sender_counts(const Heartbeat *h, const struct ucred *sender)
{
        return sender->uid == 0 ||
               (sender->pid > 0 && h->spec.belongs && h->spec.belongs(h->spec.userdata, sender->pid));
}

/* Return: true if there may be more. */
static bool datagram_read(Heartbeat *h, int fd)
{
        char text[1024], control[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8)));
        struct iovec iov = { text, sizeof(text) - 1 };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0)
                return errno == EINTR;
        text[n] = '\0';
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
                struct ucred sender;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
                        continue;
                memcpy(&sender, CMSG_DATA(c), sizeof(sender));
                if (message_beats(text) && sender_counts(h, &sender))
                        beat_at(h, now_read().mono);
        }
        return true;
}

static int on_datagram(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        (void)io;
        (void)revents;
        for (unsigned i = 0; i < DATAGRAMS_MAX && datagram_read(userdata, fd); i++)
                ;
        return 0;
}

/* Binds below @h->dirfd by a path that is short enough wherever run_dir is. */
static int socket_bind(Heartbeat *h)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *name = h->spec.service;
        struct stat st;
        int on = 1;

        if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", h->dirfd,
                             name) >= sizeof(address.sun_path))
                return err_origin(-ENAMETOOLONG);
        if (unlinkat(h->dirfd, name, 0) < 0 && errno != ENOENT)
                return err_origin(-errno);
        if (setsockopt(h->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
            bind(h->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            fchmodat(h->dirfd, name, 0666, 0) < 0 || fstatat(h->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_origin(-errno);
        h->device = st.st_dev;
        h->inode = st.st_ino;
        return 0;
}

static int socket_open(Heartbeat *h)
{
        char dir[PATH_MAX];
        int r;

        if ((size_t)snprintf(dir, sizeof(dir), "%s/heartbeat", h->spec.run_dir) >= sizeof(dir))
                return err_origin(-ENAMETOOLONG);
        h->dirfd = dir_ensure(disk_posix(), dir, 0755);
        if (h->dirfd < 0)
                return err_trace(h->dirfd);
        h->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (h->fd < 0)
                return err_origin(-errno);
        r = socket_bind(h);
        if (r >= 0)
                r = sd_event_add_io(h->spec.event, &h->io, h->fd, EPOLLIN, on_datagram, h);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(h->io, "heartbeat");
        /* Whoever beats a thousand times a second is heard ten times. */
        (void)sd_event_source_set_ratelimit(h->io, USEC_PER_SEC, 10);
        return 0;
}

int heartbeat_new(Heartbeat **ret, const HeartbeatSpec *spec)
{
        Heartbeat *h = calloc(1, sizeof(*h));
        int r = 0;

        if (!h)
                return err_origin(-ENOMEM);
        *h = (Heartbeat){ .spec = *spec, .dirfd = -1, .fd = -1 };
        if (!spec->probe->path)
                r = socket_open(h);
        if (r < 0) {
                heartbeat_free(h);
                return err_trace(r);
        }
        *ret = h;
        return 0;
}

Heartbeat *heartbeat_free(Heartbeat *h)
{
        struct stat st;

        if (!h)
                return NULL;
        sd_event_source_disable_unref(h->io);
        if (h->inode && fstatat(h->dirfd, h->spec.service, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_ino == h->inode && st.st_dev == h->device)
                (void)unlinkat(h->dirfd, h->spec.service, 0);
        closep(&h->fd);
        closep(&h->dirfd);
        free(h);
        return NULL;
}

bool heartbeat_listens(const Heartbeat *h)
{
        return h->fd >= 0;
}

void heartbeat_file(Heartbeat *h, const struct timespec *mtime, const Now *now)
{
        usec_t wall = (usec_t)mtime->tv_sec * USEC_PER_SEC + (usec_t)mtime->tv_nsec / 1000;
        usec_t age = usec_sub(now->wall, wall);

        /* At the first look only the wall clock can tell; a beat from before the host booted is none. */
        if (!h->looked && age <= now->mono)
                beat_at(h, now->mono - age);
        else if (h->looked && (mtime->tv_sec != h->mtime.tv_sec || mtime->tv_nsec != h->mtime.tv_nsec))
                beat_at(h, now->mono);
        h->looked = true;
        h->mtime = *mtime;
}

bool heartbeat_judge(const Heartbeat *h, usec_t mono, char *detail, size_t size)
{
        usec_t silent = usec_sub(mono, h->beat);
        char length[32];

        if (h->known && silent <= usec_add(h->spec.probe->interval, h->spec.probe->timeout)) {
                snprintf(detail, size, "%s", "");
                return true;
        }
        if (h->known)
                snprintf(detail, size, "the last beat was %s ago",
                         usec_format(length, sizeof(length), silent / USEC_PER_MSEC * USEC_PER_MSEC));
        else
                snprintf(detail, size, "there has been no beat yet");
        return false;
}

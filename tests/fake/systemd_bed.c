/* systemd_bed - see systemd_bed.h */
#include "fake/systemd_bed.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void systemd_bed_units(SystemdBed *b, char **units)
{
        b->bed.manager = manager_free(b->bed.manager);
        b->bed.service.units = units;
        assert_int_equal(manager_systemd_new(&b->bed.manager, &b->bed.ctx), 0);
}

/* A copy of the shell, so that its path is nobody else's on this host. */
static void copy_shell(const char *to)
{
        struct stat st;
        int in = open("/bin/sh", O_RDONLY | O_CLOEXEC),
            out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

        assert_true(in >= 0 && out >= 0 && fstat(in, &st) == 0);
        while (st.st_size > 0) {
                ssize_t n = sendfile(out, in, NULL, (size_t)st.st_size);
                assert_true(n > 0);
                st.st_size -= n;
        }
        close(in);
        close(out);
}

int systemd_bed_setup(void **state)
{
        static char *units[] = { (char *)"imc.service", NULL };
        SystemdBed *b = calloc(1, sizeof(*b));

        assert_non_null(b);
        manager_bed_init(&b->bed);
        snprintf(b->program, sizeof(b->program), "%s/imcd", b->bed.dir);
        copy_shell(b->program);
        b->leftover = (LeftoverSettings){ .exe = b->program, .any_uid = true };
        b->bed.service.leftovers = &b->leftover;
        b->bed.service.n_leftovers = 1;

        b->systemd = fake_systemd_new(b->bed.event);
        b->bed.ctx.bus = fake_systemd_bus(b->systemd);
        b->unit = fake_systemd_unit(b->systemd, "imc.service");
        systemd_bed_units(b, units);
        *state = b;
        return 0;
}

int systemd_bed_teardown(void **state)
{
        SystemdBed *b = *state;

        for (size_t i = 0; i < b->n_children; i++) {
                kill(b->children[i], SIGKILL);
                waitpid(b->children[i], NULL, 0);
        }
        b->bed.manager = manager_free(b->bed.manager);
        b->systemd = fake_systemd_free(b->systemd);
        b->bed.service.units = NULL;
        manager_bed_deinit(&b->bed);
        free(b);
        return 0;
}

pid_t systemd_bed_process(SystemdBed *b, bool deaf)
{
        int fds[2];
        char byte;

        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(fds[1], 3);
                execl(b->program, b->program, "-c",
                      deaf ? "trap '' TERM; echo >&3; read x < /proc/self/fd/0; while :; do read x; done"
                           : "echo >&3; while :; do read x; done",
                      NULL);
                _exit(127);
        }
        close(fds[1]);
        assert_int_equal(read(fds[0], &byte, 1), 1);
        close(fds[0]);
        b->children[b->n_children++] = pid;
        return pid;
}

typedef struct Later {
        SystemdBed *bed;
        void (*fn)(SystemdBed *b);
} Later;

static int on_later(sd_event_source *s, uint64_t usec, void *userdata)
{
        Later *l = userdata;

        (void)usec;
        l->fn(l->bed);
        free(l);
        sd_event_source_unref(s);
        return 0;
}

void systemd_bed_later(SystemdBed *b, unsigned msec, void (*fn)(SystemdBed *b))
{
        Later *l = malloc(sizeof(*l));
        sd_event_source *s = NULL;

        assert_non_null(l);
        *l = (Later){ b, fn };
        assert_true(sd_event_add_time_relative(b->bed.event, &s, CLOCK_MONOTONIC, msec * USEC_PER_MSEC, 1,
                                               on_later, l) >= 0);
}

char *systemd_bed_dropin(const char *dir, const char *unit, const char *name)
{
        char path[512];

        snprintf(path, sizeof(path), "%s/%s.d", dir, unit);
        return manager_bed_read(path, name);
}

static bool exists(const char *dir, const char *path)
{
        char full[512];

        snprintf(full, sizeof(full), "%s/%s", dir, path);
        return access(full, F_OK) == 0;
}

bool systemd_bed_permit(const SystemdBed *b)
{
        return exists(b->bed.run_dir, "permit/imc");
}

bool systemd_bed_marker(const SystemdBed *b)
{
        return exists(b->bed.state_dir, "guard/imc");
}

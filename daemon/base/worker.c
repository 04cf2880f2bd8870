/*
 * worker - one thread that may wait for a disk, so that the loop never does
 *
 * Called from the event loop by spool, recorder, managers and sources. The thread takes jobs from one queue
 * and puts them on another; an eventfd wakes the loop, which calls done(). Guarantees: jobs run one after the
 * other in the order of submission; done() runs in the loop, in that order, once for each job that ran; a
 * done() may submit, and may free the worker. The thread blocks all signals, so they arrive where the loop
 * expects them.
 *
 * Diagnostics: what a job returns is between the job and its done(). A job that hangs is seen by
 * worker_busy_since().
 */
#include "base/worker.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define YIELDING_NICE 10

typedef struct JobQueue {
        Job *head, *tail;
} JobQueue;

struct Worker {
        char *name;
        int wake_fd;
        sd_event *event;
        sd_event_source *source;
        pthread_t thread;
        bool started;
        bool *freed; /* set while done() runs: tells the dispatcher that the worker is no more */

        pthread_mutex_t mutex; /* for all below */
        pthread_cond_t work;
        JobQueue todo, finished;
        Job *running;
        usec_t running_since;
        bool stop;
        bool yields; /* gives way from its next job on */
};

static void queue_push(JobQueue *q, Job *job)
{
        job->next = NULL;
        if (q->tail)
                q->tail->next = job;
        else
                q->head = job;
        q->tail = job;
}

static Job *queue_pop(JobQueue *q)
{
        Job *job = q->head;

        if (!job)
                return NULL;
        q->head = job->next;
        if (!q->head)
                q->tail = NULL;
        job->next = NULL;
        return job;
}

static void *worker_thread(void *arg)
{
        Worker *w = arg;
        bool yields = false;

        pthread_mutex_lock(&w->mutex);
        for (;;) {
                Job *job;

                while (!w->stop && !w->todo.head)
                        pthread_cond_wait(&w->work, &w->mutex);
                if (w->stop)
                        break;
                job = w->running = queue_pop(&w->todo);
                w->running_since = now_read().mono;
                /* On Linux this is the thread's own. A sandbox may refuse it; then it is as it was. */
                if (w->yields && !yields && getpriority(PRIO_PROCESS, 0) < YIELDING_NICE)
                        (void)setpriority(PRIO_PROCESS, 0, YIELDING_NICE);
                yields = w->yields;
                pthread_mutex_unlock(&w->mutex);

                job->result = job->run(job);

                pthread_mutex_lock(&w->mutex);
                w->running = NULL;
                queue_push(&w->finished, job);
                /* Cannot fail: the counter would have to reach 2^64. */
                (void)eventfd_write(w->wake_fd, 1);
        }
        pthread_mutex_unlock(&w->mutex);
        return NULL;
}

static int worker_on_finished(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Worker *w = userdata;
        eventfd_t count;
        bool freed = false;

        (void)source;
        (void)revents;
        /* EAGAIN is fine: the queue tells what there is to do. */
        (void)eventfd_read(fd, &count);
        w->freed = &freed;
        for (;;) {
                Job *job;

                pthread_mutex_lock(&w->mutex);
                job = queue_pop(&w->finished);
                pthread_mutex_unlock(&w->mutex);
                if (!job)
                        break;
                job->done(job, job->result);
                if (freed)
                        return 0;
        }
        w->freed = NULL;
        return 0;
}

/* The thread inherits the mask of its maker, so that is the one to change for a moment. */
static int thread_start(Worker *w)
{
        sigset_t all, old;
        int r;

        sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &old);
        if (r != 0)
                return err_origin(-r);
        r = pthread_create(&w->thread, NULL, worker_thread, w);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0)
                return err_origin(-r);
        w->started = true;
        /* For top and core dumps; names are cut at 15 bytes there. */
        char shown[16];
        (void)stpncpy(shown, w->name, sizeof(shown) - 1);
        shown[sizeof(shown) - 1] = 0;
        (void)pthread_setname_np(w->thread, shown);
        return 0;
}

static void worker_freep(Worker **w)
{
        worker_free(*w);
}

int worker_new(Worker **ret, sd_event *event, const char *name)
{
        _cleanup_(worker_freep) Worker *w = calloc(1, sizeof(Worker));
        int r;

        if (!w)
                return err_origin(-ENOMEM);
        w->wake_fd = -1;
        pthread_mutex_init(&w->mutex, NULL);
        pthread_cond_init(&w->work, NULL);
        w->name = strdup(name);
        if (!w->name)
                return err_origin(-ENOMEM);
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->wake_fd < 0)
                return err_origin(-errno);
        w->event = sd_event_ref(event);
        r = sd_event_add_io(event, &w->source, w->wake_fd, EPOLLIN, worker_on_finished, w);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(w->source, "worker");
        r = thread_start(w);
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(w);
        return 0;
}

static void queue_drop(JobQueue *q)
{
        Job *job;

        while ((job = queue_pop(q)))
                if (job->dropped)
                        job->dropped(job);
}

Worker *worker_free(Worker *w)
{
        if (!w)
                return NULL;
        if (w->freed)
                *w->freed = true;
        if (w->started) {
                pthread_mutex_lock(&w->mutex);
                w->stop = true;
                if (w->running)
                        atomic_store(&w->running->cancel, true);
                pthread_cond_signal(&w->work);
                pthread_mutex_unlock(&w->mutex);
                pthread_join(w->thread, NULL);
        }
        /* The thread is no more, so nobody else looks at the queues. */
        queue_drop(&w->finished);
        queue_drop(&w->todo);
        sd_event_source_disable_unref(w->source);
        sd_event_unref(w->event);
        closep(&w->wake_fd);
        pthread_cond_destroy(&w->work);
        pthread_mutex_destroy(&w->mutex);
        free(w->name);
        free(w);
        return NULL;
}

int worker_submit(Worker *w, Job *job)
{
        if (!job->run || !job->done)
                return err_origin(-EINVAL);
        job->submitted = now_read().mono;
        pthread_mutex_lock(&w->mutex);
        queue_push(&w->todo, job);
        pthread_cond_signal(&w->work);
        pthread_mutex_unlock(&w->mutex);
        return 0;
}

void worker_yield(Worker *w)
{
        pthread_mutex_lock(&w->mutex);
        w->yields = true;
        pthread_mutex_unlock(&w->mutex);
}

usec_t worker_busy_since(const Worker *w)
{
        /* The lock is no part of what the caller sees as const. */
        Worker *m = (Worker *)w;
        usec_t since;

        pthread_mutex_lock(&m->mutex);
        since = m->running ? m->running_since : USEC_INFINITY;
        pthread_mutex_unlock(&m->mutex);
        return since;
}

const char *worker_name(const Worker *w)
{
        return w->name;
}

sd_event *worker_event(const Worker *w)
{
        return w->event;
}

/* Tests of base/worker.c. Jobs wait for each other by descriptors, never for time. */
#include "base/cleanup.h"
#include "base/worker.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <cmocka.h>

typedef struct TestJob {
        Job job;
        int gate; /* wait for this eventfd, or -1 */
        int result;
        pthread_t ran_in;
        bool all_blocked;
        unsigned order;
        int nice;
        Worker **free_worker; /* free it in done() */
        struct TestJob *submit_next;
        Worker *worker;
        sd_event *event;
        bool last;
} TestJob;

static unsigned counter;

static int job_run(Job *job)
{
        TestJob *t = (TestJob *)job;
        eventfd_t v;
        sigset_t mask;

        t->ran_in = pthread_self();
        t->nice = getpriority(PRIO_PROCESS, 0); /* of this thread */
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        t->all_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
        atomic_store(&job->total, 1);
        if (t->gate >= 0)
                eventfd_read(t->gate, &v);
        while (t->gate == -2 && !atomic_load(&job->cancel))
                usleep(100);
        atomic_store(&job->progress, 1);
        return t->result;
}

static void job_done(Job *job, int r)
{
        TestJob *t = (TestJob *)job;

        t->result = r + 1000;
        t->order = ++counter;
        if (t->submit_next)
                assert_int_equal(worker_submit(t->worker, &t->submit_next->job), 0);
        if (t->free_worker)
                *t->free_worker = worker_free(*t->free_worker);
        if (t->last)
                sd_event_exit(t->event, 0);
}

static void job_dropped(Job *job)
{
        ((TestJob *)job)->order = 77;
}

static TestJob job(int result)
{
        return (TestJob){ .job = { .run = job_run, .done = job_done }, .gate = -1, .result = result };
}

static void test_order_and_results(void **state)
{
        sd_event *event;
        Worker *w;
        TestJob a = job(1), b = job(-5), c = job(0);

        (void)state;
        counter = 0;
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(worker_new(&w, event, "disk:/var/spool/imc"), 0);
        assert_string_equal(worker_name(w), "disk:/var/spool/imc");
        assert_true(worker_busy_since(w) == USEC_INFINITY);
        b.submit_next = &c;
        b.worker = w;
        c.last = true;
        c.event = event;
        assert_int_equal(worker_submit(w, &a.job), 0);
        assert_int_equal(worker_submit(w, &b.job), 0);
        assert_int_equal(sd_event_loop(event), 0);

        assert_int_equal(a.result, 1001);
        assert_int_equal(b.result, 995);
        assert_int_equal(c.result, 1000);
        assert_int_equal(a.order, 1);
        assert_int_equal(b.order, 2);
        assert_int_equal(c.order, 3);
        assert_false(pthread_equal(a.ran_in, pthread_self()));
        assert_true(a.all_blocked);
        assert_int_equal(atomic_load(&a.job.progress), 1);
        assert_true(a.job.submitted > 0);
        assert_null(worker_free(w));
        sd_event_unref(event);
}

static void test_busy_shows(void **state)
{
        sd_event *event;
        Worker *w;
        TestJob a = job(0);
        int gate = eventfd(0, EFD_CLOEXEC);

        (void)state;
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(worker_new(&w, event, "a name that is longer than a thread's"), 0);
        a.gate = gate;
        a.last = true;
        a.event = event;
        assert_int_equal(worker_submit(w, &a.job), 0);
        while (worker_busy_since(w) == USEC_INFINITY)
                usleep(100);
        assert_true(worker_busy_since(w) <= now_read().mono);
        eventfd_write(gate, 1);
        assert_int_equal(sd_event_loop(event), 0);
        assert_true(worker_busy_since(w) == USEC_INFINITY);
        worker_free(w);
        sd_event_unref(event);
        close(gate);
}

static void test_free_cancels_and_drops(void **state)
{
        sd_event *event;
        Worker *w;
        TestJob a = job(7), b = job(8);

        (void)state;
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(worker_new(&w, event, "w"), 0);
        a.gate = -2; /* until it is cancelled */
        a.job.dropped = b.job.dropped = job_dropped;
        assert_ptr_equal(worker_event(w), event);
        assert_int_equal(worker_submit(w, &a.job), 0);
        assert_int_equal(worker_submit(w, &b.job), 0);
        while (worker_busy_since(w) == USEC_INFINITY)
                usleep(100);
        worker_free(w);
        assert_true(atomic_load(&a.job.cancel));
        assert_int_equal(a.result, 7); /* no done() */
        assert_int_equal(b.result, 8);
        assert_int_equal(atomic_load(&b.job.total), 0); /* never ran */
        assert_int_equal(a.order, 77);
        assert_int_equal(b.order, 77);
        sd_event_unref(event);
}

static void test_free_in_done(void **state)
{
        sd_event *event;
        Worker *w;
        TestJob a = job(0);

        (void)state;
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(worker_new(&w, event, "w"), 0);
        a.free_worker = &w;
        a.last = true;
        a.event = event;
        assert_int_equal(worker_submit(w, &a.job), 0);
        assert_int_equal(sd_event_loop(event), 0);
        assert_null(w);
        sd_event_unref(event);
}

/* The thread that burns processor time gives way; nobody else does. */
static void test_yielding(void **state)
{
        int nice = getpriority(PRIO_PROCESS, 0);
        sd_event *event = NULL;
        Worker *yields = NULL, *other = NULL;
        TestJob a = { .job = { .run = job_run, .done = job_done }, .gate = -1 }, b = a;

        (void)state;
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(worker_new(&yields, event, "yields"), 0);
        assert_int_equal(worker_new(&other, event, "other"), 0);
        worker_yield(yields);
        b.last = true;
        b.event = event;
        a.worker = other;
        a.submit_next = &b;
        assert_int_equal(worker_submit(yields, &a.job), 0);
        assert_int_equal(sd_event_loop(event), 0);
        assert_int_equal(a.nice, nice < 10 ? 10 : nice);
        assert_int_equal(b.nice, nice);
        assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
        worker_free(yields);
        worker_free(other);
        sd_event_unref(event);
}

static void test_a_job_needs_both_halves(void **state)
{
        sd_event *event;
        Worker *w;
        Job half = { .run = job_run };

        (void)state;
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(worker_new(&w, event, "w"), 0);
        assert_int_equal(worker_submit(w, &half), -EINVAL);
        worker_free(w);
        assert_null(worker_free(NULL));
        sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order_and_results),
                cmocka_unit_test(test_busy_shows),
                cmocka_unit_test(test_free_cancels_and_drops),
                cmocka_unit_test(test_free_in_done),
                cmocka_unit_test(test_yielding),
                cmocka_unit_test(test_a_job_needs_both_halves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

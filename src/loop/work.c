/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.c: a pool of threads; see work.h.
 *
 * One queue, first in first out, from which idle threads take.  It is the one
 * place of the loop's machinery with a lock: several threads take from it and
 * sleep when it is empty, which a message to one owner cannot express.  The
 * lock protects the queue and the counters; nothing is called while holding it.
 *
 * A work comes back by loop_post to the loop that submitted it, so done runs
 * there.  Until then the loop is held (virtual time stands still).
 *
 * The threads have all signals blocked: signals belong to the loop.
 */
#include "loop/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/err.h"
#include "base/must.h"

struct work_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* there is work, or stop */
	/* protected by lock */
	struct work *first, **last;
	bool stop;

	unsigned nthreads;
	pthread_t threads[];
};

/* Take the next work; NULL: the pool ends. */
static struct work *
take(struct work_pool *p)
{
	struct work *w;

	pthread_mutex_lock(&p->lock);
	while (!p->first && !p->stop)
		pthread_cond_wait(&p->wake, &p->lock);
	w = p->first;
	if (w) {
		p->first = w->next;
		if (!p->first)
			p->last = &p->first;
	}
	pthread_mutex_unlock(&p->lock);
	return w;
}

static void *
thread_main(void *arg)
{
	struct work_pool *p = arg;
	struct work *w;

	prctl(PR_SET_NAME, "pail-work");
	while ((w = take(p))) {
		w->run(w);
		loop_post(w->loop, &w->task);
	}
	return NULL;
}

static void
work_back(struct loop_task *t)
{
	struct work *w = container_of(t, struct work, task);

	loop_unhold(w->loop);
	w->done(w);
}

/* Start one thread more; 0 or a negative errno. */
static int
start_thread(struct work_pool *p)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&p->threads[p->nthreads], NULL, thread_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		p->nthreads++;
	return -rc;
}

struct work_pool *
work_pool_new(unsigned nthreads, struct err *e)
{
	struct work_pool *p;

	must(nthreads > 0);
	p = calloc(1, sizeof(*p) + nthreads * sizeof(p->threads[0]));
	if (!p) {
		err_set(e, -ENOMEM, "worker threads: no memory");
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->last = &p->first;
	while (p->nthreads < nthreads) {
		int rc = start_thread(p);

		if (rc < 0) {
			err_errno(e, rc, "start worker thread %u of %u",
			    p->nthreads + 1, nthreads);
			work_pool_free(p);
			return NULL;
		}
	}
	return p;
}

void
work_pool_free(struct work_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	must(!p->first);
	p->stop = true;
	pthread_mutex_unlock(&p->lock);
	pthread_cond_broadcast(&p->wake);
	for (unsigned i = 0; i < p->nthreads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void
work_submit(struct work_pool *p, struct loop *l, struct work *w)
{
	loop_hold(l);
	w->loop = l;
	w->task = (struct loop_task){.run = work_back};
	w->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->last = w;
	p->last = &w->next;
	pthread_mutex_unlock(&p->lock);
	pthread_cond_signal(&p->wake);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe (standard input or output) as one end of a copy: it has one order.
 *
 * Requests wait in a queue and are done one at a time on a thread of the pool,
 * reads in the order in which they were asked for, writes by offset: chunks
 * come out of the source in any order, and the one that is due next is always
 * among those in flight (E3), so the queue moves on.
 *
 * A read that meets the end of the pipe gives what there was, and every later
 * one nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/copy_end.h"

struct copy_pipe {
	struct copy_end end;
	struct work_pool *pool;
	struct list queue; /* of copy_chunk.link */
	bool busy;	   /* one of them is with a thread */
	int fd;
	uint64_t next;	   /* offset that is written next */
};

static struct copy_pipe *
pipe_of(struct copy_end *x)
{
	return container_of(x, struct copy_pipe, end);
}

static struct copy_chunk *
chunk_of(struct work *w)
{
	return container_of(w, struct copy_chunk, work);
}

static void
read_run(struct work *w)
{
	struct copy_chunk *c = chunk_of(w);
	struct copy_pipe *p = pipe_of(c->end);
	uint64_t got = 0;

	while (got < c->len) {
		ssize_t n = read(p->fd, c->data->data + got, c->len - got);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			c->rc = err_errno(&c->err, -errno, "read %s",
			    c->end->name);
			return;
		}
		if (n == 0)
			break;
		got += (uint64_t)n;
	}
	c->len = c->data->len = got;
	c->zero = mem_is_zero(c->data->data, got);
}

static int
put(struct copy_pipe *p, const uint8_t *s, uint64_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = write(p->fd, s, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_errno(e, -errno, "write %s", p->end.name);
		s += n;
		len -= (uint64_t)n;
	}
	return 0;
}

static void
write_run(struct work *w)
{
	static const uint8_t zeros[65536];
	struct copy_chunk *c = chunk_of(w);
	struct copy_pipe *p = pipe_of(c->end);

	if (!c->zero) {
		c->rc = put(p, c->data->data, c->len, &c->err);
		return;
	}
	for (uint64_t at = 0; c->rc == 0 && at < c->len; at += sizeof(zeros))
		c->rc = put(p, zeros,
		    c->len - at < sizeof(zeros) ? c->len - at : sizeof(zeros),
		    &c->err);
}

static void pipe_move(struct copy_pipe *p);

static void
work_done(struct work *w)
{
	struct copy_chunk *c = chunk_of(w);
	struct copy_pipe *p = pipe_of(c->end);

	p->busy = false;
	if (c->writing)
		p->next += c->len;
	pipe_move(p);
	c->done(c);
}

static struct copy_chunk *
pipe_due(struct copy_pipe *p)
{
	list_for_each (e, &p->queue) {
		struct copy_chunk *c = list_entry(e, struct copy_chunk, link);

		if (!c->writing || c->off == p->next)
			return c;
	}
	return NULL;
}

static void
pipe_move(struct copy_pipe *p)
{
	struct copy_chunk *c;

	if (p->busy || (c = pipe_due(p)) == NULL)
		return;
	list_del(&c->link);
	p->busy = true;
	c->work = (struct work){
	    .run = c->writing ? write_run : read_run, .done = work_done};
	work_submit(p->pool, p->end.loop, &c->work);
}

static void
pipe_start(struct copy_end *x, struct copy_chunk *c, bool writing)
{
	c->end = x;
	c->rc = 0;
	c->writing = writing;
	list_push_back(&pipe_of(x)->queue, &c->link);
	pipe_move(pipe_of(x));
}

static void
pipe_read(struct copy_end *x, struct copy_chunk *c)
{
	pipe_start(x, c, false);
}

static void
pipe_write(struct copy_end *x, struct copy_chunk *c)
{
	pipe_start(x, c, true);
}

static int
pipe_finish(struct copy_end *x, uint64_t size, struct err *e)
{
	/* A pipe has no disk; a redirected file has. */
	if (fsync(pipe_of(x)->fd) == -1 && errno != EINVAL && errno != EROFS)
		return err_errno(e, -errno, "write %s to disk", x->name);
	return 0;
}

static void
pipe_close(struct copy_end *x)
{
	free(pipe_of(x));
}

static const struct copy_end_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .finish = pipe_finish,
    .close = pipe_close,
};

int
copy_pipe_open(struct loop *l, struct work_pool *pool, int fd,
    const char *name, struct copy_end **out, struct err *e)
{
	struct copy_pipe *p = calloc(1, sizeof(*p));

	if (p == NULL || copy_end_init(&p->end, &pipe_ops, l, name) < 0) {
		free(p);
		return err_set(e, -ENOMEM, "no memory");
	}
	list_init(&p->queue);
	p->pool = pool;
	p->fd = fd;
	p->end.size = COPY_SIZE_UNKNOWN;
	p->end.in_order = true;
	*out = &p->end;
	return 0;
}

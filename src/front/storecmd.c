/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storecmd.c: questions to a raw-device store that is open; see storecmd.h.
 *
 * One function per question begins it; each ends in end(), which says the last
 * line on a later turn.  Runs on the pool's loop.
 */
#include "config.h"

#include "front/storecmd.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "raw/format.h"
#include "raw/pool.h"
#include "raw/rdev.h"

#define SAY_EVERY (100 * NS_PER_MS)

/* --- the end ------------------------------------------------------------------ */

static void
say_end(struct loop_task *t)
{
	struct store_cmd *c = container_of(t, struct store_cmd, task);
	json_t *line;

	if (c->err.rc == 0 && c->result == NULL)
		err_set(&c->err, -ENOMEM, "no memory");
	if (c->err.rc < 0)
		line = json_pack("{s:i, s:s}", "rc", c->err.rc, "error",
		    err_text(&c->err));
	else
		line = json_pack(
		    "{s:i, s:O}", "rc", 0, "result", c->result);
	json_decref(c->result);
	c->result = NULL;
	if (line != NULL && !c->cancelled)
		c->say(c, line);
	json_decref(line);
	c->done(c);
}

/* With what is in err, or with a result, which is taken. */
static void
end(struct store_cmd *c, json_t *result)
{
	c->result = result;
	c->task.run = say_end;
	loop_defer(c->loop, &c->task);
}

static void
say(struct store_cmd *c, json_t *line)
{
	if (line != NULL && !c->cancelled)
		c->say(c, line);
	json_decref(line);
}

static void
say_progress(struct store_cmd *c, uint64_t done, uint64_t total)
{
	int64_t now = loop_now(c->loop);

	if (now - c->said_ns < SAY_EVERY)
		return;
	c->said_ns = now;
	say(c, json_pack("{s:[I, I]}", "progress", (json_int_t)done,
		   (json_int_t)total));
}

/* --- status -------------------------------------------------------------------- */

static void
uuid_text(char out[33], const uint8_t uuid[16])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(out + 2 * (size_t)i, 3, "%02x", uuid[i]);
}

static const char *
state_word(const struct pool_member_status *m)
{
	if (m->state == RAW_MEMBER_FAULTED)
		return "faulted";
	if (m->state == RAW_MEMBER_OFFLINE)
		return "offline";
	if (m->silent)
		return "silent";
	if (!m->here)
		return "missing";
	return m->state == RAW_MEMBER_ONLINE   ? "online"
	    : m->state == RAW_MEMBER_REBUILDING ? "rebuilding"
						: "missing";
}

static json_t *
member_json(const struct pool_status *s, unsigned column)
{
	const struct pool_member_status *m = &s->member[column];
	char uuid[33];

	uuid_text(uuid, m->uuid);
	return json_pack("{s:i, s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, "
			 "s:I, s:I}",
	    "column", (int)column, "path", m->path, "uuid", uuid, "state",
	    state_word(m), "suspect", (int)m->suspect, "slow", (int)m->slow,
	    "bytes", (json_int_t)m->bytes, "read_errors",
	    (json_int_t)m->read_errors, "write_errors",
	    (json_int_t)m->write_errors, "checksum_errors",
	    (json_int_t)m->checksum_errors, "timeouts",
	    (json_int_t)m->timeouts, "repaired", (json_int_t)m->repaired);
}

static json_t *
rebuild_json(const struct pool_status *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "objects_done",
	    (json_int_t)s->rebuild.objects_done, "objects_total",
	    (json_int_t)s->rebuild.objects_total, "bytes_done",
	    (json_int_t)s->rebuild.bytes_done, "bytes_total",
	    (json_int_t)s->rebuild.bytes_total, "bytes_per_s",
	    (json_int_t)s->rebuild.bytes_per_s, "objects_lost",
	    (json_int_t)s->rebuild.lost);
}

static json_t *
event_json(const struct pool_event *ev)
{
	json_t *j = json_pack("{s:I, s:s}", "time",
	    (json_int_t)(ev->wall_ns / NS_PER_S), "text", ev->text);

	if (j != NULL && ev->column >= 0) {
		json_object_set_new(j, "column", json_integer(ev->column));
		json_object_set_new(j, "path", json_string(ev->device));
	}
	return j;
}

/* What has happened to the members, the newest last. */
static json_t *
events_json(const struct store_cmd *c)
{
	struct pool_event ev[POOL_EVENTS];
	unsigned n = pool_get_events(c->pool, ev, POOL_EVENTS);
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, event_json(&ev[i]));
	return list;
}

static json_t *
status_json(const struct store_cmd *c)
{
	struct pool_status s;
	json_t *members = json_array(), *j;
	char uuid[33];

	pool_get_status(c->pool, &s);
	uuid_text(uuid, s.uuid);
	for (unsigned i = 0; i < s.k + s.m; i++)
		json_array_append_new(members, member_json(&s, i));
	j = json_pack("{s:s, s:s, s:i, s:i, s:s, s:i, s:I, s:I, s:I, s:I, s:I, "
		      "s:I, s:I, s:b, s:s, s:o, s:o}",
	    "name", s.name, "uuid", uuid, "data", (int)s.k, "parity", (int)s.m,
	    "health", pool_health_word(s.health), "members_online",
	    (int)s.online, "epoch", (json_int_t)s.epoch, "commit",
	    (json_int_t)s.seq, "objects", (json_int_t)s.objects, "raw_bytes",
	    (json_int_t)s.data_bytes, "raw_free_bytes",
	    (json_int_t)s.free_bytes, "usable_bytes",
	    (json_int_t)s.usable_bytes, "index_memory_bytes",
	    (json_int_t)s.index_bytes, "read_only", (int)s.read_only, "why",
	    s.why, "members", members, "events", events_json(c));
	if (j != NULL && s.rebuild.active)
		json_object_set_new(j, "rebuild", rebuild_json(&s));
	if (j != NULL && c->url != NULL)
		json_object_set_new(j, "mounted",
		    json_pack("{s:s, s:s, s:i}", "url", c->url, "dir", c->dir,
			"pid", (int)getpid()));
	return j;
}

static void
do_status(struct store_cmd *c, const json_t *question)
{
	end(c, status_json(c));
}

/* --- scrub --------------------------------------------------------------------- */

static void
scrub_progress(void *arg, uint64_t done, uint64_t total)
{
	say_progress(arg, done, total);
}

static void
scrub_lost(void *arg, const char *key, const struct err *why)
{
	say(arg, json_pack("{s:s, s:s}", "lost", key, "why", err_text(why)));
}

static void
scrub_done(void *arg, const struct scrub_result *r)
{
	struct store_cmd *c = arg;

	c->scrub = NULL;
	end(c, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "objects",
		   (json_int_t)r->objects, "bytes", (json_int_t)r->bytes,
		   "fragments_repaired", (json_int_t)r->repaired,
		   "objects_moved", (json_int_t)r->moved,
		   "fragments_unmended", (json_int_t)r->unmended,
		   "objects_lost", (json_int_t)r->lost));
}

static void
do_scrub(struct store_cmd *c, const json_t *question)
{
	struct scrub_ops ops = {.progress = scrub_progress,
	    .lost = scrub_lost,
	    .done = scrub_done,
	    .arg = c};

	c->scrub = scrub_start(c->pool, &ops);
	if (c->scrub == NULL)
		end(c, NULL);
}

/* --- members -------------------------------------------------------------------- */

static json_t *
change_json(const struct store_cmd *c)
{
	struct pool_status s;

	pool_get_status(c->pool, &s);
	return json_pack("{s:i, s:s, s:s, s:I}", "column",
	    (int)c->change.column, "state",
	    state_word(&s.member[c->change.column]), "health",
	    pool_health_word(s.health), "objects_lost",
	    (json_int_t)s.rebuild.lost);
}

static void
look(struct loop_timer *t)
{
	struct store_cmd *c = container_of(t, struct store_cmd, look);
	struct pool_status s;

	pool_get_status(c->pool, &s);
	if (s.rebuild.active)
		say_progress(
		    c, s.rebuild.bytes_done, s.rebuild.bytes_total);
	/* Without memory for it there is no progress to see, no more. */
	(void)loop_timer_set(c->loop, t, loop_now(c->loop) + 2 * SAY_EVERY);
}

static void
rebuilt(struct pool_rebuild_wait *w, int rc)
{
	struct store_cmd *c = w->arg;

	c->waiting = false;
	loop_timer_cancel(&c->look);
	if (rc < 0)
		err_errno(&c->err, rc, "rebuild");
	end(c, rc < 0 ? NULL : change_json(c));
}

static void
changed(struct pool_change *change)
{
	struct store_cmd *c = change->arg;

	/* Busy is what somebody else has open: this one may be forced. */
	if (change->rc < 0)
		err_set(&c->err, change->rc == -EBUSY ? -EPERM : change->rc,
		    "%s", err_text(&change->err));
	if (change->rc < 0 || !c->wait || c->cancelled) {
		end(c, change->rc < 0 ? NULL : change_json(c));
		return;
	}
	c->waiting = true;
	c->rebuild = (struct pool_rebuild_wait){.done = rebuilt, .arg = c};
	c->look.fire = look;
	pool_rebuild_wait(c->pool, &c->rebuild);
	look(&c->look);
}

static bool
asks(const json_t *question, const char *what)
{
	return json_is_true(json_object_get(question, what));
}

static const char *
text(struct store_cmd *c, const json_t *question, const char *name)
{
	const char *s = json_string_value(json_object_get(question, name));

	if (s == NULL)
		err_set(&c->err, -EINVAL, "the question lacks \"%s\"", name);
	return s;
}

static int
find_member(struct store_cmd *c, const json_t *question, unsigned *column)
{
	const char *name = text(c, question, "member");

	return name == NULL
	    ? -EINVAL
	    : pool_member_find(c->pool, name, column, &c->err);
}

static int
open_device(struct store_cmd *c, const json_t *question, struct rdev **dev)
{
	const char *path = text(c, question, "path");

	return path == NULL
	    ? -EINVAL
	    : rdev_open(c->loop, c->fileio, path, false, dev, &c->err);
}

static void
do_offline(struct store_cmd *c, const json_t *question)
{
	unsigned column;

	if (find_member(c, question, &column) < 0)
		end(c, NULL);
	else
		pool_member_offline(c->pool, &c->change, column,
		    asks(question, "force"));
}

/* The device of a member that is named by its column or UUID. */
static int
open_member(struct store_cmd *c, const json_t *question, struct rdev **dev)
{
	struct pool_status s;
	unsigned column;
	int rc = find_member(c, question, &column);

	if (rc < 0)
		return rc;
	pool_get_status(c->pool, &s);
	if (s.member[column].path[0] == '\0')
		return err_set(&c->err, -ENOENT,
		    "where member %u is, is not known: name its device",
		    column);
	if (s.member[column].here)
		return err_set(&c->err, -EALREADY,
		    "member %u (%s) is in use already", column,
		    s.member[column].path);
	return rdev_open(c->loop, c->fileio, s.member[column].path, false, dev,
	    &c->err);
}

/* One that was only silent has its device open: it is that which the question
 * names.  True: it is answered. */
static bool
recall(struct store_cmd *c, const json_t *question)
{
	const char *path =
	    json_string_value(json_object_get(question, "path"));
	struct pool_status s;
	unsigned column;

	pool_get_status(c->pool, &s);
	if (path != NULL)
		for (column = 0; column < s.k + s.m; column++)
			if (s.member[column].silent &&
			    strcmp(s.member[column].path, path) == 0)
				break;
	if (path == NULL && find_member(c, question, &column) < 0) {
		end(c, NULL);
		return true;
	}
	if (column == s.k + s.m || !s.member[column].silent)
		return false;
	if (pool_member_recall(c->pool, &c->change, column, &c->err) < 0)
		end(c, NULL);
	return true;
}

static void
do_online(struct store_cmd *c, const json_t *question)
{
	struct rdev *dev;

	if (recall(c, question))
		return;
	int rc = json_object_get(question, "member") != NULL ?
	    open_member(c, question, &dev) :
	    open_device(c, question, &dev);

	if (rc < 0)
		end(c, NULL);
	else
		pool_member_online(
		    c->pool, &c->change, dev, asks(question, "force"));
}

static void
do_replace(struct store_cmd *c, const json_t *question)
{
	struct rdev *dev;
	unsigned column;

	if (find_member(c, question, &column) < 0 ||
	    open_device(c, question, &dev) < 0)
		end(c, NULL);
	else
		pool_member_replace(c->pool, &c->change, column, dev,
		    asks(question, "force"));
}

/* --- dispatch ------------------------------------------------------------------ */

static const struct {
	const char *name;
	void (*run)(struct store_cmd *c, const json_t *question);
} questions[] = {{"status", do_status}, {"scrub", do_scrub},
    {"offline", do_offline}, {"online", do_online}, {"replace", do_replace}};

void
store_cmd_start(struct store_cmd *c, const json_t *question)
{
	const char *what =
	    json_string_value(json_object_get(question, "do"));

	c->result = NULL;
	c->scrub = NULL;
	c->said_ns = 0;
	c->cancelled = c->waiting = false;
	c->wait = asks(question, "wait");
	c->look = (struct loop_timer){0};
	c->change = (struct pool_change){.done = changed, .arg = c};
	err_clear(&c->err);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (what != NULL && strcmp(what, questions[i].name) == 0) {
			questions[i].run(c, question);
			return;
		}
	err_set(&c->err, -EOPNOTSUPP,
	    "the process that has the store open is of another version of "
	    "pail: it does not know the question \"%s\"",
	    what != NULL ? what : "");
	end(c, NULL);
}

void
store_cmd_cancel(struct store_cmd *c)
{
	c->cancelled = true;
	if (c->scrub != NULL)
		scrub_stop(c->scrub);
	if (!c->waiting)
		return;
	/* What was begun goes on without anybody who waits. */
	c->waiting = false;
	pool_rebuild_unwait(c->pool, &c->rebuild);
	loop_timer_cancel(&c->look);
	end(c, NULL);
}

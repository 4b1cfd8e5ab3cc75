/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dcfile.c: the file of a disk cache; see dcfile.h, and docs/diskcache.md for
 * the format.
 *
 * Nothing in it is ever flushed, and nothing depends on an order of writes: each
 * slot says in its header what it has, with checksums, and whatever a crash, a
 * torn write or a bad disk leaves is told by them (K1).  The table is a hint where
 * to look; it is written a moment after it has changed, and at the end.
 *
 * Which slot is used next is decided by a clock: a hand goes round, and passes
 * once those that were read since it came by last.
 */
#include "config.h"

#include "store/dcfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/crc.h"
#include "store/store.h"

#define MEMORY (64u << 20) /* of slots on their way */
#define PER_PAGE (DC_PAGE / DC_ENTRY)
#define TABLE_NS (2 * 1000000000ll)
#define SLOTS_MIN 4u
#define PAGE_UP(x) (((x) + DC_PAGE - 1) / DC_PAGE * DC_PAGE)

struct slot {
	uint64_t key, tag;
	uint32_t len;
	uint32_t next; /* of its chain: index + 1 */
	uint32_t gen;  /* counts what it has had */
	uint16_t pins;
	bool used, recent, trusted;
};

struct dcfile {
	struct rdev *dev;
	struct dc_super super;
	uint64_t data; /* where slot 0 is */
	struct slot *slot;
	uint32_t *heads; /* index + 1 */
	uint32_t heads_mask;
	uint32_t hand;
	bool broken;
	struct list keeping;
	unsigned nios, ios_max; /* each has the memory of a slot */

	/* The table's way to the disk, a page at a time. */
	bool *dirty; /* by page */
	uint32_t npages, ndirty, page_at;
	uint8_t *page;
	bool writing, closing;
	struct rdev_req req;
	struct iovec iov;
	struct loop_timer timer;
	bool idle; /* no request in flight */
};

struct keeping { /* an object on its way into a slot */
	struct list link; /* of f->keeping */
	uint64_t key;
	bool trusted;
	bool stale; /* the key is being written */
};

/* --- failure ---------------------------------------------------------------- */

static void
give_up(struct dcfile *f, int rc, const char *what)
{
	if (f->broken)
		return;
	f->broken = true;
	log_warn("disk cache %s: %s: %s; it is not used any more", f->dev->path,
	    what, strerror(-rc));
}

bool
dcfile_broken(const struct dcfile *f)
{
	return f->broken;
}

static void
check_idle(struct dcfile *f)
{
	f->idle = f->nios == 0 && !f->writing;
}

/* --- what is where ------------------------------------------------------------- */

static uint32_t *
head_of(const struct dcfile *f, uint64_t key)
{
	return &f->heads[key & f->heads_mask];
}

uint32_t
dcfile_find(const struct dcfile *f, uint64_t key)
{
	for (uint32_t i = *head_of(f, key); i; i = f->slot[i - 1].next)
		if (f->slot[i - 1].key == key)
			return i - 1;
	return DC_NONE;
}

static void
link_slot(struct dcfile *f, uint32_t i)
{
	uint32_t *head = head_of(f, f->slot[i].key);

	f->slot[i].used = true;
	f->slot[i].next = *head;
	*head = i + 1;
}

static void
note_dirty(struct dcfile *f, uint32_t i)
{
	uint32_t page = i / PER_PAGE;

	if (!f->dirty[page])
		f->ndirty++;
	f->dirty[page] = true;
	if (!f->closing && !f->writing && !loop_timer_armed(&f->timer))
		(void)loop_timer_set(f->dev->loop, &f->timer,
		    loop_now(f->dev->loop) + TABLE_NS);
}

void
dcfile_forget(struct dcfile *f, uint32_t i)
{
	struct slot *s = &f->slot[i];
	uint32_t *p = head_of(f, s->key);

	if (!s->used)
		return;
	while (*p != i + 1)
		p = &f->slot[*p - 1].next;
	*p = s->next;
	s->used = s->trusted = false;
	s->gen++;
	note_dirty(f, i);
}

bool
dcfile_trusted(const struct dcfile *f, uint32_t slot)
{
	return f->slot[slot].trusted;
}

void
dcfile_trust(struct dcfile *f, uint32_t slot)
{
	f->slot[slot].trusted = true;
}

uint64_t
dcfile_tag(const struct dcfile *f, uint32_t slot)
{
	return f->slot[slot].tag;
}

/* --- the table ------------------------------------------------------------------- */

static void write_table(struct dcfile *f);

static void
table_encode(struct dcfile *f, uint32_t page)
{
	memset(f->page, 0, DC_PAGE);
	for (uint32_t k = 0; k < PER_PAGE; k++) {
		uint32_t i = page * PER_PAGE + k;
		struct dc_entry x;

		if (i >= f->super.nslots || !f->slot[i].used)
			continue;
		x = (struct dc_entry){
		    f->slot[i].key, f->slot[i].tag, f->slot[i].len};
		dc_entry_encode(&x, f->page + k * DC_ENTRY);
	}
}

static void
page_written(struct rdev_req *r)
{
	struct dcfile *f = container_of(r, struct dcfile, req);

	f->writing = false;
	if (r->rc < 0)
		give_up(f, r->rc, "write");
	write_table(f);
	check_idle(f);
}

/* The next page that is not as it is on the disk. */
static void
write_table(struct dcfile *f)
{
	if (f->broken || f->ndirty == 0 || f->writing)
		return;
	while (!f->dirty[f->page_at])
		f->page_at = (f->page_at + 1) % f->npages;
	f->dirty[f->page_at] = false;
	f->ndirty--;
	table_encode(f, f->page_at);
	f->writing = true;
	f->idle = false;
	f->iov = (struct iovec){f->page, DC_PAGE};
	f->req = (struct rdev_req){.op = RDEV_WRITE,
	    .off = DC_PAGE + (uint64_t)f->page_at * DC_PAGE, .iov = &f->iov,
	    .niov = 1, .done = page_written};
	rdev_submit(f->dev, &f->req);
}

static void
table_due(struct loop_timer *t)
{
	write_table(container_of(t, struct dcfile, timer));
}

/* --- reading a slot ---------------------------------------------------------------- */

static uint64_t
slot_at(const struct dcfile *f, uint32_t i)
{
	return f->data + (uint64_t)i * f->super.slot_size;
}

static struct dcio *
io_new(struct dcfile *f, uint32_t slot, uint32_t len)
{
	struct dcio *io;
	void *mem;

	if (f->nios >= f->ios_max)
		return NULL;
	io = calloc(1, sizeof(*io));
	if (!io ||
	    posix_memalign(&mem, DC_PAGE, DC_PAGE + PAGE_UP(len)) != 0) {
		free(io);
		return NULL;
	}
	io->f = f;
	io->mem = mem;
	io->slot = slot;
	io->iov = (struct iovec){mem, DC_PAGE + PAGE_UP(len)};
	f->slot[slot].pins++;
	f->nios++;
	f->idle = false;
	return io;
}

void
dcio_free(struct dcio *io)
{
	struct dcfile *f;

	if (!io)
		return;
	f = io->f;
	f->slot[io->slot].pins--;
	f->nios--;
	check_idle(f);
	free(io->mem);
	free(io);
}

bool
dcio_current(const struct dcio *io)
{
	return io->f->slot[io->slot].used &&
	    io->f->slot[io->slot].gen == io->gen;
}

static void
io_submit(struct dcio *io, enum rdev_op op, void (*done)(struct rdev_req *r))
{
	io->req = (struct rdev_req){.op = op, .off = slot_at(io->f, io->slot),
	    .iov = &io->iov, .niov = 1, .done = done};
	rdev_submit(io->f->dev, &io->req);
}

static void
slot_read(struct rdev_req *r)
{
	struct dcio *io = container_of(r, struct dcio, req);
	struct dcfile *f = io->f;
	struct dc_head *h = &io->head;

	if (r->rc < 0)
		give_up(f, r->rc, "read");
	io->good = r->rc == 0 && dc_head_decode(h, io->mem) &&
	    memcmp(h->uuid, f->super.uuid, 16) == 0 &&
	    dc_hash(h->key) == io->key &&
	    h->len <= io->iov.iov_len - DC_PAGE &&
	    crc32c(0, io->mem + DC_PAGE, h->len) == h->crc;
	io->done(io);
}

struct dcio *
dcfile_read(struct dcfile *f, uint32_t slot, void (*done)(struct dcio *io),
    void *arg)
{
	struct slot *s = &f->slot[slot];
	struct dcio *io = f->broken ? NULL : io_new(f, slot, s->len);

	if (!io)
		return NULL;
	s->recent = true;
	io->gen = s->gen;
	io->key = s->key;
	io->done = done;
	io->arg = arg;
	io_submit(io, RDEV_READ, slot_read);
	return io;
}

/* --- writing one --------------------------------------------------------------------- */

/* The next slot that may be used for something else. */
static uint32_t
next_slot(struct dcfile *f)
{
	for (uint64_t n = 0; n < 2ull * f->super.nslots; n++) {
		uint32_t i = f->hand;
		struct slot *s = &f->slot[i];

		f->hand = (f->hand + 1) % f->super.nslots;
		if (s->pins == 0 && !(s->used && s->recent))
			return i;
		s->recent = false;
	}
	return DC_NONE;
}

static void
slot_written(struct rdev_req *r)
{
	struct dcio *io = container_of(r, struct dcio, req);
	struct keeping *k = io->arg;
	struct dcfile *f = io->f;
	struct slot *s = &f->slot[io->slot];

	if (r->rc < 0) {
		give_up(f, r->rc, "write");
	} else if (!f->broken && !k->stale) {
		uint32_t old = dcfile_find(f, io->key);

		if (old != DC_NONE)
			dcfile_forget(f, old);
		s->key = io->key;
		s->tag = dc_hash(io->head.tag);
		s->len = io->head.len;
		s->trusted = k->trusted;
		s->recent = false;
		s->gen++;
		link_slot(f, io->slot);
		note_dirty(f, io->slot);
	}
	list_del(&k->link);
	free(k);
	dcio_free(io);
}

void
dcfile_drop(struct dcfile *f, uint64_t key)
{
	uint32_t slot = dcfile_find(f, key);

	if (slot != DC_NONE)
		dcfile_forget(f, slot);
	list_for_each(l, &f->keeping)
	{
		struct keeping *k = list_entry(l, struct keeping, link);

		k->stale |= k->key == key;
	}
}

void
dcfile_keep(struct dcfile *f, const char *key, const char *tag,
    const struct meta *m, const void *bytes, uint32_t len, bool trusted)
{
	struct dc_head h = {.len = len, .key = key, .tag = tag};
	struct keeping *k;
	struct dcio *io;
	uint32_t i;

	if (f->broken || f->nios >= f->ios_max / 4 * 3 ||
	    len > f->super.slot_size - DC_PAGE)
		return;
	i = next_slot(f);
	k = i == DC_NONE ? NULL : malloc(sizeof(*k));
	io = k ? io_new(f, i, len) : NULL;
	if (!io) {
		free(k);
		return;
	}
	memcpy(h.uuid, f->super.uuid, 16);
	h.crc = crc32c(0, bytes, len);
	if (!dc_head_encode(&h, m, io->mem)) {
		free(k);
		dcio_free(io);
		return;
	}
	must(dc_head_decode(&io->head, io->mem));
	memcpy(io->mem + DC_PAGE, bytes, len);
	memset(io->mem + DC_PAGE + len, 0, PAGE_UP(len) - len);
	io->key = dc_hash(key);
	*k = (struct keeping){.key = io->key, .trusted = trusted};
	list_init(&k->link);
	list_push_back(&f->keeping, &k->link);
	io->arg = k;
	dcfile_forget(f, i); /* what it has is overwritten */
	io_submit(io, RDEV_WRITE, slot_written);
}

/* --- opening and closing --------------------------------------------------------------- */

/* What fits into n bytes. */
static void
lay_out(struct dcfile *f, uint64_t n)
{
	uint64_t per = f->super.slot_size + DC_ENTRY;
	uint64_t nslots = n < 2 * DC_PAGE ? 0 : (n - 2 * DC_PAGE) / per;

	if (nslots > UINT32_MAX / 2)
		nslots = UINT32_MAX / 2;
	f->super.nslots = (uint32_t)nslots;
	f->npages = (f->super.nslots + PER_PAGE - 1) / PER_PAGE;
	f->data = DC_PAGE + (uint64_t)f->npages * DC_PAGE;
}

/* Which slots have what.  A name that is there twice counts once. */
static int
read_table(struct dcfile *f, struct err *e)
{
	for (uint32_t p = 0; p < f->npages; p++) {
		int rc = rdev_wait(f->dev, RDEV_READ,
		    DC_PAGE + (uint64_t)p * DC_PAGE, f->page, DC_PAGE, e);

		if (rc < 0)
			return rc;
		for (uint32_t k = 0; k < PER_PAGE; k++) {
			uint32_t i = p * PER_PAGE + k;
			struct dc_entry x;

			if (i >= f->super.nslots ||
			    !dc_entry_decode(&x, f->page + k * DC_ENTRY) ||
			    x.len > f->super.slot_size - DC_PAGE ||
			    dcfile_find(f, x.key) != DC_NONE)
				continue;
			f->slot[i].key = x.key;
			f->slot[i].tag = x.tag;
			f->slot[i].len = x.len;
			link_slot(f, i);
		}
	}
	return 0;
}

/* Of whom is what is there?  0: ours; 1: to begin afresh. */
static int
check_super(struct dcfile *f, struct err *e)
{
	struct dc_super s;
	int rc = rdev_wait(f->dev, RDEV_READ, 0, f->page, DC_PAGE, e);

	if (rc < 0)
		return rc;
	rc = dc_super_decode(&s, f->page);
	if (rc == -EINVAL)
		return err_set(e, rc,
		    "disk cache %s: holds something else; name a file that "
		    "does not exist yet", f->dev->path);
	if (rc < 0)
		return 1;
	if (memcmp(s.uuid, f->super.uuid, 16) != 0)
		log_info("disk cache %s: was another volume's; it begins "
			 "afresh", f->dev->path);
	else if (s.slot_size == f->super.slot_size &&
	    s.nslots == f->super.nslots)
		return 0;
	return 1;
}

/* The table first: with the old superblock it is of no use to anybody. */
static int
format(struct dcfile *f, struct err *e)
{
	int rc = 0;

	memset(f->page, 0, DC_PAGE);
	for (uint32_t p = 0; rc == 0 && p < f->npages; p++)
		rc = rdev_wait(f->dev, RDEV_WRITE,
		    DC_PAGE + (uint64_t)p * DC_PAGE, f->page, DC_PAGE, e);
	if (rc < 0)
		return rc;
	dc_super_encode(&f->super, f->page);
	return rdev_wait(f->dev, RDEV_WRITE, 0, f->page, DC_PAGE, e);
}

static void
dcfile_free(struct dcfile *f)
{
	free(f->slot);
	free(f->heads);
	free(f->dirty);
	free(f->page);
	free(f);
}

static int
make_memory(struct dcfile *f)
{
	uint32_t n = 1;
	void *page;

	while (n < f->super.nslots)
		n *= 2;
	f->heads_mask = n - 1;
	f->slot = calloc(f->super.nslots, sizeof(f->slot[0]));
	f->heads = calloc(n, sizeof(f->heads[0]));
	f->dirty = calloc(f->npages, sizeof(f->dirty[0]));
	if (!f->slot || !f->heads || !f->dirty ||
	    posix_memalign(&page, DC_PAGE, DC_PAGE) != 0)
		return -ENOMEM;
	f->page = page;
	return 0;
}

int
dcfile_open(struct rdev *d, const uint8_t uuid[16], uint32_t block_size,
    struct dcfile **out, struct err *e)
{
	struct dcfile *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return err_errno(e, -ENOMEM, "disk cache %s", d->path);
	f->dev = d;
	f->idle = true;
	list_init(&f->keeping);
	f->timer.fire = table_due;
	memcpy(f->super.uuid, uuid, 16);
	/* An encoded block may be a little longer. */
	f->super.slot_size = DC_PAGE + PAGE_UP(block_size) + DC_PAGE;
	f->ios_max = 8 + MEMORY / f->super.slot_size;
	lay_out(f, d->bytes);
	if (f->super.nslots < SLOTS_MIN) {
		rc = err_set(e, -ENOSPC,
		    "disk cache %s: %llu bytes are too few for blocks of %u",
		    d->path, (unsigned long long)d->bytes, block_size);
	} else {
		rc = make_memory(f);
		if (rc < 0)
			err_errno(e, rc, "disk cache %s", d->path);
	}
	if (rc == 0)
		rc = check_super(f, e);
	if (rc == 1)
		rc = format(f, e);
	else if (rc == 0)
		rc = read_table(f, e);
	if (rc < 0) {
		dcfile_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void
dcfile_close(struct dcfile *f)
{
	f->closing = true;
	loop_timer_cancel(&f->timer);
	do {
		write_table(f);
		check_idle(f);
		if (!f->idle && loop_run_until(f->dev->loop, &f->idle) < 0)
			break;
	} while (f->ndirty > 0 && !f->broken);
	rdev_close(f->dev);
	dcfile_free(f);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Intrusive doubly linked list, circular, with a head that is no element.
 * Nothing is owned.  An element that is on no list may be list_init'ed, so
 * that list_del and list_linked work on it.
 */
struct list {
	struct list *next, *prev;
};

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline bool
list_linked(const struct list *e)
{
	return e->next != e;
}

static inline void
list_insert_after(struct list *at, struct list *e)
{
	e->next = at->next;
	e->prev = at;
	at->next->prev = e;
	at->next = e;
}

static inline void
list_push_front(struct list *l, struct list *e)
{
	list_insert_after(l, e);
}

static inline void
list_push_back(struct list *l, struct list *e)
{
	list_insert_after(l->prev, e);
}

/* Take e off its list; it is then on none, and may be taken off again. */
static inline void
list_del(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

/* The first element, taken off; NULL if there is none. */
static inline struct list *
list_pop_front(struct list *l)
{
	struct list *e = l->next;

	if (e == l)
		return NULL;
	list_del(e);
	return e;
}

/* Move all of from to the end of to. */
static inline void
list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(e, type, member) container_of(e, type, member)
#define list_for_each(e, l) \
	for (struct list *e = (l)->next; e != (l); e = e->next)
/* e may be taken off the list inside the loop. */
#define list_for_each_safe(e, l) \
	for (struct list *e = (l)->next, *e##_next = e->next; e != (l); \
	     e = e##_next, e##_next = e->next)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_STORE_CONTRACT_H
#define TESTS_STORE_CONTRACT_H

#include <stdbool.h>

/*
 * The contract of store.h as tests, for any store or stack of filters.
 * What the store's info does not promise is tested for being refused.
 */
struct err;
struct loop;
struct store;

struct contract {
	const char *name; /* of the group of tests */
	/* Open a store on l.  Called several times, also while others are
	 * open: all of them see the same objects.  Unless exclusive: then it is
	 * refused with -EBUSY as long as another is open. */
	int (*open)(struct loop *l, void *arg, struct store **out,
	    struct err *e);
	void *arg;
	/* Begins every key; all objects under it are removed before each
	 * test. */
	const char *prefix;
	bool exclusive; /* what is open has one owner */
	bool virtual_time;
	/* Each request takes long: do fewer. */
	bool slow;
};

/* The number of failed tests, as cmocka counts. */
int contract_run(const struct contract *c);

#endif

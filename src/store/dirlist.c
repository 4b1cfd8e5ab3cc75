/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of a listing of a directory store.
 *
 * The tree is walked in the order of keys (dirfmt.c), depth first, from where
 * the page begins: of each directory all names are read, those that cannot
 * lead to a key of the page are dropped, the rest is sorted.  A page thus reads
 * a few directories, whatever the size of the store, and as many inodes as it
 * shows.
 *
 * Names that the store did not write are passed over.  What others remove
 * during the walk is not shown; W4 holds, since what is there is read after
 * submit.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/dir.h"
#include "store/dirfmt.h"
#include "store/store.h"

#define PAGE_DEFAULT 1000

struct name {
	char chunk[DIR_CHUNK_MAX + 1];
	uint8_t len;
	bool is_dir;
};

struct names {
	struct name *v;
	size_t n, cap;
};

struct walk {
	struct dir_root *d;
	struct store_req *r;
	size_t prefix_len;
	unsigned max;
	char key[STORE_KEY_MAX + 1]; /* where the walk is */
};

/* May w->key be shown? */
static bool
wants_key(const struct walk *w)
{
	const struct store_req *r = w->r;

	return strncmp(w->key, r->prefix, w->prefix_len) == 0 &&
	    (r->start_after == NULL || strcmp(w->key, r->start_after) > 0) &&
	    (r->end_before == NULL || strcmp(w->key, r->end_before) < 0);
}

/* May a longer key that begins with w->key, which has len bytes? */
static bool
wants_below(const struct walk *w, size_t len)
{
	const struct store_req *r = w->r;
	size_t n = len < w->prefix_len ? len : w->prefix_len;

	if (strncmp(w->key, r->prefix, n) != 0)
		return false;
	if (r->start_after != NULL && strncmp(w->key, r->start_after, len) < 0)
		return false;
	return r->end_before == NULL || strcmp(w->key, r->end_before) < 0;
}

static int
name_order(const void *va, const void *vb)
{
	const struct name *a = va, *b = vb;
	int c = strcmp(a->chunk, b->chunk);

	return c != 0 ? c : (int)a->is_dir - (int)b->is_dir;
}

static int
names_add(struct names *s, const struct name *n)
{
	if (s->n == s->cap) {
		size_t cap = s->cap != 0 ? s->cap * 2 : 64;
		struct name *v = realloc(s->v, cap * sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *n;
	return 0;
}

/* Read the names in a directory that matter, in order. */
static int
names_read(struct walk *w, DIR *dir, size_t klen, struct dir_cut cut,
    struct names *s)
{
	struct dirent *ent;
	int rc = 0;

	while (rc == 0 && (errno = 0, ent = readdir(dir)) != NULL) {
		struct dir_cut c = cut;
		struct name n;
		size_t len;

		if (dir_name_decode(ent->d_name, n.chunk, &len, &n.is_dir) < 0 ||
		    klen + len > STORE_KEY_MAX ||
		    !dir_cut_pass(&c, n.chunk, len, n.is_dir))
			continue;
		memcpy(w->key + klen, n.chunk, len + 1);
		if (n.is_dir ? !wants_below(w, klen + len) : !wants_key(w))
			continue;
		n.len = (uint8_t)len;
		rc = names_add(s, &n);
	}
	if (rc == 0 && errno != 0)
		rc = -errno;
	if (rc == 0 && s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), name_order);
	return rc;
}

/* Show the object w->key, a file of directory fd; 1: the page is full. */
static int
walk_file(struct walk *w, int fd, const char *name, size_t klen)
{
	struct store_page *page = &w->r->page;
	struct store_entry *ent;
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < DIR_TRAILER)
		return 0;
	if (page->n == w->max) {
		page->more = true;
		return 1;
	}
	ent = store_page_add(page, w->key, klen);
	if (ent == NULL)
		return -ENOMEM;
	ent->size = (uint64_t)st.st_size - DIR_TRAILER;
	ent->mtime_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_S +
	    st.st_mtim.tv_nsec;
	return 0;
}

/* The directory name in directory fd, whose keys begin with the klen bytes at
 * w->key.  It stays open meanwhile: lookups are relative to it.  1: the page is
 * full. */
static int
walk_dir(struct walk *w, int above, const char *in, size_t klen,
    struct dir_cut cut)
{
	int fd = openat(above, in, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct names s = {0};

	if (dir == NULL) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc == -ENOENT && klen > 0 ? 0 : rc;
	}
	rc = names_read(w, dir, klen, cut, &s);
	for (size_t i = 0; rc == 0 && i < s.n; i++) {
		const struct name *n = &s.v[i];
		char name[DIR_NAME_MAX];
		struct dir_cut c = cut;

		dir_name_encode(name, n->chunk, n->len, n->is_dir);
		memcpy(w->key + klen, n->chunk, (size_t)n->len + 1);
		dir_cut_pass(&c, n->chunk, n->len, n->is_dir);
		rc = n->is_dir ? walk_dir(w, fd, name, klen + n->len, c)
			       : walk_file(w, fd, name, klen + n->len);
	}
	free(s.v);
	closedir(dir);
	return rc;
}

int
dir_list(struct dir_root *d, struct store_req *r)
{
	struct walk *w = malloc(sizeof(*w));
	struct stat st;
	int rc = -ENOMEM;

	/* Removed under our feet: that is no empty store. */
	if (fstat(d->objects, &st) < 0 || st.st_nlink == 0) {
		free(w);
		return dir_fail(d, r, -ESTALE, "list", "objects");
	}
	if (w != NULL) {
		w->d = d;
		w->r = r;
		w->prefix_len = strlen(r->prefix);
		w->max = PAGE_DEFAULT;
		if (r->max_keys != 0 && r->max_keys < w->max)
			w->max = r->max_keys;
		w->key[0] = '\0';
		rc = walk_dir(w, d->objects, ".", 0, (struct dir_cut){0});
		free(w);
	}
	if (rc >= 0)
		return 0;
	store_page_fini(&r->page);
	return dir_fail(d, r, rc, "list", "objects");
}

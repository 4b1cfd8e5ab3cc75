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
	/* Where the walk is: the key so far, and the path for it. */
	char key[STORE_KEY_MAX + 1];
	char path[DIR_PATH_MAX];
};

/* w->key with n bytes of a chunk after its first len: may it be shown? */
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

/* Read the names in the directory at w->path that matter, in order. */
static int
names_read(struct walk *w, size_t klen, struct dir_cut cut, struct names *s)
{
	const char *path = w->path[0] != '\0' ? w->path : ".";
	struct dirent *ent;
	int fd, rc = 0;
	DIR *dir;

	fd = openat(w->d->objects, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && klen > 0 ? 0 : -errno;
	dir = fdopendir(fd);
	if (dir == NULL) {
		rc = -errno;
		close(fd);
		return rc;
	}
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
	closedir(dir);
	if (rc == 0 && s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), name_order);
	return rc;
}

/* Show the object at w->key, w->path; 1: the page is full. */
static int
walk_file(struct walk *w, size_t klen)
{
	struct store_page *page = &w->r->page;
	struct store_entry *ent;
	struct stat st;

	if (fstatat(w->d->objects, w->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
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

/* The directory at w->path (plen bytes), whose keys begin with the klen bytes
 * at w->key.  1: the page is full. */
static int
walk_dir(struct walk *w, size_t klen, size_t plen, struct dir_cut cut)
{
	struct names s = {0};
	int rc = names_read(w, klen, cut, &s);

	for (size_t i = 0; rc == 0 && i < s.n; i++) {
		const struct name *n = &s.v[i];
		size_t p = plen;
		struct dir_cut c = cut;

		if (plen + DIR_NAME_MAX + 1 > sizeof(w->path))
			continue; /* nobody could have written there */
		if (plen > 0)
			w->path[p++] = '/';
		p += dir_name_encode(w->path + p, n->chunk, n->len, n->is_dir);
		memcpy(w->key + klen, n->chunk, (size_t)n->len + 1);
		if (!n->is_dir) {
			rc = walk_file(w, klen + n->len);
			continue;
		}
		dir_cut_pass(&c, n->chunk, n->len, true);
		rc = walk_dir(w, klen + n->len, p, c);
	}
	free(s.v);
	w->path[plen] = '\0';
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
		w->key[0] = w->path[0] = '\0';
		rc = walk_dir(w, 0, 0, (struct dir_cut){0});
		free(w);
	}
	if (rc >= 0)
		return 0;
	store_page_fini(&r->page);
	return dir_fail(d, r, rc, "list", "objects");
}

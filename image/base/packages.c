/* SPDX-License-Identifier: MIT */
#include "image/base/packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/md5.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/tree_file.h"
#include "image/index.h"

/* Components and links of one path: this much stack a malformed database may cost. */
enum { RESOLVE_DEPTH = 128 };

/* With fewer files than that it is not known if times of change mean anything. */
enum { SAMPLES_MIN = 32, READ_DIR_MAX = 1 << 20 };

/* ns: how far two times of one moment may be apart. */
#define ROUNDING ((int64_t)2000000000)

static const struct package_kind *const kinds[] = {&package_kind_dpkg};

const struct package_kind *packages_kind(int root)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (tree_look(root, kinds[i]->probe, TREE_INSIDE, &st) == 0)
			return kinds[i];
	return NULL;
}

int packages_slurp(int root, const char *path, size_t max, struct buffer *out)
{
	struct stat st;
	AUTO_CLOSE int fd = tree_open(root, path, TREE_INSIDE, &st);

	out->len = 0;
	if (fd < 0)
		return fd;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return -EFBIG;
	return read_whole(fd, max, out);
}

bool packages_parse_md5(const char *text, size_t len, uint8_t out[PACKAGES_MD5])
{
	if (len != 2 * (size_t)PACKAGES_MD5)
		return false;
	for (size_t i = 0; i < PACKAGES_MD5; i++) {
		int byte = hex_byte(text + 2 * i);

		if (byte < 0)
			return false;
		out[i] = (uint8_t)byte;
	}
	return true;
}

bool packages_has_md5(const struct buffer *bytes, const uint8_t md5[PACKAGES_MD5])
{
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx ctx;

	md5_init(&ctx);
	md5_update(&ctx, bytes->len, (const uint8_t *)bytes->data);
	md5_digest(&ctx, sizeof(digest), digest);
	return memcmp(digest, md5, sizeof(digest)) == 0;
}

static int compare_paths(const void *a, const void *b)
{
	const struct package_conffile *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int compare_conffiles(const void *a, const void *b)
{
	const struct package_conffile *x = a, *y = b;
	int r = compare_paths(a, b);

	return r ? r : x->made - y->made;
}

/* Of several for one path the first. */
static void sort_conffiles(struct packages *p)
{
	size_t n = 0;

	if (p->n_conffiles)
		qsort(p->conffiles, p->n_conffiles, sizeof(*p->conffiles), compare_conffiles);
	for (size_t i = 0; i < p->n_conffiles; i++) {
		if (n > 0 && strcmp(p->conffiles[n - 1].path, p->conffiles[i].path) == 0)
			free(p->conffiles[i].path);
		else
			p->conffiles[n++] = p->conffiles[i];
	}
	p->n_conffiles = n;
}

int packages_read(int root, struct packages **out)
{
	const struct package_kind *kind = packages_kind(root);
	struct packages *p;
	int r;

	if (!kind)
		return -ENOENT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->kind = kind;
	p->root = root;
	p->sums = calloc(1, sizeof(*p->sums));
	if (p->sums)
		p->sums->package = PACKAGES_NOBODY;
	r = p->sums ? kind->read(p) : -ENOMEM;
	if (r < 0) {
		packages_free(p);
		return r;
	}
	sort_conffiles(p);
	*out = p;
	return 0;
}

static void table_fini(const struct package_table *t)
{
	free(t->text.data);
	free(t->slots);
}

static uint32_t hash(const char *s, size_t len)
{
	return (uint32_t)index_checksum(s, len);
}

static const char *table_key(const struct package_table *t, const struct package_slot *slot)
{
	return t->text.data + slot->key - 1;
}

static bool slot_has(const struct package_table *t, const struct package_slot *slot, uint32_t h,
		     const char *key, size_t len)
{
	return slot->hash == h && strncmp(table_key(t, slot), key, len) == 0 &&
	       table_key(t, slot)[len] == '\0';
}

/* The slot of that key, or the free one where it belongs. There must be slots. */
static struct package_slot *table_slot(const struct package_table *t, uint32_t h, const char *key,
				       size_t len)
{
	size_t i = h & (t->n_slots - 1);

	while (t->slots[i].key && !slot_has(t, &t->slots[i], h, key, len))
		i = (i + 1) & (t->n_slots - 1);
	return &t->slots[i];
}

/* NULL: it is not there. */
static struct package_slot *table_find(const struct package_table *t, const char *key, size_t len)
{
	struct package_slot *slot = t->n_slots ? table_slot(t, hash(key, len), key, len) : NULL;

	return slot && slot->key ? slot : NULL;
}

static int table_grow(struct package_table *t)
{
	size_t n = t->n_slots ? 2 * t->n_slots : 1 << 14;
	struct package_slot *slots;

	if (t->n + 1 <= t->n_slots / 4 * 3)
		return 0;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_slots; i++) {
		size_t k = t->slots[i].hash;

		if (!t->slots[i].key)
			continue;
		while (slots[k & (n - 1)].key)
			k++;
		slots[k & (n - 1)] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	return 0;
}

/* Into *out the slot of that key. 1: it is new, its value 0. The next call may move it. */
static int table_add(struct package_table *t, const char *key, size_t len,
		     struct package_slot **out)
{
	const uint32_t h = hash(key, len);
	int r = table_grow(t);

	if (r < 0)
		return r;
	*out = table_slot(t, h, key, len);
	if ((*out)->key)
		return 0;
	r = t->text.len > UINT32_MAX / 2 ? -EFBIG : buffer_reserve(&t->text, len + 1);
	if (r < 0)
		return r;
	**out = (struct package_slot){.key = (uint32_t)t->text.len + 1, .hash = h};
	(void)buffer_add(&t->text, key, len);
	(void)buffer_add(&t->text, "", 1);
	t->n++;
	return 1;
}

static void package_fini(const struct package *package)
{
	free(package->name);
	free(package->version);
	free(package->arch);
	free(package->file);
}

void packages_free(struct packages *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		package_fini(&p->list[i]);
	for (size_t i = 0; i < p->n_conffiles; i++)
		free(p->conffiles[i].path);
	for (size_t i = 0; i < p->n_diversions; i++) {
		free(p->diversions[i].from);
		free(p->diversions[i].to);
	}
	free(p->list);
	free(p->conffiles);
	free(p->diversions);
	if (p->sums)
		free(p->sums->text.data);
	free(p->sums);
	table_fini(&p->owners);
	table_fini(&p->dirs);
	free(p);
}

/* Room for one more in an array that doubles. */
static int grow(void **array, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *p;

	if (n < *room)
		return 0;
	p = reallocarray(*array, more, size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*room = more;
	return 0;
}

int packages_add(struct packages *p, const struct package *package)
{
	void *list = p->list;

	if (!package->name || !package->version || !package->arch || !package->file ||
	    grow(&list, p->n, &p->room, sizeof(*p->list)) < 0) {
		package_fini(package);
		return -ENOMEM;
	}
	p->list = list;
	p->list[p->n++] = *package;
	return 0;
}

/* What a directory seen before resolves to. */
static const char *dir_resolved(const struct packages *p, const struct package_slot *dir)
{
	const char *spelt = table_key(&p->dirs, dir);

	return spelt + strlen(spelt) + 1;
}

static int dir_note(struct packages *p, const char *dir, size_t len, const char *resolved)
{
	struct package_slot *slot;
	int r = table_add(&p->dirs, dir, len, &slot);

	return r > 0 ? buffer_add(&p->dirs.text, resolved, strlen(resolved) + 1) : r;
}

static int resolve(struct packages *p, const char *dir, size_t len, unsigned int depth, char *out);

/* What the link at `path` (absolute, its directories resolved) leads to, resolved. */
static int resolve_link(struct packages *p, const char *path, const char *target,
			unsigned int depth, char *out)
{
	char joined[2 * PATH_MAX];
	size_t up = (size_t)(strrchr(path, '/') - path);
	int n = target[0] == '/'
			? snprintf(joined, sizeof(joined), "%s", target)
			: snprintf(joined, sizeof(joined), "%.*s/%s", (int)up, path, target);

	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	return resolve(p, joined, (size_t)n, depth + 1, out);
}

/*
 * An absolute directory with its links resolved below root, into out[PATH_MAX];
 * "" for the root. Components that do not exist stay as they are.
 */
static int resolve(struct packages *p, const char *dir, size_t len, unsigned int depth, char *out)
{
	const struct package_slot *known;
	char target[PATH_MAX];
	size_t name, n;
	ssize_t got;
	int r;

	while (len > 0 && dir[len - 1] == '/')
		len--;
	if (len == 0) {
		out[0] = '\0';
		return 0;
	}
	known = table_find(&p->dirs, dir, len);
	if (known) {
		memcpy(out, dir_resolved(p, known), strlen(dir_resolved(p, known)) + 1);
		return 0;
	}
	if (depth > RESOLVE_DEPTH || len >= PATH_MAX)
		return -ELOOP;
	for (name = len; name > 0 && dir[name - 1] != '/'; name--)
		;
	if (name == 0)
		return -EBADMSG;
	r = resolve(p, dir, name - 1, depth + 1, out);
	if (r < 0)
		return r;
	n = strlen(out);
	if (len - name == 2 && memcmp(dir + name, "..", 2) == 0) {
		/* The root's parent is the root. */
		*(n ? strrchr(out, '/') : out) = '\0';
	} else if (len - name != 1 || dir[name] != '.') {
		if (n + 1 + len - name >= PATH_MAX)
			return -ENAMETOOLONG;
		out[n] = '/';
		memcpy(out + n + 1, dir + name, len - name);
		out[n + 1 + len - name] = '\0';
		got = readlinkat(p->root, out + 1, target, sizeof(target) - 1);
		if (got > 0) {
			target[got] = '\0';
			r = resolve_link(p, out, target, depth, out);
			if (r < 0)
				return r;
		}
	}
	return dir_note(p, dir, len, out);
}

/*
 * Resolves the directories of a path; the last component is taken as it is. Into
 * *dir what is known of its directory; NULL: nothing.
 */
static int resolve_path(struct packages *p, const char *path, size_t len, char *out,
			struct package_slot **dir)
{
	size_t name = len, n;
	int r;

	if (len < 2 || len >= PATH_MAX || path[0] != '/' || memchr(path, '\0', len))
		return -EBADMSG;
	while (path[name - 1] != '/')
		name--;
	r = name == len ? -EBADMSG : resolve(p, path, name - 1, 0, out);
	if (r < 0)
		return r;
	n = strlen(out);
	if (n + 1 + len - name >= PATH_MAX)
		return -ENAMETOOLONG;
	out[n] = '/';
	memcpy(out + n + 1, path + name, len - name);
	out[n + 1 + len - name] = '\0';
	*dir = table_find(&p->dirs, path, name - 1);
	return 0;
}

int packages_own(struct packages *p, uint32_t package, const char *path, size_t len)
{
	char real[PATH_MAX];
	struct package_slot *dir, *owner;
	size_t n;
	int r = resolve_path(p, path, len, real, &dir);

	/* A path that leads nowhere is owned by nobody. */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	/*
	 * The directories above as well: they were listed by the names that their
	 * links have (/lib64 for /usr/lib64).
	 */
	n = strlen(real);
	do {
		r = table_add(&p->owners, real, n, &owner);
		if (r > 0)
			owner->value = package;
		while (r > 0 && real[--n] != '/')
			;
	} while (r > 0 && n > 0 && !(dir && dir->value));
	if (r < 0)
		return r;
	if (dir)
		dir->value = true;
	return 0;
}

int packages_add_conffile(struct packages *p, uint32_t package, const char *path, size_t len,
			  const uint8_t md5[PACKAGES_MD5], bool made)
{
	char real[PATH_MAX];
	struct package_conffile *c;
	struct package_slot *dir;
	void *list = p->conffiles;
	int r = resolve_path(p, path, len, real, &dir);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	r = grow(&list, p->n_conffiles, &p->room_conffiles, sizeof(*c));
	if (r < 0)
		return r;
	p->conffiles = list;
	c = &p->conffiles[p->n_conffiles];
	c->path = strdup(real);
	if (!c->path)
		return -ENOMEM;
	memcpy(c->md5, md5, sizeof(c->md5));
	c->package = package;
	c->made = made;
	p->n_conffiles++;
	return 0;
}

const struct package *packages_owner(const struct packages *p, const char *path)
{
	const struct package_slot *owner = table_find(&p->owners, path, strlen(path));

	return owner && owner->value != PACKAGES_NOBODY ? &p->list[owner->value] : NULL;
}

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

enum packages_verdict packages_judge(const struct packages *p, const struct package *owner,
				     const char *path, const struct stat *st,
				     uint8_t md5[PACKAGES_MD5])
{
	bool by_change = p->sampled >= SAMPLES_MIN && p->sampled_older >= p->sampled / 8 * 7;
	int64_t late = nanoseconds(&st->st_mtim) - owner->installed;
	int64_t changed = by_change ? nanoseconds(&st->st_ctim) - owner->noted : 0;

	if (late <= 0 && changed <= 0)
		return PACKAGES_SAME;
	if (p->kind->md5(p, (uint32_t)(owner - p->list), path, md5) == 0)
		return PACKAGES_COMPARE;
	/* Nothing to compare with: file systems, and what restores them, round times. */
	return late > ROUNDING || changed > ROUNDING ? PACKAGES_CHANGED : PACKAGES_SAME;
}

void packages_sample(struct packages *p, const char *path, size_t len)
{
	char name[PATH_MAX];
	struct stat st;

	if (len < 2 || len >= sizeof(name))
		return;
	memcpy(name, path, len);
	name[len] = '\0';
	if (tree_look(p->root, name + 1, TREE_INSIDE_BUT_LAST, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	p->sampled++;
	p->sampled_older += nanoseconds(&st.st_ctim) <= p->list[p->n - 1].noted;
}

int packages_divert(struct packages *p, struct slice from, struct slice to, uint32_t by)
{
	char real_from[PATH_MAX], real_to[PATH_MAX];
	struct package_slot *dir, *owner;
	struct package_diversion *d;
	void *list = p->diversions;
	uint32_t was;
	int r = resolve_path(p, from.p, from.len, real_from, &dir);

	if (r == 0)
		r = resolve_path(p, to.p, to.len, real_to, &dir);
	owner = r == 0 ? table_find(&p->owners, real_from, strlen(real_from)) : NULL;
	if (!owner || owner->value == PACKAGES_NOBODY)
		return r == -ENOMEM ? r : 0;
	was = owner->value;
	owner->value = by;
	r = grow(&list, p->n_diversions, &p->room_diversions, sizeof(*d));
	if (r < 0)
		return r;
	p->diversions = list;
	d = &p->diversions[p->n_diversions++];
	*d = (struct package_diversion){strdup(real_from), strdup(real_to)};
	if (!d->from || !d->to)
		return -ENOMEM;
	return packages_own(p, was, to.p, to.len);
}

const char *packages_undiverted(const struct packages *p, const char *path)
{
	for (size_t i = 0; i < p->n_diversions; i++)
		if (strcmp(p->diversions[i].to, path) == 0)
			return p->diversions[i].from;
	return path;
}

bool packages_is_spelling(const struct packages *p, struct slice spelt, const char *path)
{
	const char *last = strrchr(path, '/') + 1, *up;
	const struct package_slot *dir;
	size_t n = strlen(last), above;
	char name[PATH_MAX];

	/* Most are told by their last component. */
	if (spelt.len + 1 >= sizeof(name) || spelt.len < n || spelt.p[spelt.len - n] != *last ||
	    memcmp(spelt.p + spelt.len - n, last, n) != 0)
		return false;
	if (slice_is(spelt, path + 1))
		return true;
	above = spelt.len - n;
	if (above == 0 || spelt.p[above - 1] != '/')
		return false;
	name[0] = '/';
	memcpy(name + 1, spelt.p, above);
	dir = table_find(&p->dirs, name, above);
	up = dir ? dir_resolved(p, dir) : "";
	return dir && strlen(up) == (size_t)(last - 1 - path) && memcmp(up, path, strlen(up)) == 0;
}

const struct package_conffile *packages_conffile(const struct packages *p, const char *path)
{
	/* Only compared by. NOLINTNEXTLINE(clang-diagnostic-cast-qual) */
	struct package_conffile key = {.path = (char *)(uintptr_t)path};

	return p->n_conffiles
		       ? bsearch(&key, p->conffiles, p->n_conffiles, sizeof(key), compare_paths)
		       : NULL;
}

int packages_slurp_vouched(const struct packages *p, const char *path, size_t max,
			   struct buffer *out)
{
	const struct package *owner = packages_owner(p, path);
	enum packages_verdict verdict;
	uint8_t md5[PACKAGES_MD5];
	struct stat st;
	int r;

	if (!owner || tree_look(p->root, path + 1, TREE_INSIDE_BUT_LAST, &st) < 0)
		return -ENOENT;
	r = packages_slurp(p->root, path + 1, max, out);
	if (r < 0)
		return r;
	verdict = packages_judge(p, owner, path, &st, md5);
	return verdict == PACKAGES_SAME ||
			       (verdict == PACKAGES_COMPARE && packages_has_md5(out, md5))
		       ? 0
		       : -ENOENT;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), more = strlen(suffix);

	return n > more && strcmp(name + n - more, suffix) == 0;
}

int packages_read_dir(const struct packages *p, const char *dir, const char *suffix,
		      struct package_reader *reader)
{
	AUTO_CLOSE int fd = tree_open_dir(p->root, dir, TREE_INSIDE);
	struct buffer text = {NULL, 0, 0};
	struct dirent **names = NULL;
	char path[PATH_MAX];
	int n = fd < 0 ? 0 : scandirat(fd, ".", &names, NULL, compare_names), r = 0;

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		if (r == 0 && has_suffix(name, suffix) &&
		    (size_t)snprintf(path, sizeof(path), "/%s/%s", dir, name) < sizeof(path) &&
		    packages_slurp_vouched(p, path, READ_DIR_MAX, &text) == 0)
			r = reader->read(reader, text.data, text.len);
		free(names[i]);
	}
	free(names);
	free(text.data);
	return r;
}

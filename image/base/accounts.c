/* SPDX-License-Identifier: MIT */
#include "image/base/accounts.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	SYSTEM_ID_END = 1000, /* people's numbers begin here, on every distribution of note */
	NOBODY = 65534,
	FILE_LIMIT = 1 << 20,
	MAX_ACCOUNTS = 8192,
	FIELDS = 8, /* one more than a line of either file has */
};

#define MASTERS "usr/share/base-passwd/"

static const char minimal_passwd[] = "root:x:0:0::/root:/bin/sh\n"
				     "nobody:x:65534:65534::/nonexistent:/bin/false\n";
static const char minimal_group[] = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";

static struct account *find_name(const struct account_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->list[i].name, name) == 0)
			return &l->list[i];
	return NULL;
}

static bool is_free(const struct account_list *l, uint32_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].id == id)
			return false;
	return true;
}

/* *out is NULL if there are too many. The strings are copied; NULL is none. */
static int add(struct account_list *l, const struct account *from, struct account **out)
{
	struct account *list, *a;

	*out = NULL;
	if (l->n == MAX_ACCOUNTS)
		return 0;
	list = reallocarray(l->list, l->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	l->list = list;
	a = &list[l->n];
	*a = (struct account){
		.name = strdup(from->name),
		.id = from->id,
		.gid = from->gid,
		.home = from->home ? strdup(from->home) : NULL,
		.shell = from->shell ? strdup(from->shell) : NULL,
	};
	l->n++;
	*out = a;
	return a->name && (a->home || !from->home) && (a->shell || !from->shell) ? 0 : -ENOMEM;
}

static int replace(char **field, const char *value)
{
	char *s = strdup(value);

	if (!s)
		return -ENOMEM;
	free(*field);
	*field = s;
	return 0;
}

/* --- passwd(5) and group(5) ---------------------------------------------------------------- */

static bool parse_number(const char *s, uint32_t *out)
{
	char *end;
	unsigned long id = strtoul(s, &end, 10);

	*out = (uint32_t)id;
	return end != s && *end == '\0' && (id < SYSTEM_ID_END || id == NOBODY);
}

/* A line, cut at its colons in place; its strings are borrowed. */
static bool parse_line(char *line, bool users, struct account *out)
{
	char *field[FIELDS] = {NULL};
	unsigned int n = 0;
	char *end;

	for (char *p = line; p && n < FIELDS; n++)
		field[n] = strsep(&p, ":");
	if (n != (users ? 7 : 4) || !field[0][0] || field[0][0] == '+' || field[0][0] == '-')
		return false;
	*out = (struct account){.name = field[0]};
	if (!parse_number(field[2], &out->id))
		return false;
	if (!users)
		return true;
	out->gid = (uint32_t)strtoul(field[3], &end, 10);
	out->home = field[5];
	out->shell = field[6];
	return *end == '\0' && end != field[3];
}

/* The tree's own accounts. */
static int read_own(int root, const char *path, const char *minimal, bool users,
		    struct account_list *l)
{
	struct buffer text = {NULL, 0, 0};
	struct account a, *added;
	int r = packages_slurp(root, path, FILE_LIMIT, &text);

	if (r < 0) {
		text.len = 0;
		r = buffer_add(&text, minimal, strlen(minimal) + 1);
	}
	for (char *rest = text.data, *line; r == 0 && (line = strsep(&rest, "\n"));)
		if (parse_line(line, users, &a) && !find_name(l, a.name))
			r = add(l, &a, &added);
	free(text.data);
	return r;
}

/* What base-passwd would have made of a tree without these files. */
static int read_master(const struct packages *p, const char *path, bool users,
		       struct account_list *l)
{
	struct buffer text = {NULL, 0, 0};
	struct account a, *known;
	int r = 0;

	if (packages_slurp(p->root, path, FILE_LIMIT, &text) < 0) {
		free(text.data);
		return 0;
	}
	for (char *rest = text.data, *line; r == 0 && (line = strsep(&rest, "\n"));) {
		if (!parse_line(line, users, &a))
			continue;
		known = find_name(l, a.name);
		if (!known && is_free(l, a.id))
			r = add(l, &a, &known);
		if (r == 0 && known && known->id == a.id && users) {
			r = replace(&known->home, a.home);
			if (r == 0)
				r = replace(&known->shell, a.shell);
		}
	}
	free(text.data);
	return r;
}

/* --- sysusers.d ---------------------------------------------------------------------------- */

/* As systemd-sysusers: from the end of the system's numbers downwards. */
static uint32_t choose_id(const struct accounts *a, uint32_t wanted, bool users)
{
	const struct account_list *own = users ? &a->users : &a->groups;

	if (wanted != DECLARED_NO_ID && is_free(own, wanted))
		return wanted;
	for (uint32_t id = SYSTEM_ID_END - 1; id > 0; id--)
		if (is_free(&a->users, id) && is_free(&a->groups, id))
			return id;
	return DECLARED_NO_ID;
}

static int ensure_group(struct accounts *a, const char *name, uint32_t wanted, struct account **out)
{
	struct account group = {.name = (char *)(uintptr_t)name};

	*out = find_name(&a->groups, name);
	if (*out)
		return 0;
	group.id = choose_id(a, wanted, false);
	return group.id == DECLARED_NO_ID ? 0 : add(&a->groups, &group, out);
}

/* The group a new user begins with: one that is named, or one of their own. */
static int group_of(struct accounts *a, const struct declared_account *u, uint32_t *gid)
{
	struct account *group;
	int r;

	if (u->gid != DECLARED_NO_ID) {
		*gid = u->gid;
		return 0;
	}
	r = u->group ? ensure_group(a, u->group, DECLARED_NO_ID, &group)
		     : ensure_group(a, u->name, u->id, &group);
	*gid = r == 0 && group ? group->id : DECLARED_NO_ID;
	return r;
}

static int ensure_user(struct accounts *a, const struct declared_account *u)
{
	struct account user = {.name = u->name, .home = u->home, .shell = u->shell}, *added;
	uint32_t wanted = u->id;
	int r;

	if (find_name(&a->users, u->name))
		return 0;
	r = group_of(a, u, &user.gid);
	if (r < 0 || user.gid == DECLARED_NO_ID)
		return r;
	/* The same number as its own group, if that is free. */
	if (wanted == DECLARED_NO_ID && !u->group && u->gid == DECLARED_NO_ID)
		wanted = user.gid;
	user.id = choose_id(a, wanted, true);
	return user.id == DECLARED_NO_ID ? 0 : add(&a->users, &user, &added);
}

/* Fills in what the line leaves open, and corrects what the tree's administrator changed. */
static int set_home_and_shell(struct account *user, const struct declared_account *u)
{
	static const char nologin[] = "/usr/sbin/nologin";
	int r = 0;

	if (!user)
		return 0;
	if (u->home || !user->home)
		r = replace(&user->home, u->home ? u->home : "/");
	if (r == 0 && (u->shell || !user->shell))
		r = replace(&user->shell, u->shell ? u->shell : user->id ? nologin : "/bin/sh");
	return r;
}

static int add_member(struct accounts *a, const struct declared_member *m)
{
	const struct declared_account user = {
		.name = m->user, .id = DECLARED_NO_ID, .gid = DECLARED_NO_ID};
	struct account *group;
	int r = ensure_group(a, m->group, DECLARED_NO_ID, &group);

	if (r == 0)
		r = ensure_user(a, &user);
	if (r == 0)
		r = set_home_and_shell(find_name(&a->users, m->user), &user);
	/* ensure_user() may have made a group. */
	group = find_name(&a->groups, m->group);
	if (r < 0 || !group)
		return r;
	if (group->members.len)
		r = buffer_add(&group->members, ",", 1);
	return r < 0 ? r : buffer_add(&group->members, m->user, strlen(m->user));
}

static int add_declared(struct accounts *a, const struct declared *d)
{
	struct account *group;
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->n_groups; i++)
		r = ensure_group(a, d->groups[i].name, d->groups[i].id, &group);
	for (size_t i = 0; r == 0 && i < d->n_users; i++) {
		r = ensure_user(a, &d->users[i]);
		if (r == 0)
			r = set_home_and_shell(find_name(&a->users, d->users[i].name),
					       &d->users[i]);
	}
	for (size_t i = 0; r == 0 && i < d->n_members; i++)
		r = add_member(a, &d->members[i]);
	return r;
}

int accounts_read(const struct packages *p, const struct declared *d, struct accounts *a)
{
	int r = read_own(p->root, "etc/passwd", minimal_passwd, true, &a->users);

	if (r == 0)
		r = read_own(p->root, "etc/group", minimal_group, false, &a->groups);
	if (r == 0)
		r = add_declared(a, d);
	/* Last, as its word counts most. */
	if (r == 0 && packages_owner(p, "/" MASTERS "passwd.master"))
		r = read_master(p, MASTERS "passwd.master", true, &a->users);
	if (r == 0 && packages_owner(p, "/" MASTERS "group.master"))
		r = read_master(p, MASTERS "group.master", false, &a->groups);
	return r;
}

static void list_fini(struct account_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->list[i].name);
		free(l->list[i].home);
		free(l->list[i].shell);
		free(l->list[i].members.data);
	}
	free(l->list);
	*l = (struct account_list){NULL, 0};
}

void accounts_fini(struct accounts *a)
{
	list_fini(&a->users);
	list_fini(&a->groups);
}

uint32_t accounts_id(const struct account_list *list, const char *name)
{
	const struct account *a = name ? find_name(list, name) : NULL;
	char *end;
	unsigned long id;

	if (a)
		return a->id;
	id = name ? strtoul(name, &end, 10) : 0;
	return name && *name >= '0' && *name <= '9' && *end == '\0' && id < UINT32_MAX
		       ? (uint32_t)id
		       : 0;
}

/* --- the files ----------------------------------------------------------------------------- */

static PRINTF_LIKE(2, 3) int put(struct buffer *out, const char *format, ...)
{
	AUTO_FREE char *line = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&line, format, args);
	va_end(args);
	if (n < 0)
		line = NULL;
	return n < 0 ? -ENOMEM : buffer_add(out, line, (size_t)n);
}

int accounts_passwd(const struct accounts *a, struct buffer *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->users.n; i++) {
		const struct account *u = &a->users.list[i];

		r = put(out, "%s:x:%u:%u::%s:%s\n", u->name, u->id, u->gid, u->home, u->shell);
	}
	return r;
}

int accounts_shadow(const struct accounts *a, struct buffer *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->users.n; i++)
		r = put(out, "%s:*:19000:0:99999:7:::\n", a->users.list[i].name);
	return r;
}

int accounts_group(const struct accounts *a, struct buffer *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->groups.n; i++) {
		const struct account *g = &a->groups.list[i];

		r = put(out, "%s:x:%u:%.*s\n", g->name, g->id, (int)g->members.len,
			g->members.data ? g->members.data : "");
	}
	return r;
}

int accounts_gshadow(const struct accounts *a, struct buffer *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->groups.n; i++) {
		const struct account *g = &a->groups.list[i];

		r = put(out, "%s:*::%.*s\n", g->name, (int)g->members.len,
			g->members.data ? g->members.data : "");
	}
	return r;
}

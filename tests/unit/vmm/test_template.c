/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/base/base.h"
#include "image/kernel/kernel.h"
#include "vmm/sandbox.h"
#include "vmm/template.h"

enum { RAM = 4 << 20 };

static char cache[] = "/tmp/test-template.XXXXXX";
static char release[] = "6.1", modules[] = "/lib/modules/6.1", tree[] = "/srv/tree";
static struct index_header head;
static struct index ix = {.head = &head};
static struct base_image base = {.index = &ix};
static struct kernel_image kernel = {.release = release, .modules = modules};
static struct agent_image agent = {.id = "agent"};
static struct sandbox_config cfg;
static struct sandbox_setup setup = {
	.config = &cfg, .base = &base, .kernel = &kernel, .agent = &agent};
static struct template_store store;

static void start(void)
{
	cr_assert_not_null(mkdtemp(cache));
	cr_assert_eq(setenv("XDG_CACHE_HOME", cache, 1), 0);
	kernel.elf_fd = memfd_create("kernel", MFD_CLOEXEC);
	cfg = (struct sandbox_config){.cpus = 1, .memory = RAM, .network_mode = NETWORK_NONE};
	template_store_init(&store, &setup);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void stop(void)
{
	template_store_fini(&store);
	(void)nftw(cache, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	close(kernel.elf_fd);
}

TestSuite(template, .init = start, .fini = stop);

/* Makes the template of a key; its RAM is 'T' in its first page. */
static void make(const struct template_store *of)
{
	int fd = template_create(of), ram_fd = memfd_create("ram", MFD_CLOEXEC);
	uint8_t *ram;

	cr_assert_geq(fd, 0, "%d", fd);
	cr_assert_eq(ftruncate(ram_fd, RAM), 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	cr_assert_neq(ram, MAP_FAILED);
	ram[0] = 'T';
	cr_assert_eq(snapshot_write(fd, of->key, ram, RAM, ram_fd, "state", 5), 0);
	cr_assert_eq(template_keep(of, fd), 0);
	munmap(ram, RAM);
	close(ram_fd);
	close(fd);
}

static int try_open(void)
{
	struct snapshot s;
	int fd, r = template_open(&store, RAM, &s, &fd);

	if (r < 0)
		return r;
	cr_assert_eq(s.state_len, 5);
	snapshot_fini(&s);
	close(fd);
	return 0;
}

static void path_of(char *out, size_t size)
{
	snprintf(out, size, "%s/sandcastle/templates/%s", cache, store.name);
}

Test(template, is_found_again)
{
	cr_assert_geq(store.dir, 0);
	cr_assert_eq(try_open(), -ENOENT);
	make(&store);
	cr_assert_eq(try_open(), 0);
	template_remove(&store);
	cr_assert_eq(try_open(), -ENOENT);
}

/* True if what was changed since the last call gives another key. */
static bool is_another(void)
{
	static char last[TEMPLATE_NAME];
	struct template_store s;
	bool other;

	template_store_init(&s, &setup);
	other = strcmp(last, s.name) != 0;
	memcpy(last, s.name, sizeof(last));
	template_store_fini(&s);
	return other;
}

Test(template, whatever_a_guest_finds_is_in_the_key)
{
	static char release2[] = "6.2", none[] = "none", name[] = "box";

	cr_assert(is_another());
	cr_assert_not(is_another());
	cfg.cpus = 2;
	cr_assert(is_another());
	cfg.memory *= 2;
	cr_assert(is_another());
	cfg.no_dax = true;
	cr_assert(is_another());
	cfg.battery = none;
	cr_assert(is_another());
	cfg.root = tree;
	cr_assert(is_another());
	head.checksum++;
	cr_assert(is_another());
	head.stamp[31]++;
	cr_assert(is_another());
	kernel.release = release2;
	cr_assert(is_another());
	agent.id = "another";
	cr_assert(is_another());
	cr_assert_eq(write(kernel.elf_fd, "x", 1), 1);
	cr_assert(is_another());
	/* These it learns once it goes on. */
	cfg.name = name;
	cfg.timeout_ms = 1;
	cfg.user.uid = 7;
	cr_assert_not(is_another());
}

Test(template, none_for_what_cannot_be_cloned)
{
	struct template_store s;
	bool *const flags[] = {&cfg.no_template, &cfg.debug_console, &cfg.display.enabled};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		*flags[i] = true;
		template_store_init(&s, &setup);
		cr_assert_eq(s.dir, -1);
		*flags[i] = false;
	}
	cfg.network_mode = NETWORK_INTERNET;
	template_store_init(&s, &setup);
	cr_assert_eq(s.dir, -1);
}

Test(template, what_others_could_have_written_is_not_used)
{
	char path[200];

	make(&store);
	path_of(path, sizeof(path));
	cr_assert_eq(chmod(path, 0660), 0);
	cr_assert_eq(try_open(), -EPERM);
	/* It is gone, too. */
	cr_assert_eq(try_open(), -ENOENT);
	cr_assert_eq(symlink("/etc/passwd", path), 0);
	cr_assert_eq(try_open(), -ENOENT);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(try_open(), -EPERM);
	snprintf(path, sizeof(path), "%s/sandcastle/templates", cache);
	cr_assert_eq(chmod(path, 0770), 0);
	template_store_fini(&store);
	template_store_init(&store, &setup);
	cr_assert_eq(store.dir, -1);
}

Test(template, a_damaged_one_is_removed)
{
	char path[200];

	make(&store);
	path_of(path, sizeof(path));
	cr_assert_eq(truncate(path, 5000), 0);
	cr_assert_eq(try_open(), -EBADMSG);
	cr_assert_eq(try_open(), -ENOENT);
}

Test(template, those_used_last_are_kept)
{
	struct template_info all[TEMPLATE_LIST_MAX];
	struct template_store s[TEMPLATES_KEPT + 2];

	for (unsigned int i = 0; i < ARRAY_SIZE(s); i++) {
		struct timespec when[2];
		char path[200];

		cfg.cpus = 10 + i;
		template_store_init(&s[i], &setup);
		make(&s[i]);
		/* So that their order is that of the clock's seconds. */
		when[0].tv_sec = when[1].tv_sec = time(NULL) - 60 + (time_t)i;
		when[0].tv_nsec = when[1].tv_nsec = 0;
		snprintf(path, sizeof(path), "%s/sandcastle/templates/%s", cache, s[i].name);
		cr_assert_eq(utimensat(AT_FDCWD, path, when, 0), 0);
	}
	cr_assert_eq(template_list(all), TEMPLATES_KEPT);
	cr_assert_neq(faccessat(s[0].dir, s[0].name, F_OK, 0), 0);
	cr_assert_neq(faccessat(s[0].dir, s[1].name, F_OK, 0), 0);
	cr_assert_eq(faccessat(s[0].dir, s[2].name, F_OK, 0), 0);
	cr_assert_eq(template_clean(), 0);
	cr_assert_eq(template_list(all), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(s); i++)
		template_store_fini(&s[i]);
}

Test(template, of_another_boot_are_removed)
{
	const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	struct template_info all[TEMPLATE_LIST_MAX];
	struct template_store other;

	make(&store);
	cr_assert_eq(utimensat(store.dir, store.name, old, 0), 0);
	cfg.cpus = 2;
	template_store_init(&other, &setup);
	make(&other);
	cr_assert_eq(template_list(all), 1);
	cr_assert_str_eq(all[0].name, other.name);
	template_store_fini(&other);
}

Test(template, one_at_a_time_is_made)
{
	struct template_store other;
	int fd = template_create(&store);

	cr_assert_geq(fd, 0);
	template_store_init(&other, &setup);
	cr_assert_eq(template_create(&other), -EBUSY);
	template_leave(&store);
	close(fd);
	make(&other);
	make(&store);
	template_store_fini(&other);
}

Test(template, what_a_killed_one_left_is_in_nobodys_way)
{
	struct template_info all[TEMPLATE_LIST_MAX];
	int left = openat(store.dir, "tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_geq(left, 0);
	close(left);
	make(&store);
	cr_assert_eq(template_list(all), 1);
	cr_assert_neq(faccessat(store.dir, "tmp", F_OK, 0), 0);
}

Test(template, the_second_start_makes_one)
{
	struct template_store other;

	cfg.cpus = 2;
	template_store_init(&other, &setup);
	cr_assert_not(template_is_due(&store));
	cr_assert_not(template_is_due(&other));
	cr_assert(template_is_due(&store));
	cr_assert(template_is_due(&other));
	template_store_fini(&other);
}

Test(template, only_the_last_kinds_are_remembered)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct template_store other;

		cfg.cpus = 10 + i;
		template_store_init(&other, &setup);
		cr_assert_not(template_is_due(&other));
		template_store_fini(&other);
	}
	cfg.cpus = 10 + 19 - 15;
	template_store_fini(&store);
	template_store_init(&store, &setup);
	cr_assert(template_is_due(&store));
	cfg.cpus--;
	template_store_fini(&store);
	template_store_init(&store, &setup);
	cr_assert_not(template_is_due(&store));
}

Test(template, a_kind_that_failed_gets_none_for_a_day)
{
	char text[80];
	ssize_t n;
	int fd;

	cr_assert_not(template_is_due(&store));
	make(&store);
	template_failed(&store);
	cr_assert_eq(try_open(), -ENOENT);
	cr_assert_not(template_is_due(&store));
	cr_assert_not(template_is_due(&store));
	fd = openat(store.dir, "seen", O_RDWR | O_CLOEXEC);
	n = read(fd, text, sizeof(text));
	cr_assert_eq(n, TEMPLATE_NAME + 20);
	snprintf(text + TEMPLATE_NAME, sizeof(text) - TEMPLATE_NAME, "%019lld",
		 (long long)time(NULL) - 25 * 3600);
	cr_assert_eq(pwrite(fd, text, (size_t)n - 1, 0), n - 1);
	close(fd);
	cr_assert(template_is_due(&store));
}

Test(template, nonsense_in_what_was_seen_is_nothing)
{
	int fd = openat(store.dir, "seen", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, "nonsense\n", 9), 9);
	cr_assert_not(template_is_due(&store));
	cr_assert(template_is_due(&store));
	close(fd);
}

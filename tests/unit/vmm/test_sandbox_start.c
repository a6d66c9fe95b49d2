/* SPDX-License-Identifier: MIT */
/* Clone or cold start: what becomes of a template that is good, bad, or somebody else's fault. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/base/base.h"
#include "image/kernel/kernel.h"
#include "vmm/machine.h"
#include "vmm/sandbox_priv.h"
#include "vmm/session/session.h"

enum { RAM = 4 << 20 };

static char cache[] = "/tmp/test-start.XXXXXX";
static char release[] = "6.1", modules[] = "/lib/modules/6.1", name[] = "box";
static struct index_header head;
static struct index ix = {.head = &head};
static struct base_image base = {.index = &ix};
static struct kernel_image kernel = {.release = release, .modules = modules};
static struct agent_image agent = {.id = "agent"};
static struct sandbox_config cfg;
static struct sandbox_setup setup = {
	.config = &cfg, .base = &base, .kernel = &kernel, .agent = &agent};
static struct sandbox sb;

/* ---- in the place of the machine and its agent ---- */

static int clone_result, clones, colds, parks, adoptions;

int machine_build(const struct machine_setup *m, struct machine **out)
{
	(void)out;
	close(m->kvm_fd);
	if (!m->snapshot) {
		colds++;
		return 0;
	}
	clones++;
	cr_assert_eq(m->snapshot->state_len, 5);
	return clone_result;
}

void session_park(struct session *s)
{
	(void)s;
	parks++;
}

int session_adopt(struct session *s)
{
	(void)s;
	adoptions++;
	return 0;
}

int park_init(struct park *p, struct loop *loop)
{
	(void)p;
	(void)loop;
	return 0;
}

/* ---- */

static void begin(void)
{
	cr_assert_not_null(mkdtemp(cache));
	cr_assert_eq(setenv("XDG_CACHE_HOME", cache, 1), 0);
	kernel.elf_fd = memfd_create("kernel", MFD_CLOEXEC);
	cfg = (struct sandbox_config){
		.name = name, .cpus = 1, .memory = RAM, .network_mode = NETWORK_NONE};
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void end(void)
{
	template_store_fini(&sb.store);
	(void)nftw(cache, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	close(kernel.elf_fd);
}

TestSuite(sandbox_start, .init = begin, .fini = end);

/* Starts a sandbox as far as its session. The descriptor of KVM is taken in any case. */
static int start(void)
{
	const int kvm_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct machine_setup machine = {.config = &cfg, .kvm_fd = kvm_fd};
	int r;

	template_store_fini(&sb.store);
	sb = (struct sandbox){.setup = &setup, .cfg = &cfg, .store.dir = -1};
	clones = colds = parks = adoptions = 0;
	r = sandbox_build_machine(&sb, &machine);
	cr_assert_lt(fcntl(kvm_fd, F_GETFD), 0);
	return r == 0 ? sandbox_prepare_session(&sb) : r;
}

static void make_template(void)
{
	int ram_fd = memfd_create("ram", MFD_CLOEXEC), fd;
	uint8_t *ram;

	template_store_fini(&sb.store);
	template_store_init(&sb.store, &setup);
	fd = template_create(&sb.store);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(ram_fd, RAM), 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	cr_assert_neq(ram, MAP_FAILED);
	cr_assert_eq(snapshot_write(fd, sb.store.key, ram, RAM, ram_fd, "state", 5), 0);
	cr_assert_eq(template_keep(&sb.store, fd), 0);
	munmap(ram, RAM);
	close(ram_fd);
	close(fd);
}

static bool template_is_there(void)
{
	return faccessat(sb.store.dir, sb.store.name, F_OK, 0) == 0;
}

Test(sandbox_start, the_second_cold_one_is_parked)
{
	cr_assert_eq(start(), 0);
	cr_assert_eq(colds, 1);
	cr_assert_eq(parks, 0);
	cr_assert_eq(start(), 0);
	cr_assert_eq(colds, 1);
	cr_assert_eq(parks, 1);
	cr_assert(sb.park.in_passing);
	cfg.no_template = true;
	cr_assert_eq(start(), 0);
	cr_assert_eq(parks, 0);
}

Test(sandbox_start, a_template_is_cloned)
{
	make_template();
	cr_assert_eq(start(), 0);
	cr_assert(sb.cloned);
	cr_assert_eq(clones, 1);
	cr_assert_eq(colds, 0);
	cr_assert_eq(adoptions, 1);
	cfg.no_template = true;
	cr_assert_eq(start(), 0);
	cr_assert_not(sb.cloned);
	cr_assert_eq(colds, 1);
}

Test(sandbox_start, one_that_does_not_fit_is_removed_and_the_start_is_cold)
{
	make_template();
	clone_result = -ESTALE;
	cr_assert_eq(start(), 0);
	cr_assert_not(sb.cloned);
	cr_assert_eq(clones, 1);
	cr_assert_eq(colds, 1);
	cr_assert_not(template_is_there());
}

Test(sandbox_start, a_damaged_one_is_removed_and_the_start_is_cold)
{
	int fd;

	make_template();
	fd = openat(sb.store.dir, sb.store.name, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "x", 1, 0), 1);
	close(fd);
	cr_assert_eq(start(), 0);
	cr_assert_eq(clones, 0);
	cr_assert_eq(colds, 1);
	cr_assert_not(template_is_there());
}

Test(sandbox_start, what_is_wrong_with_the_options_is_not_the_templates)
{
	make_template();
	clone_result = -ENOENT;
	cr_assert_eq(start(), -ENOENT);
	cr_assert_eq(clones, 1);
	cr_assert_eq(colds, 0);
	cr_assert(template_is_there());
}

Test(sandbox_start, a_clone_that_fails_by_itself_is_the_last)
{
	make_template();
	cr_assert_eq(start(), 0);
	/* Stopped before it was set up, and set up before it failed. */
	sb.reason = "stopped";
	sandbox_judge_template(&sb);
	sb.reason = "panicked";
	sb.was_ready = true;
	sandbox_judge_template(&sb);
	cr_assert(template_is_there());
	sb.was_ready = false;
	sandbox_judge_template(&sb);
	cr_assert_not(template_is_there());
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(start(), 0);
		cr_assert_eq(colds, 1);
		cr_assert_eq(parks, 0);
	}
}

Test(sandbox_start, one_that_is_asked_for_is_made_or_an_error)
{
	make_template();
	cfg.make_template = true;
	cr_assert_eq(start(), 0);
	cr_assert_eq(colds, 1);
	cr_assert_eq(parks, 1);
	cr_assert_not(sb.park.in_passing);
	cfg.network_mode = NETWORK_INTERNET;
	cr_assert_eq(start(), -EOPNOTSUPP);
	cr_assert_eq(colds, 0);
}

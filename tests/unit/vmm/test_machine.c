/* SPDX-License-Identifier: MIT */
/*
 * The machine is built without KVM, again and again, and each time one more step fails: an
 * allocation, a descriptor, a watch, an interrupt. The linker has those come here (CMakeLists.txt).
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "balloon/pin.h"
#include "image/base/base.h"
#include "vmm/config/timeline.h"
#include "vmm/guest_kernel.h"
#include "vmm/kvm/state.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/machine.h"

enum { NEVER = 1000000, ENOUGH = 5000, CPUS = 2 };

static unsigned int steps, fail_at = NEVER;

static bool fails(void)
{
	return steps++ == fail_at;
}

/* ---- steps that can fail ---- */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

/* -1 with errno set, or the real call's result. */
#define STEP(call) (fails() ? (errno = EMFILE, -1) : (call))

int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags)
{
	return STEP(__real_eventfd(count, flags));
}

int __real_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags)
{
	return STEP(__real_timerfd_create(clock, flags));
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
	return STEP(__real_epoll_create1(flags));
}

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	/* What takes a watch back cannot fail. */
	return op == EPOLL_CTL_DEL ? __real_epoll_ctl(epfd, op, fd, event)
				   : STEP(__real_epoll_ctl(epfd, op, fd, event));
}

/* ---- in the place of KVM ---- */

static int wiring_msi_new(struct wiring *w, int eventfd, unsigned int *route)
{
	(void)w;
	(void)eventfd;
	*route = 0;
	return fails() ? -ENOSPC : 0;
}

static int wiring_msi_set(struct wiring *w, unsigned int route, uint64_t addr, uint32_t data)
{
	(void)w;
	(void)route;
	(void)addr;
	(void)data;
	return 0;
}

static int wiring_line_add(struct wiring *w, unsigned int gsi, int eventfd)
{
	(void)w;
	(void)gsi;
	(void)eventfd;
	return fails() ? -ENOSPC : 0;
}

static int wiring_doorbell_add(struct wiring *w, gpa_t addr, int eventfd)
{
	(void)w;
	(void)addr;
	(void)eventfd;
	return fails() ? -ENOSPC : 0;
}

static int wiring_memory_add(struct wiring *w, gpa_t addr, const void *host, uint64_t len)
{
	(void)w;
	(void)addr;
	(void)host;
	(void)len;
	return fails() ? -ENOSPC : 0;
}

static int wiring_memory_remove(struct wiring *w, gpa_t addr)
{
	(void)w;
	(void)addr;
	return 0;
}

static const struct wiring_ops wiring_ops = {
	.msi_new = wiring_msi_new,
	.msi_set = wiring_msi_set,
	.line_add = wiring_line_add,
	.doorbell_add = wiring_doorbell_add,
	.memory_add = wiring_memory_add,
	.memory_remove = wiring_memory_remove,
};

int vm_new(int kvm_fd, uint64_t memory, const struct ram_template *from, struct vm **out)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	cr_assert_null(from);
	if (!vm || ram_init_memfd(&vm->ram, memory) < 0) {
		free(vm);
		close(kvm_fd);
		return -ENOMEM;
	}
	vm->wiring.ops = &wiring_ops;
	vm->kvm_fd = kvm_fd;
	*out = vm;
	return 0;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	ram_fini(&vm->ram);
	close(vm->kvm_fd);
	free(vm);
}

void vm_hold_routes(struct vm *vm)
{
	(void)vm;
}

int vm_commit_routes(struct vm *vm)
{
	(void)vm;
	return 0;
}

void kvm_state_save(struct vm *vm, struct vcpu *const *list, unsigned int n, struct state_writer *w)
{
	(void)vm;
	(void)list;
	(void)n;
	(void)w;
}

void kvm_state_load(struct vm *vm, struct vcpu *const *list, unsigned int n, struct state_reader *r)
{
	(void)vm;
	(void)list;
	(void)n;
	(void)r;
}

void kvm_state_resumed(struct vcpu *const *list, unsigned int n)
{
	(void)list;
	(void)n;
}

void vm_spin(struct vm *vm, bool on)
{
	(void)vm;
	(void)on;
}

static unsigned int vcpus;

int vcpu_new(struct vm *vm, unsigned int index, unsigned int n, struct bus *mmio, struct bus *pio,
	     const struct vcpu_ops *ops, void *owner, struct vcpu **out)
{
	cr_assert(vm && index < n && mmio && pio && ops && owner);
	*out = calloc(1, 1);
	vcpus += *out != NULL;
	return *out ? 0 : -ENOMEM;
}

void vcpu_free(struct vcpu *vcpu)
{
	vcpus -= vcpu != NULL;
	free(vcpu);
}

int vcpu_set_entry(struct vcpu *vcpu, uint32_t entry, uint32_t start_info)
{
	(void)vcpu;
	(void)entry;
	(void)start_info;
	return 0;
}

int vcpu_start(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

void vcpu_ask_to_stop(struct vcpu *vcpu)
{
	(void)vcpu;
}

void vcpu_ask_to_pause(struct vcpu *vcpu)
{
	(void)vcpu;
}

int vcpu_wait_paused(struct vcpu *vcpu, unsigned int *slices)
{
	(void)vcpu;
	(void)slices;
	return 0;
}

void vcpu_go_on(struct vcpu *vcpu)
{
	(void)vcpu;
}

int vcpu_join(struct vcpu *vcpu, unsigned int *slices)
{
	(void)vcpu;
	(void)slices;
	return 0;
}

void vcpu_add_clock(const struct vcpu *vcpu, struct timeline *tl)
{
	(void)vcpu;
	(void)tl;
}

void vcpu_add_counters(const struct vcpu *vcpu, struct timeline *tl)
{
	(void)vcpu;
	(void)tl;
}

/* The last step. */
int guest_kernel_load(const struct guest_kernel *g)
{
	cr_assert_eq(vcpus, CPUS);
	cr_assert(g->vcpu && g->mem);
	return fails() ? -ENOEXEC : 0;
}

void pin_program(void)
{
}

/* ---- the test ---- */

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void on_end(void *owner, const struct machine_end *end)
{
	(void)owner;
	cr_assert_fail("%s", end->why);
}

Test(machine, whatever_step_fails_nothing_is_left, .timeout = 100)
{
	static char modules[] = "/tmp", none[] = "none", place[] = "/srv", name[] = "box";
	struct config_map map = {.host = place, .guest = place};
	struct sandbox_config cfg = {
		.name = name,
		.cpus = CPUS,
		.memory = 32 << 20,
		.battery = none,
		.maps = &map,
		.n_maps = 1,
	};
	const struct kernel_image kernel = {.modules = modules, .elf_fd = -1};
	const struct agent_image agent = {.len = 0};
	struct base_image base = {.root = open("/tmp", O_PATH | O_CLOEXEC)};
	struct timeline timeline = {0};
	struct guest_log log;
	struct machine_setup setup = {
		.config = &cfg,
		.base = &base,
		.kernel = &kernel,
		.agent = &agent,
		.log = &log,
		.ended = on_end,
		.timeline = &timeline,
	};
	unsigned int before, failed = 0;

	map.fd = open("/tmp", O_PATH | O_CLOEXEC);
	guest_log_init(&log, false);
	cr_assert_eq(loop_new(&setup.loop), 0);
	before = open_fds();
	for (unsigned int n = 0;; n++) {
		struct machine *m = NULL;
		int r;

		cr_assert_lt(n, ENOUGH);
		setup.kvm_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		steps = 0;
		fail_at = n;
		r = machine_build(&setup, &m);
		fail_at = NEVER;
		/* There are failures the machine can live with. */
		cr_assert((r == 0) == (m != NULL));
		machine_free(m);
		cr_assert_eq(vcpus, 0, "step %u", n);
		cr_assert_eq(open_fds(), before, "step %u leaves descriptors", n);
		failed += r < 0;
		if (steps <= n) {
			cr_assert_eq(r, 0, "nothing failed: %s", strerror(-r));
			break;
		}
	}
	cr_assert_gt(failed, 50, "the linker had them come here");
	loop_free(setup.loop);
	guest_log_fini(&log);
	close(map.fd);
	close(base.root);
}

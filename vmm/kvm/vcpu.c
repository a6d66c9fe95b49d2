/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "common/join.h"
#include "common/log.h"
#include "vmm/config/timeline.h"
#include "vmm/kvm/counters.h"
#include "vmm/kvm/vcpu_priv.h"

/* Handles the signal that makes KVM_RUN return, and does nothing; see vcpu_ask_to_stop(). */
#define SIG_KICK SIGRTMIN

enum { FAULT_TRIES = 4, BUS_LOCK_PAUSE_NS = 1000000 };

static void kick_handler(int signo)
{
	(void)signo;
}

/*
 * A page of broken memory: KVM sends this thread SIGBUS and enters the guest
 * again, for ever if the signal is blocked. It is let in for KVM_RUN alone,
 * which returns EINTR and leaves it pending; so nobody's handler is replaced.
 */
static int let_sigbus_in(const struct vcpu *vcpu)
{
	/* The kernel's set, of 64 signals: the C library's has more. */
	const uint64_t blocked = ~(1ull << (SIGBUS - 1) | 1ull << (SIG_KICK - 1));
	AUTO_FREE struct kvm_signal_mask *mask = malloc(sizeof(*mask) + sizeof(blocked));

	if (!mask)
		return -ENOMEM;
	mask->len = sizeof(blocked);
	memcpy(mask->sigset, &blocked, sizeof(blocked));
	return ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, mask) < 0 ? -errno : 0;
}

/* Returns whether broken memory is why KVM_RUN returned. */
static bool met_broken_memory(void)
{
	const struct timespec now = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	return sigtimedwait(&set, NULL, &now) == SIGBUS;
}

static int open_vcpu(struct vcpu *vcpu)
{
	int size = ioctl(vcpu->vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (size < (int)sizeof(*vcpu->run))
		return size < 0 ? -errno : -EPROTO;
	vcpu->fd = ioctl(vcpu->vm->vm_fd, KVM_CREATE_VCPU, (unsigned long)vcpu->index);
	if (vcpu->fd < 0)
		return -errno;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	vcpu->run = run;
	vcpu->run_size = (size_t)size;
	return 0;
}

int vcpu_new(struct vm *vm, unsigned int index, unsigned int n, struct bus *mmio, struct bus *pio,
	     const struct vcpu_ops *ops, void *owner, struct vcpu **out)
{
	struct sigaction kick = {.sa_handler = kick_handler};
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	int r;

	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->mmio = mmio;
	vcpu->pio = pio;
	vcpu->ops = ops;
	vcpu->owner = owner;
	vcpu->fd = -1;
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
	sigaction(SIG_KICK, &kick, NULL);

	r = open_vcpu(vcpu);
	if (r == 0)
		r = let_sigbus_in(vcpu);
	if (r == 0)
		r = x86_vcpu_features(vcpu, n);
	if (r < 0) {
		vcpu_free(vcpu);
		return r;
	}
	*out = vcpu;
	return 0;
}

static void exit_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	/* A string instruction comes as `count` accesses to one port. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(vcpu->pio, run->io.port, data, run->io.size);
		else
			bus_write(vcpu->pio, run->io.port, data, run->io.size);
	}
}

static void exit_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.is_write)
		bus_write(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	else
		bus_read(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

/*
 * The guest locked the whole machine's bus, by a locked access across two cache lines: all
 * CPUs of the host wait that long. It goes on, but at most a thousand times a second.
 */
static void slow_bus_locks(struct vcpu *vcpu)
{
	const struct timespec pause = {.tv_nsec = BUS_LOCK_PAUSE_NS};

	if (!vcpu->locked_bus)
		log_info("the guest's CPU %u locks the bus of the host; it is slowed down",
			 vcpu->index);
	vcpu->locked_bus = true;
	nanosleep(&pause, NULL);
}

/* False when the vCPU will not run again. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if ((run->flags & KVM_RUN_X86_BUS_LOCK) || run->exit_reason == KVM_EXIT_X86_BUS_LOCK)
		slow_bus_locks(vcpu);
	switch (run->exit_reason) {
	case KVM_EXIT_X86_BUS_LOCK:
		return true;
	case KVM_EXIT_IO:
		exit_io(vcpu);
		return true;
	case KVM_EXIT_MMIO:
		exit_mmio(vcpu);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_NOTIFY:
		if ((run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID) == 0)
			return true;
		vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_HUNG, 0);
		return false;
	case KVM_EXIT_SHUTDOWN:
		vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_TRIPLE_FAULT, 0);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_BAD_ENTRY,
				 run->fail_entry.hardware_entry_failure_reason);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_UNEMULATED, run->internal.suberror);
		return false;
	default:
		vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_KVM_ERROR, EPROTO);
		return false;
	}
}

/*
 * False when the vCPU will not run again. Another vCPU may have met the same page
 * and mended it a moment ago, so a few are tried again without knowing of a reason.
 */
static bool handle_fault(struct vcpu *vcpu, unsigned int *unexplained)
{
	if (vcpu->ops->faulted(vcpu->owner) || (*unexplained)++ < FAULT_TRIES)
		return true;
	vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_BAD_MEMORY, EFAULT);
	return false;
}

/* Rests while it is to. */
static void rest(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->paused = vcpu->pausing;
	pthread_cond_broadcast(&vcpu->changed);
	while (vcpu->pausing && !atomic_load(&vcpu->stopping))
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	vcpu->paused = false;
	pthread_mutex_unlock(&vcpu->lock);
}

static void name_thread(const struct vcpu *vcpu)
{
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	(void)prctl(PR_SET_NAME, name);
}

/*
 * KVM finishes an access that handle_exit() answered when it is entered again: so the loop
 * is left only there, by KVM_RUN itself, and the vCPU's state is whole then.
 */
static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	unsigned int unexplained = 0;

	name_thread(vcpu);
	if (vcpu->ops->begins(vcpu->owner) < 0)
		return NULL;
	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
			unexplained = 0;
			if (!handle_exit(vcpu))
				break;
		} else if (errno == EFAULT) {
			if (!handle_fault(vcpu, &unexplained))
				break;
		} else if (errno == EINTR) {
			if (met_broken_memory()) {
				vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_BROKEN_MEMORY, 0);
				break;
			}
			if (atomic_load(&vcpu->stopping))
				break;
			rest(vcpu);
		} else if (errno != EAGAIN) {
			vcpu->ops->ended(vcpu->owner, vcpu->index, VCPU_KVM_ERROR, (uint64_t)errno);
			break;
		}
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	sigset_t all, old;
	int r;

	/* Signals belong to the loop thread; a vCPU takes the kick alone. */
	sigfillset(&all);
	sigdelset(&all, SIG_KICK);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return -r;
	vcpu->started = true;
	return 0;
}

static void kick(struct vcpu *vcpu)
{
	/*
	 * KVM looks at immediate_exit after it has blocked on its way in: a kick
	 * that lands just before KVM_RUN is not lost.
	 */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, SIG_KICK);
}

void vcpu_ask_to_stop(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	pthread_mutex_lock(&vcpu->lock);
	atomic_store(&vcpu->stopping, true);
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
	kick(vcpu);
}

void vcpu_ask_to_pause(struct vcpu *vcpu)
{
	bool ask;

	pthread_mutex_lock(&vcpu->lock);
	vcpu->pausing = true;
	ask = !vcpu->paused;
	pthread_mutex_unlock(&vcpu->lock);
	if (ask)
		kick(vcpu);
}

int vcpu_wait_paused(struct vcpu *vcpu, unsigned int *slices)
{
	bool paused;

	pthread_mutex_lock(&vcpu->lock);
	while (!vcpu->paused && *slices > 0) {
		const struct timespec end = join_slice_from_now();

		--*slices;
		(void)pthread_cond_clockwait(&vcpu->changed, &vcpu->lock, CLOCK_MONOTONIC, &end);
	}
	paused = vcpu->paused;
	pthread_mutex_unlock(&vcpu->lock);
	return paused ? 0 : -ETIMEDOUT;
}

void vcpu_go_on(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 0;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->pausing = false;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

int vcpu_join(struct vcpu *vcpu, unsigned int *slices)
{
	int r = vcpu->started ? join_within(vcpu->thread, slices) : 0;

	if (r == 0)
		vcpu->started = false;
	return r;
}

void vcpu_add_clock(const struct vcpu *vcpu, struct timeline *tl)
{
	clockid_t clock;

	if (vcpu->started && pthread_getcpuclockid(vcpu->thread, &clock) == 0)
		timeline_add_vcpu(tl, clock);
}

void vcpu_add_counters(const struct vcpu *vcpu, struct timeline *tl)
{
	AUTO_CLOSE int fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	int r = fd < 0 ? -errno : kvm_stats_count(fd, tl);

	if (r < 0)
		log_info("KVM does not say what the guest's CPU %u did: %s", vcpu->index,
			 strerror(-r));
}

void vcpu_free(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
}

/* SPDX-License-Identifier: MIT */
/* library/library_priv.h - what the files of libsandcastle share. */
#ifndef LIBRARY_LIBRARY_PRIV_H
#define LIBRARY_LIBRARY_PRIV_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "include/sandcastle.h"
#include "library/client/client.h"

/*
 * DOC: who waits
 *
 * A handle has one lock and no thread. What its descriptors have to say is
 * taken in by drain(), under the lock, by whoever is in a call. Of several threads
 * that wait, one polls, without the lock (`pumping`); the others wait for
 * it on the condition and take its place when it leaves. The thread that is in output()
 * may ask the sandbox from there: it polls the control connection alone, so that output
 * keeps its order. inner_fd, an epoll, holds
 * what the library reads itself; outer_fd, which the program polls, holds that
 * and pending_fd, an eventfd that is readable while an event waits to be fetched.
 */

enum { SAID_MAX = 1024, LIB_NAME_MAX = 256, LIB_MESSAGE_MAX = 512 };

enum lib_state { LIB_NEW, LIB_STARTING, LIB_READY, LIB_ENDED };

enum source_kind {
	SOURCE_NAME,
	SOURCE_SAID,
	SOURCE_STARTER,
	SOURCE_CONTROL,
	SOURCE_OUTPUT,
	SOURCE_WAKE
};

/* A descriptor that is watched in inner_fd. */
struct source {
	enum source_kind kind;
	int fd; /* -1: not there */
	struct sandcastle_command *command; /* of SOURCE_OUTPUT */
	int stream;
};

/* A request whose reply a caller waits for. It lives on the stack of that caller. */
struct call {
	int64_t id;
	struct sandcastle_command *command; /* gets its number by the reply; NULL: none */
	json_t *reply;
	int fd; /* that came with it; -1: none */
	struct call *next;
};

struct sandcastle_command {
	struct sandcastle_sandbox *sb;
	struct sandcastle_command *next;
	json_int_t number; /* 0: it does not run yet */
	int pipes[3]; /* our ends; -1 */
	struct source output[3]; /* for callbacks; [0] is unused */
	sandcastle_output_fn fn;
	void *data;
	bool exited; /* with code */
	bool fetched; /* the program has fetched the event of its end */
	int code, signal;
	uint64_t user_us, system_us, memory; /* what it used, once it has exited */
};

struct sandcastle_sandbox {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pid_t maker; /* the process it belongs to: a fork of that has a copy, but no sandbox */
	bool pumping;
	bool in_output; /* output() runs, in the thread that follows */
	pthread_t output_thread;
	bool woken; /* a wait is to end by it */
	int inner_fd, outer_fd, pending_fd;
	bool pending_shown;

	enum lib_state state;
	bool outlive;
	struct source name_from, said_from, control;
	struct source starter; /* a pidfd of `sandcastle start` until it has ended */
	struct source wake; /* an eventfd */
	int process_fd; /* a pidfd of the sandbox's process; -1: not known yet */
	int call_limit_ms; /* how long one that asks the sandbox waits; -1: for ever */
	char name[LIB_NAME_MAX];
	size_t name_len;
	char said[SAID_MAX]; /* the end of what it said on its stderr */
	size_t said_len;
	char *top; /* the folder of folders of sandboxes */

	void *data; /* the program's */
	struct client *client;
	struct call *calls;
	struct sandcastle_command *commands;
	bool was_ready, ready_fetched, ended_fetched;
	bool said_end; /* the sandbox itself has told of its end */
	bool pressure_wanted;
	int pressure,
		pressure_fetched; /* enum sandcastle_pressure: now, and as the program knows */
	int reason;
	char end_message[LIB_MESSAGE_MAX];
	char message[LIB_MESSAGE_MAX];
};

/* All that follow are called with the lock held, unless they say otherwise. */

/* Keeps the message for sandcastle_message(); returns `status`. */
int lib_fail(struct sandcastle_sandbox *sb, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

int lib_watch(struct sandcastle_sandbox *sb, struct source *src) MUST_CHECK;
/* Stops watching the source and closes its fd; the control connection's stays the client's. */
void lib_unwatch(struct sandcastle_sandbox *sb, struct source *src);

/* For lib_wait(): an event waits to be fetched; data is the struct sandcastle_sandbox. */
bool lib_has_event(void *data);
/* Makes outer_fd readable exactly while an event waits. */
void lib_show_pending(struct sandcastle_sandbox *sb);

/* Waits, letting go of the lock, until is_so(data). SANDCASTLE_OK or _E_TIMEOUT. */
int lib_wait(struct sandcastle_sandbox *sb, bool (*is_so)(void *data), void *data, int timeout_ms);
/*
 * The same for a function that is there to wait: it also ends with SANDCASTLE_E_INTERRUPTED by
 * sandcastle_wake(), and with _E_INVALID in output(). Only this one has a message: the others
 * are no failures.
 */
int lib_wait_long(struct sandcastle_sandbox *sb, bool (*is_so)(void *data), void *data,
		  int timeout_ms);
/* Waits until it is ready or has ended, as long as a call may. SANDCASTLE_OK or _E_TIMEOUT. */
int lib_wait_ready(struct sandcastle_sandbox *sb);
/* A condition for lib_wait(); data is the struct sandcastle_sandbox. */
bool lib_is_ready_or_ended(void *data);

/*
 * Sends and waits for the reply, which is *reply also when it is a refusal
 * (SANDCASTLE_E_REFUSED). `request` is taken over, NULL if there was no memory.
 */
int lib_call(struct sandcastle_sandbox *sb, json_t *request, const int *fds, size_t n_fds,
	     struct sandcastle_command *command, json_t **reply);
/* The same for a request whose reply brings a descriptor, which is the caller's; -1: it did not. */
int lib_call_for_fd(struct sandcastle_sandbox *sb, json_t *request, json_t **reply, int *fd);

/* A member of a message, "" if it is no string. Borrowed. */
const char *lib_text(const json_t *message, const char *key);

/* SANDCASTLE_E_ENDED, with a message that says why it ended. */
int lib_ended_failure(struct sandcastle_sandbox *sb);

/* Sends a signal to the process that is the sandbox, or that starts it, if there is one. */
void lib_signal_process(const struct sandcastle_sandbox *sb, int signal);

/* Begins to listen to the sandbox `name`, whose process is there; its hello is still to come. */
int lib_connect(struct sandcastle_sandbox *sb);

/* SANDCASTLE_E_INVALID, with a message, if a sandbox cannot be started so. */
int lib_check_options(struct sandcastle_sandbox *sb, const struct sandcastle_options *options);
/* Begins `sandcastle start`. */
int lib_spawn(struct sandcastle_sandbox *sb, const struct sandcastle_options *options);

/*
 * A file in memory with the bytes, to be read from its start: a descriptor above 2, the caller's to
 * close. -1 with errno.
 */
int lib_memory_file(const void *bytes, size_t len);

/* Takes an event of the sandbox that is about a command. */
void lib_command_event(struct sandcastle_sandbox *sb, const json_t *event);
/* Passes output on to the callbacks; lets go of the lock meanwhile. */
void lib_command_output(struct sandcastle_sandbox *sb, struct source *src);
bool lib_command_is_done(const struct sandcastle_command *cmd);
/* Closes what is ours of a command, and frees it. */
void lib_forget_command(struct sandcastle_command *cmd);
/* Sends SIGKILL to a command, and waits for nothing. */
void lib_kill_command(struct sandcastle_sandbox *sb, json_int_t number);

/*
 * Copies a caller's struct of options of any version into ours of `ours` bytes:
 * an older one's missing members are zero, a newer one's unknown ones have to be.
 */
int lib_take_options(struct sandcastle_sandbox *sb, void *to, size_t ours, const void *from);

#endif

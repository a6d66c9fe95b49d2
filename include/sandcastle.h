/* SPDX-License-Identifier: MIT */
/* sandcastle.h - throw-away Linux machines for programs: libsandcastle. */
#ifndef SANDCASTLE_H
#define SANDCASTLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * DOC: how it is used
 *
 *	sandcastle_new()    a handle, for one sandbox
 *	sandcastle_start()  begins to start it, as a process of its own, and returns
 *	sandcastle_exec()   runs a command in it; as many at once as you like
 *	sandcastle_command_wait(), sandcastle_next_event()
 *	                    wait for one command, or for whatever happens next
 *	sandcastle_free()   ends the sandbox, if it has not ended, and frees the handle
 *
 * A program may have as many as it likes. Each sandbox is a process, which ends
 * when the program does, however that ends, unless it asks for .outlive.
 *
 * Threads: any function may be called on one handle from several threads at
 * once, but for the two that free. There are no threads in the library: what
 * happens in the sandbox is noticed within calls. A program with a loop of its
 * own polls sandcastle_fd() and calls sandcastle_next_event(sb, 0, ...).
 *
 * Nothing is implicit: the environment is not read, no terminal and no signal
 * handler is touched, nothing is printed. What is passed in is copied. A
 * struct of options begins with its size, so that it can grow; set the rest to
 * zero and then what you want:
 *
 *	struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;
 *
 * Functions return SANDCASTLE_OK or a negative enum sandcastle_status, and
 * sandcastle_message() says in words what failed. Values that are there will
 * keep their numbers.
 */

enum sandcastle_status {
	SANDCASTLE_OK = 0,
	SANDCASTLE_E_INVALID = -1, /* an argument is not allowed; or not now */
	SANDCASTLE_E_MEMORY = -2, /* out of memory */
	SANDCASTLE_E_SYSTEM = -3, /* the host's kernel refused something */
	SANDCASTLE_E_START = -4, /* the sandbox could not be started */
	SANDCASTLE_E_TIMEOUT = -5, /* it has not happened yet; ask again */
	SANDCASTLE_E_ENDED = -6, /* the sandbox has ended, or the command was lost with it */
	SANDCASTLE_E_NOT_FOUND = -7, /* there is no such program in the sandbox */
	SANDCASTLE_E_EXEC = -8, /* the program cannot be executed */
	SANDCASTLE_E_REFUSED = -9, /* the sandbox did not do it, see the message */
};

struct sandcastle_sandbox; /* one sandbox */
struct sandcastle_command; /* one command in it; belongs to its sandbox */

/* A folder or file of the host, shown in the sandbox. */
struct sandcastle_map {
	const char *host; /* absolute */
	const char *guest; /* absolute; NULL: the same */
	int writable; /* 0: read-only, which the host enforces */
};

struct sandcastle_options {
	size_t size; /* sizeof(struct sandcastle_options) */
	const char *program; /* the sandcastle command, absolute; NULL: the library's own */
	const char *runtime_dir; /* where `sandcastle list` looks; NULL: /run/user/UID */
	const char *name; /* NULL: two words, by chance */
	const char *kernel; /* absolute; NULL: the host's */
	const char *user; /* who commands run as; NULL: the user of this process */
	const char *workdir; /* where commands start; NULL: / */
	const char *const *env; /* "K=V", NULL-terminated; NULL: none */
	const struct sandcastle_map *maps;
	size_t n_maps;
	uint64_t memory; /* ceiling in bytes; 0: half of the host's, at most 8 GiB */
	uint32_t cpus; /* 0: the host's, at most 4 */
	uint32_t outlive; /* not 0: it stays when this process ends */
	uint32_t pressure_events; /* not 0: SANDCASTLE_EVENT_PRESSURE is wanted */
	uint32_t reserved; /* 0; may mean something one day */
	/*
	 * Absolute: the sandbox is made of the system below that directory, as debootstrap
	 * makes one, not of this host's files. It is read as long as the sandbox runs. One that is
	 * none is SANDCASTLE_E_START of sandcastle_wait_ready(). NULL: this host's.
	 */
	const char *root;
	/*
	 * "internet": public addresses only; "user": what this host reaches, but for its own
	 * loopback; "tap=NAME", "libvirt:NAME": a network of yours; NULL or "none": no network.
	 * Ports are published either way.
	 */
	const char *network;
	/* Pixels of a screen, 1 to 8192, which comes with keyboard and pointer; 0: none of it. */
	uint32_t display_width, display_height;
	/*
	 * Ports that are published from the start, "[ADDR:]HOST:GUEST", NULL-terminated; NULL: none.
	 * One that is in use is SANDCASTLE_E_START of sandcastle_wait_ready(). sandcastle_publish()
	 * is better for a HOST of 0, any that is free: it says which that is.
	 */
	const char *const *publish;
};

#define SANDCASTLE_OPTIONS_INIT                                                                    \
	{                                                                                          \
		sizeof(struct sandcastle_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0, 0, 0                                                                    \
	}

/* Only SANDCASTLE_E_MEMORY and SANDCASTLE_E_SYSTEM, and there is no message. */
int sandcastle_new(struct sandcastle_sandbox **out);

/* Ends the sandbox at once if it runs, unless .outlive; frees its commands. NULL is fine. */
void sandcastle_free(struct sandcastle_sandbox *sb);

/*
 * Once for a handle. Returns when the process is started; SANDCASTLE_EVENT_READY
 * or SANDCASTLE_EVENT_ENDED follows.
 */
int sandcastle_start(struct sandcastle_sandbox *sb, const struct sandcastle_options *options);

/*
 * Waits until it is ready. Times are in milliseconds everywhere, -1: no limit.
 * SANDCASTLE_E_START: it ended before, and the message says why.
 */
int sandcastle_wait_ready(struct sandcastle_sandbox *sb, int timeout_ms);

/*
 * Asks the commands to end (SIGTERM), gives them grace_ms, then ends the sandbox;
 * grace_ms 0: at once. Returns when that is under way: sandcastle_wait().
 */
int sandcastle_stop(struct sandcastle_sandbox *sb, uint32_t grace_ms);

/* Waits until the sandbox has ended. */
int sandcastle_wait(struct sandcastle_sandbox *sb, int timeout_ms);

/* Its name once it is ready, NULL before; valid as long as the handle. */
const char *sandcastle_name(struct sandcastle_sandbox *sb);

/*
 * Copies what the guest's kernel, its console, and commands nobody reads said from
 * *position on (0: what is kept of it, the last 16 KiB), as far as it fits into len
 * bytes with a NUL, and moves *position behind it. Printable ASCII; "": nothing new.
 */
int sandcastle_logs(struct sandcastle_sandbox *sb, uint64_t *position, char *buf, size_t len);

/*
 * Copies what the last failed call on this handle said, in one line, cut to len
 * with its NUL, and returns its whole length. "" if none failed.
 */
size_t sandcastle_message(struct sandcastle_sandbox *sb, char *buf, size_t len);

/* --- files of the host --- */

/*
 * Shows one more folder or file of the host in the sandbox while it runs, as maps of
 * the options are from its start; waits for the sandbox to be ready.
 * SANDCASTLE_E_SYSTEM: .host cannot be opened; SANDCASTLE_E_REFUSED: its place is
 * taken, or there are 64 already, see the message.
 */
int sandcastle_share(struct sandcastle_sandbox *sb, const struct sandcastle_map *map);

/*
 * Takes it back, from the start or not, by its path in the sandbox, also from
 * programs that use it. What they wrote to a writable one is the host's when this
 * returns, but for memory mappings of a guest that did not hand them over within 10 s.
 * SANDCASTLE_E_REFUSED: nothing is shared there.
 */
int sandcastle_unshare(struct sandcastle_sandbox *sb, const char *guest);

/* --- ports --- */

/*
 * Leads a TCP port of this host to the port `guest` of the sandbox, which a program in it may
 * listen at by its loopback alone; waits for the sandbox to be ready. address is one of this
 * host's, "127.0.0.1" if NULL. *host is the port, or 0 for any free one, which it is set to then.
 * SANDCASTLE_E_SYSTEM: it is in use, or not allowed; SANDCASTLE_E_REFUSED: there are 64 already.
 */
int sandcastle_publish(struct sandcastle_sandbox *sb, const char *address, uint16_t *host,
		       uint16_t guest);

/* Takes it back; connections that are open stay. SANDCASTLE_E_REFUSED: nothing is published there. */
int sandcastle_unpublish(struct sandcastle_sandbox *sb, const char *address, uint16_t host);

/* --- commands --- */

/* Where a command's stdin, stdout or stderr goes. */
enum sandcastle_stdio_kind {
	SANDCASTLE_STDIO_NULL = 0, /* /dev/null */
	/*
	 * To or from .fd, which stays yours. Of a file, a pipe or a stream socket only what the
	 * command reads is taken (without tty): the rest is there when the command has ended.
	 */
	SANDCASTLE_STDIO_FD = 1,
	SANDCASTLE_STDIO_PIPE = 2, /* sandcastle_command_pipe() is the other end */
	SANDCASTLE_STDIO_CALLBACK = 3, /* .output is called; not for stdin */
};

struct sandcastle_stdio {
	int kind;
	int fd;
};

/*
 * Output of a command: stream is 1 or 2. Called in whatever thread waits on the
 * sandbox then. It may call any function but those that wait and those that free.
 */
typedef void (*sandcastle_output_fn)(void *data, int stream, const void *bytes, size_t len);

struct sandcastle_exec_options {
	size_t size; /* sizeof(struct sandcastle_exec_options) */
	const char *const *argv; /* NULL-terminated, at least one */
	const char *const *env; /* "K=V", NULL-terminated, besides the sandbox's; NULL: none */
	const char *user; /* NULL: the sandbox's */
	const char *workdir; /* NULL: the sandbox's */
	struct sandcastle_stdio stdio[3];
	sandcastle_output_fn output;
	void *data; /* for output() */
	/*
	 * Not 0: the command has a terminal of the sandbox's. stdio[0] is what is typed
	 * at it, stdio[1] what it shows, stdio[2] is not used. The library touches no
	 * terminal of yours: raw mode is the caller's.
	 */
	uint32_t tty;
	uint16_t rows, columns; /* of the terminal; 0: not known */
};

#define SANDCASTLE_EXEC_OPTIONS_INIT                                                             \
	{                                                                                        \
		sizeof(struct sandcastle_exec_options), 0, 0, 0, 0, {{0, 0}, {0, 0}, {0, 0}}, 0, \
			0, 0, 0, 0                                                               \
	}

/*
 * Starts a command; waits for the sandbox to be ready. *out belongs to the
 * sandbox and may be freed before it.
 */
int sandcastle_exec(struct sandcastle_sandbox *sb, const struct sandcastle_exec_options *options,
		    struct sandcastle_command **out);

/*
 * Our end of a stream that is a pipe: yours to read or write, and to close by
 * sandcastle_command_close(), at the latest when the command is freed. -1: none.
 */
int sandcastle_command_pipe(struct sandcastle_command *cmd, int stream);
void sandcastle_command_close(struct sandcastle_command *cmd, int stream);

/*
 * Waits until it has ended and its output was passed on. *code: 0 to 255 as of
 * exit(), or 128 + N if signal N ended it.
 */
int sandcastle_command_wait(struct sandcastle_command *cmd, int timeout_ms, int *code);

int sandcastle_command_signal(struct sandcastle_command *cmd, int signal);

/* The window of its terminal has another size; the command gets SIGWINCH. */
int sandcastle_command_winsize(struct sandcastle_command *cmd, uint16_t rows, uint16_t columns);

/* Kills it if it runs. NULL is fine. */
void sandcastle_command_free(struct sandcastle_command *cmd);

/* --- the screen, of a sandbox with .display_width and .display_height --- */

/*
 * Saves what monitor `monitor` (1 to 4) shows as a PNG file; needs libpng, which is loaded here.
 * SANDCASTLE_E_REFUSED: there is no display, or nothing on it; _E_SYSTEM: the file.
 */
int sandcastle_screenshot(struct sandcastle_sandbox *sb, uint32_t monitor, const char *path);

/*
 * These type and click, as fast as a quick hand, and return when the guest has got all of it; its
 * programs may still be reading. SANDCASTLE_E_REFUSED: there is no display, or the guest
 * does not take it; then it has got a part.
 */

/* Keys together: "ctrl+alt+t", "enter", "f5"; the names are in sandcastle(1). */
int sandcastle_send_key(struct sandcastle_sandbox *sb, const char *chord);

/* ASCII, by the US layout, which the guest should have; _E_INVALID: no key makes a character of it. */
int sandcastle_send_text(struct sandcastle_sandbox *sb, const char *text);

enum sandcastle_button {
	SANDCASTLE_BUTTON_LEFT = 0,
	SANDCASTLE_BUTTON_MIDDLE = 1,
	SANDCASTLE_BUTTON_RIGHT = 2,
};

/* At pixel x, y of the screenshot of that monitor. Two in a row are a double click. */
int sandcastle_send_click(struct sandcastle_sandbox *sb, uint32_t monitor, uint32_t x, uint32_t y,
			  int button);

/* Turns the wheel by that many notches, at most 100; up is positive. */
int sandcastle_send_wheel(struct sandcastle_sandbox *sb, int notches);

/* --- what happens --- */

enum sandcastle_event_type {
	SANDCASTLE_EVENT_NONE = 0,
	SANDCASTLE_EVENT_READY = 1,
	SANDCASTLE_EVENT_EXITED = 2, /* .command, .code as sandcastle_command_wait() */
	SANDCASTLE_EVENT_ENDED = 3, /* .reason; the last one */
	SANDCASTLE_EVENT_PRESSURE = 4, /* .code: enum sandcastle_pressure; if it is wanted */
};

/* How the sandbox's memory fares. An event tells of the latest change, not of each. */
enum sandcastle_pressure {
	SANDCASTLE_PRESSURE_CALM = 0, /* as at the start */
	SANDCASTLE_PRESSURE_SQUEEZING = 1, /* the host is short, and takes some from the guest */
};

enum sandcastle_reason {
	SANDCASTLE_REASON_NONE = 0,
	SANDCASTLE_REASON_STOPPED = 1, /* as asked for */
	SANDCASTLE_REASON_POWERED_OFF = 2, /* from inside */
	SANDCASTLE_REASON_PANICKED = 3, /* the guest's kernel gave up */
	SANDCASTLE_REASON_FAILED = 4, /* anything else; sandcastle_message() says more */
};

struct sandcastle_event {
	int type;
	int reason;
	int code;
	struct sandcastle_command *command;
};

/* Readable when sandcastle_next_event() has something to do. The handle's own. */
int sandcastle_fd(const struct sandcastle_sandbox *sb);

/* The next thing that happened. SANDCASTLE_E_TIMEOUT: nothing did; 0 never waits. */
int sandcastle_next_event(struct sandcastle_sandbox *sb, int timeout_ms,
			  struct sandcastle_event *event);

struct sandcastle_stats {
	size_t size; /* sizeof(struct sandcastle_stats), set by the caller */
	uint64_t uptime_ms;
	uint64_t cpu_ms; /* of the sandbox's process */
	uint64_t resident; /* bytes of the host's memory it uses, shared ones included */
	uint64_t private_bytes; /* of these, what nothing else uses */
	uint32_t commands;
	uint32_t pid; /* the sandbox's process */
};

int sandcastle_stats(struct sandcastle_sandbox *sb, struct sandcastle_stats *stats);

/* "0.1.0" */
const char *sandcastle_version(void);

#ifdef __cplusplus
}
#endif

#endif

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
 * What is in it: this host's programs, libraries and /etc but for its secrets, an
 * empty home, and the maps. Everything but the maps is writable and gone at the end;
 * what is written to / and /tmp takes the sandbox's memory. It runs the host's
 * kernel, which this process has to be allowed to read (/boot/vmlinuz-*).
 *
 * Threads: any function may be called on one handle from several threads at
 * once, but for sandcastle_free(). A command is freed when no other thread uses it.
 * There are no threads in the library: what happens in the sandbox is noticed
 * within calls. A program with a loop of its own polls sandcastle_fd() and calls
 * sandcastle_next_event(sb, 0, ...).
 *
 * Time limits: a call that asks the sandbox waits at most .call_timeout_ms for its
 * answer, then it is SANDCASTLE_E_TIMEOUT; the sandbox may still do it, but
 * a command that begins after that is killed. Signals do not cut a wait short;
 * sandcastle_wake() does.
 *
 * Processes: the child that sandcastle_start() makes lives until the sandbox is ready, in
 * this process's group; the sandbox itself has a session of its own. In a
 * forked child only sandcastle_free() may be called, which leaves the sandbox to the parent.
 *
 * Nothing is implicit: the environment is not read, no terminal and no signal
 * handler is touched, nothing is printed. What is passed in is copied. A
 * struct begins with its size, so that it can grow; set the rest to zero and then what
 * you want:
 *
 *	struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;
 *
 * Functions return SANDCASTLE_OK or a negative enum sandcastle_status, and
 * sandcastle_message() says in words what failed. A handle, command or pointer that is
 * NULL is SANDCASTLE_E_INVALID without a message, unless it says that it may be. Values
 * that are there will keep their numbers.
 */

enum sandcastle_status {
	SANDCASTLE_OK = 0,
	SANDCASTLE_E_INVALID = -1, /* an argument is not allowed; or not now */
	SANDCASTLE_E_MEMORY = -2, /* out of memory */
	SANDCASTLE_E_SYSTEM = -3, /* the host's kernel refused something */
	SANDCASTLE_E_START = -4, /* the sandbox could not be started */
	SANDCASTLE_E_TIMEOUT = -5, /* it has not happened yet; a wait may be repeated */
	SANDCASTLE_E_ENDED = -6, /* the sandbox has ended, or the command was lost with it */
	SANDCASTLE_E_NOT_FOUND = -7, /* there is no such program in the sandbox */
	SANDCASTLE_E_EXEC = -8, /* it cannot be executed, or there is no such user or workdir */
	SANDCASTLE_E_REFUSED = -9, /* the sandbox did not do it, see the message */
	SANDCASTLE_E_NO_KVM = -10, /* this process cannot use /dev/kvm, so no sandbox can start */
	SANDCASTLE_E_INTERRUPTED = -11 /* sandcastle_wake() */
};

struct sandcastle_sandbox; /* one sandbox */
struct sandcastle_command; /* one command in it; belongs to its sandbox */

enum sandcastle_map_mode {
	SANDCASTLE_MAP_READ_ONLY = 0, /* which the host enforces */
	SANDCASTLE_MAP_WRITABLE = 1,
	SANDCASTLE_MAP_DISCARD = 2 /* writable inside, and thrown away; from the start only */
};

/* A folder or file of the host, shown in the sandbox. */
struct sandcastle_map {
	const char *host; /* absolute */
	const char *guest; /* absolute; NULL: the same */
	uint32_t mode; /* enum sandcastle_map_mode */
	uint32_t reserved[3]; /* 0 */
};

struct sandcastle_options {
	size_t size; /* sizeof(struct sandcastle_options) */
	const char *program; /* the sandcastle command, absolute; NULL: the library's own */
	const char *runtime_dir; /* where `sandcastle list` looks; NULL: /run/user/UID */
	const char *name; /* 1 to 63 letters, digits and inner dashes; NULL: two words, by chance */
	const char *kernel; /* absolute; NULL: the host's */
	const char *user; /* who runs commands, by name or number; NULL: this process's */
	const char *workdir; /* where commands start; NULL: / */
	/*
	 * "K=V", NULL-terminated, for all commands; NULL: none. Besides these they have PATH, HOME, USER,
	 * LOGNAME, SHELL, LANG and XDG_RUNTIME_DIR. At most 1 MiB.
	 */
	const char *const *env;
	const struct sandcastle_map *maps;
	size_t n_maps; /* at most 64 */
	uint64_t memory; /* ceiling in bytes, from 128 MiB; 0: half the host's, at most 8 GiB */
	uint32_t cpus; /* 1 to 64; 0: the host's, at most 4 */
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
	 * Ports that are published from the start, "[ADDR:]HOST:GUEST[/udp]", NULL-terminated; NULL:
	 * none. One that is in use is SANDCASTLE_E_START of sandcastle_wait_ready().
	 * sandcastle_publish() is better for a HOST of 0, any that is free: it says which that is.
	 */
	const char *const *publish;
	/* "host", "none", or the absolute path of a file (sandcastle(1), --battery); NULL: the host's */
	const char *battery;
	/* How long calls wait for an answer of the sandbox; 0: a minute, -1: for ever. */
	int32_t call_timeout_ms;
	/* When the sandbox is ended, from its start on: SANDCASTLE_REASON_TIME_LIMIT. 0: never. */
	uint32_t timeout_ms;
	uint32_t debug_console; /* not 0: sandcastle_logs() has all that the guest's kernel says */
};

#define SANDCASTLE_OPTIONS_INIT                                                                    \
	{                                                                                          \
		sizeof(struct sandcastle_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0, 0, 0, 0, 0, 0, 0                                                        \
	}

/* Whether this process can start sandboxes at all: SANDCASTLE_OK or SANDCASTLE_E_NO_KVM. */
int sandcastle_probe(void);

/* Only SANDCASTLE_E_MEMORY and SANDCASTLE_E_SYSTEM, and there is no message. */
int sandcastle_new(struct sandcastle_sandbox **out);

/*
 * Ends the sandbox at once if it runs, unless .outlive, for which it waits 5 s at most; frees its
 * commands. NULL is fine.
 */
void sandcastle_free(struct sandcastle_sandbox *sb);

/*
 * Once for a handle. Returns when the process is started; SANDCASTLE_EVENT_READY
 * or SANDCASTLE_EVENT_ENDED follows.
 */
int sandcastle_start(struct sandcastle_sandbox *sb, const struct sandcastle_options *options);

/*
 * Waits until it is ready. Times are in milliseconds everywhere, -1: no limit.
 * SANDCASTLE_E_START, or SANDCASTLE_E_NO_KVM: it ended before, and the message says
 * why. The event of it is still to be fetched.
 */
int sandcastle_wait_ready(struct sandcastle_sandbox *sb, int timeout_ms);

/*
 * Asks the commands to end (SIGTERM), gives them grace_ms, then ends the sandbox;
 * grace_ms 0: at once. Returns when that is under way: sandcastle_wait().
 */
int sandcastle_stop(struct sandcastle_sandbox *sb, uint32_t grace_ms);

/* Waits until the sandbox has ended. */
int sandcastle_wait(struct sandcastle_sandbox *sb, int timeout_ms);

/*
 * Ends one wait, the present or the next one, in whatever thread: SANDCASTLE_E_INTERRUPTED. From any
 * thread, and from signal handlers.
 */
void sandcastle_wake(struct sandcastle_sandbox *sb);

/* A pointer of yours that goes with the handle; NULL at first. */
void sandcastle_set_data(struct sandcastle_sandbox *sb, void *data);
void *sandcastle_data(const struct sandcastle_sandbox *sb);

/* Its name once it is ready, NULL before; valid as long as the handle. */
const char *sandcastle_name(struct sandcastle_sandbox *sb);

/*
 * Copies what the guest's kernel and its console said from
 * *position on (0: what is kept of it, the last 16 KiB), as far as it fits into len
 * bytes with a NUL, and moves *position behind it. Printable ASCII; "": nothing new.
 */
int sandcastle_logs(struct sandcastle_sandbox *sb, uint64_t *position, char *buf, size_t len);

/*
 * Copies what the last failed call on this handle said, of whichever thread (a wait that
 * ends with _E_TIMEOUT or _E_INTERRUPTED has not failed), in one line, cut to len with its NUL, and returns its whole length. "" if none failed.
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
 * Leads a TCP port of this host, or with _udp one for datagrams, to the port `guest` of the
 * sandbox, which a program in it may listen at by its loopback alone; waits for the sandbox to be
 * ready. address is one of this host's, "127.0.0.1" if NULL. *host is the port, or 0 for any free
 * one, which it is set to then. SANDCASTLE_E_SYSTEM: it is in use, or not allowed;
 * SANDCASTLE_E_REFUSED: there are 64 already.
 */
int sandcastle_publish(struct sandcastle_sandbox *sb, const char *address, uint16_t *host,
		       uint16_t guest);
int sandcastle_publish_udp(struct sandcastle_sandbox *sb, const char *address, uint16_t *host,
			   uint16_t guest);

/* Takes it back; connections that are open stay. SANDCASTLE_E_REFUSED: nothing is published there. */
int sandcastle_unpublish(struct sandcastle_sandbox *sb, const char *address, uint16_t host);
int sandcastle_unpublish_udp(struct sandcastle_sandbox *sb, const char *address, uint16_t host);

/* --- commands --- */

/* Where a command's stdin, stdout or stderr goes. */
enum sandcastle_stdio_kind {
	SANDCASTLE_STDIO_NULL = 0, /* /dev/null */
	/*
	 * To or from .fd, which stays yours. Of a file, a pipe or a stream socket only what the
	 * command reads is taken (without tty): the rest is there when the command has ended.
	 */
	SANDCASTLE_STDIO_FD = 1,
	/*
	 * sandcastle_command_pipe() is the other end. A write to it when the command has ended raises
	 * SIGPIPE; a command that has written more than you have read has not ended.
	 */
	SANDCASTLE_STDIO_PIPE = 2,
	SANDCASTLE_STDIO_CALLBACK = 3, /* .output is called; not for stdin */
	SANDCASTLE_STDIO_BYTES = 4 /* stdin only: the .input_len bytes at .input */
};

struct sandcastle_stdio {
	int kind;
	int fd;
};

/*
 * Output of a command: stream is 1 or 2. Called within any call on the handle, also before
 * the command's own sandcastle_exec() has returned. It may call any function but those that
 * wait for something to happen (SANDCASTLE_E_INVALID) and those that free. Much output does not
 * keep a call: after 1 MiB of it sandcastle_next_event(sb, 0, ...) returns.
 */
typedef void (*sandcastle_output_fn)(void *data, int stream, const void *bytes, size_t len);

struct sandcastle_exec_options {
	size_t size; /* sizeof(struct sandcastle_exec_options) */
	const char *const *argv; /* NULL-terminated, at least one */
	const char *const *env; /* "K=V", NULL-terminated, besides the sandbox's; NULL: none more */
	const char *user; /* NULL: the sandbox's */
	const char *workdir; /* NULL: the sandbox's */
	struct sandcastle_stdio stdio[3];
	sandcastle_output_fn output;
	void *data; /* for output(), sandcastle_command_data() and the event */
	/*
	 * Not 0: the command has a terminal of the sandbox's. stdio[0] is what is typed
	 * at it, stdio[1] what it shows, stdio[2] is not used. The library touches no
	 * terminal of yours: raw mode is the caller's.
	 */
	uint32_t tty;
	uint16_t rows, columns; /* of the terminal; 0: not known */
	const void *input; /* of SANDCASTLE_STDIO_BYTES; copied */
	size_t input_len;
	/*
	 * What each process of the command is held to; 0: no limit. Bytes of address space, beyond
	 * which memory is not given; bytes of a file, beyond which SIGXFSZ ends it.
	 */
	uint64_t limit_memory, limit_file_size;
	/* Seconds of CPU time; SIGXCPU ends it then, and SIGKILL a second later. */
	uint32_t limit_cpu_s;
	/* Processes and threads that its user may have in the sandbox, all commands together; not root's. */
	uint32_t limit_processes;
	uint32_t limit_files; /* descriptors open at once */
	uint32_t reserved; /* 0 */
};

#define SANDCASTLE_EXEC_OPTIONS_INIT                                                             \
	{                                                                                        \
		sizeof(struct sandcastle_exec_options), 0, 0, 0, 0, {{0, 0}, {0, 0}, {0, 0}}, 0, \
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                       \
	}

/*
 * Starts a command; waits for the sandbox to be ready. *out belongs to the
 * sandbox and may be freed before it. A command ends when its first process does, and what
 * that has written is passed on; what it leaves running runs on. At most 256 at once, and 2 MiB
 * of arguments and environment.
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
 * Waits until it has ended and its output was passed on. *code, if not NULL: 0 to 255 as of
 * exit(), or 128 + N if signal N ended it. SANDCASTLE_E_ENDED: it was lost with the sandbox.
 */
int sandcastle_command_wait(struct sandcastle_command *cmd, int timeout_ms, int *code);

/* The signal that ended it; 0: none, or it has not ended. */
int sandcastle_command_end_signal(struct sandcastle_command *cmd);

struct sandcastle_usage {
	size_t size; /* sizeof(struct sandcastle_usage), set by the caller */
	uint64_t user_us, system_us; /* CPU time, microseconds */
	uint64_t memory; /* bytes: the most that one of its processes had at a time */
};

#define SANDCASTLE_USAGE_INIT                            \
	{                                                \
		sizeof(struct sandcastle_usage), 0, 0, 0 \
	}

/*
 * What it used, with all children that it has waited for, as the sandbox says: root in there may
 * lie. SANDCASTLE_E_TIMEOUT: it has not ended.
 */
int sandcastle_command_usage(struct sandcastle_command *cmd, struct sandcastle_usage *usage);

/* The .data it was started with. */
void *sandcastle_command_data(const struct sandcastle_command *cmd);

/* To the process group it leads. SANDCASTLE_OK also if it has ended. */
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
	SANDCASTLE_BUTTON_RIGHT = 2
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
	SANDCASTLE_EVENT_EXITED = 2, /* .command, its .data, .code, and .signal or 0 */
	SANDCASTLE_EVENT_ENDED = 3, /* .reason; the last one */
	SANDCASTLE_EVENT_PRESSURE = 4 /* .code: enum sandcastle_pressure; if it is wanted */
};

/* How the sandbox's memory fares. An event tells of the latest change, not of each. */
enum sandcastle_pressure {
	SANDCASTLE_PRESSURE_CALM = 0, /* as at the start */
	SANDCASTLE_PRESSURE_SQUEEZING = 1 /* the host is short, and takes some from the guest */
};

enum sandcastle_reason {
	SANDCASTLE_REASON_NONE = 0,
	SANDCASTLE_REASON_STOPPED = 1, /* as asked for */
	SANDCASTLE_REASON_POWERED_OFF = 2, /* from inside */
	SANDCASTLE_REASON_PANICKED = 3, /* the guest's kernel gave up */
	SANDCASTLE_REASON_FAILED = 4, /* anything else; sandcastle_message() says more */
	SANDCASTLE_REASON_TIME_LIMIT = 5 /* .timeout_ms */
};

struct sandcastle_event {
	size_t size; /* sizeof(struct sandcastle_event), set by the caller */
	int type;
	int reason;
	int code;
	int signal;
	struct sandcastle_command *command;
	void *data;
};

#define SANDCASTLE_EVENT_INIT                                     \
	{                                                         \
		sizeof(struct sandcastle_event), 0, 0, 0, 0, 0, 0 \
	}

/*
 * POLLIN, as long as sandcastle_next_event() has something to do. The handle's own, from
 * sandcastle_new() to sandcastle_free().
 */
int sandcastle_fd(const struct sandcastle_sandbox *sb);

/*
 * The next thing that happened: READY and ENDED come once each, also where something waited for them,
 * and so does EXITED for each command until that is freed. Commands that are lost with the sandbox have
 * none. SANDCASTLE_E_TIMEOUT: nothing happened; a timeout of 0 never waits. SANDCASTLE_E_ENDED: ENDED
 * was fetched, nothing follows.
 */
int sandcastle_next_event(struct sandcastle_sandbox *sb, int timeout_ms,
			  struct sandcastle_event *event);

struct sandcastle_stats {
	size_t size; /* sizeof(struct sandcastle_stats), set by the caller */
	uint64_t uptime_ms;
	uint64_t cpu_ms; /* of the sandbox's process */
	uint64_t resident; /* bytes of guest memory that the host has given */
	uint64_t private_bytes; /* its process's own besides; the sum is what one more costs */
	uint32_t commands;
	uint32_t pid; /* the sandbox's process */
	uint64_t guest_total, guest_available; /* bytes, as the guest's kernel says; 0: not yet */
};

int sandcastle_stats(struct sandcastle_sandbox *sb, struct sandcastle_stats *stats);

/* "0.1.0" */
const char *sandcastle_version(void);

#ifdef __cplusplus
}
#endif

#endif

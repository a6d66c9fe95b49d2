/* SPDX-License-Identifier: MIT */
/* common/agent_protocol.h - what the guest agent and the VMM say to each other. */
#ifndef COMMON_AGENT_PROTOCOL_H
#define COMMON_AGENT_PROTOCOL_H

#include <stdint.h>

/*
 * DOC: the agent protocol
 *
 * Both ends are built from one tree and travel together (the agent is in the
 * initramfs the VMM makes), so there is one version and no negotiation. The
 * transport is vsock, the guest connects, the host (CID 2) listens:
 *
 *   SC_PORT_CONTROL  one connection, framed messages both ways
 *   SC_PORT_CLOCK    one connection: a byte asks for the host's time, a u64 answers, nanoseconds
 *                    of CLOCK_REALTIME; one that was not asked for says that the clock was set
 *   SC_PORT_STREAM   one connection per stdio stream of a command; it starts
 *                    with a struct sc_stream_hello from the guest, raw bytes after that
 *
 * A message is a struct sc_header and `length` bytes of body. A body is a list
 * of fields: struct sc_field, then `length` bytes, no padding. Integers are
 * little endian and unaligned. Strings carry no terminator and hold no NUL.
 * Unknown fields and messages are an error on either side.
 *
 *   guest                                host
 *     HELLO {VERSION, KERNEL}         ->
 *                                     <-   PARK             where a template is made
 *     PARKED                          ->                    (see there)
 *                                     <-   RESUME {...}     (sent at once,
 *                                     <-   SETUP {...}       without
 *                                     <-   EXEC id {...}     waiting)
 *     READY {ADDRESS}                 ->
 *     stream connections for id       ->
 *     STARTED id {PID}                ->
 *                                     <-   SIGNAL id, WINSIZE id
 *     EXITED id {CODE or SIGNAL, ...} ->   after the last byte of stdout and stderr was sent
 *                                     <-   MAP id {MAP}, UNMAP id {MAP}
 *     MAP_DONE id                     ->
 *                                     <-   CONNECT id {PORT, UDP}
 *     a stream connection for id      ->   joined with the guest's port
 *                                     <-   GRAPHICS_LOST
 *                                     <-   SHUTDOWN
 *
 *   MAP_FAILED id {ERRNO, TEXT} instead of MAP_DONE
 *   CONNECT_FAILED id {ERRNO, TEXT} instead of the stream
 *   EXEC_FAILED id {ERRNO, TEXT} instead of STARTED when the command cannot be run
 *   FAILED {TEXT} whenever the agent cannot go on; it powers off after it
 *
 * Up to PARKED the guest knows nothing of whose it is. The machine may be written to a file then, and
 * go on as often as that is read: each time with another RESUME, whose random bytes and time
 * the guest takes over before anything else. A machine that is started cold gets RESUME
 * too, so that there is one way only.
 *
 * Host to guest bodies may be SC_BODY_MAX_HOST bytes long (argument lists),
 * guest to host ones SC_BODY_MAX_GUEST.
 *
 * stdio: without a tty, three streams: 0 (host to guest), 1 and 2 (guest to
 * host), the ends are shut down as pipes are; the guest says on stream 0 how many bytes of
 * it the command has read since its start, a u32 that wraps around, each time there is
 * something to say and before the stream ends. With a tty, stream 0 alone, both ways.
 * CONNECT has stream 0, both ways, of which each end shuts down its half. With UDP there are
 * datagrams on it, each behind its length, a u16 of at most SC_DATAGRAM_MAX; the host closes it.
 */

enum {
	SC_PROTOCOL_VERSION = 2,

	SC_ENTROPY_BYTES = 64,

	SC_PORT_CONTROL = 1024,
	SC_PORT_STREAM = 1025,
	SC_PORT_CLOCK = 1026,
	/* The guest's end of all is one of the ports from 1 to this, which its kernel gives to root only. */
	SC_PORT_GUEST_MAX = 1023,

	SC_BODY_MAX_HOST = 4 * 1024 * 1024,
	SC_BODY_MAX_GUEST = 4096,

	SC_DATAGRAM_MAX = 65507, /* of UDP in IPv4 */
};

enum sc_message {
	/* guest to host */
	SC_MSG_HELLO = 1,
	SC_MSG_READY = 2,
	SC_MSG_STARTED = 3,
	SC_MSG_EXEC_FAILED = 4,
	SC_MSG_EXITED = 5,
	SC_MSG_FAILED = 6,
	SC_MSG_MAP_DONE = 7,
	SC_MSG_MAP_FAILED = 8,
	SC_MSG_CONNECT_FAILED = 9,
	SC_MSG_PARKED = 10, /* all is done that does not depend on whose it is, and nothing runs */
	/* host to guest */
	SC_MSG_SETUP = 32,
	SC_MSG_EXEC = 33,
	SC_MSG_SIGNAL = 34,
	SC_MSG_WINSIZE = 35,
	SC_MSG_SHUTDOWN = 36,
	SC_MSG_MAP = 37, /* mount it where it says */
	SC_MSG_UNMAP = 38, /* write back what is due, and detach it, in use or not */
	SC_MSG_CONNECT = 39, /* to a port of the guest's, on its loopback or its own address */
	SC_MSG_GRAPHICS_LOST = 40, /* the host's GPU is: have the display's driver look anew */
	SC_MSG_PARK = 41, /* before RESUME, once at most: answer PARKED */
	SC_MSG_RESUME = 42, /* before SETUP */
};

/* Type in brackets: u32, str. "many": may repeat, order kept. */
enum sc_field_tag {
	SC_FIELD_VERSION = 1, /* [u32] HELLO */
	SC_FIELD_KERNEL = 2, /* [str] HELLO: uname -r */
	SC_FIELD_PID = 3, /* [u32] STARTED */
	/* [u32] EXEC_FAILED (ENOENT: there is no such program), MAP_FAILED, CONNECT_FAILED: Linux errno */
	SC_FIELD_ERRNO = 4,
	SC_FIELD_TEXT = 5, /* [str] the same, FAILED: what the agent was doing */
	SC_FIELD_CODE = 6, /* [u32] EXITED: exit status 0 to 255 */
	SC_FIELD_SIGNAL = 7, /* [u32] EXITED: ended by it; SIGNAL: to send */
	SC_FIELD_HOSTNAME = 8, /* [str] SETUP */
	SC_FIELD_USER = 9, /* [str] SETUP: the invoking user's name; EXEC: run as (name or uid) */
	SC_FIELD_UID = 10, /* [u32] SETUP: the invoking user's */
	SC_FIELD_GID = 11, /* [u32] SETUP */
	SC_FIELD_HOME = 12, /* [str] SETUP: that user's home directory */
	SC_FIELD_SHELL = 13, /* [str] SETUP: that user's shell */
	SC_FIELD_MAP = 14, /* struct sc_map, then the guest path; SETUP, many; MAP, UNMAP: one */
	SC_FIELD_ARG = 15, /* [str] EXEC, many: argv, at least one */
	SC_FIELD_ENV = 16, /* [str] EXEC, many: K=V, added to the default environment */
	SC_FIELD_CWD = 17, /* [str] EXEC; the home directory if absent */
	SC_FIELD_TTY = 18, /* [u32] EXEC: 1 for a pty on stream 0 */
	SC_FIELD_ROWS = 19, /* [u32] EXEC, WINSIZE */
	SC_FIELD_COLUMNS = 20, /* [u32] EXEC, WINSIZE */
	SC_FIELD_TIMELINE = 21, /* [u32] SETUP: 1 if READY is to say what the start was made of */
	SC_FIELD_NETWORK = 23, /* struct sc_network; SETUP, absent without a network */
	SC_FIELD_RESOLV_CONF = 24, /* [str] SETUP: what /etc/resolv.conf says; absent: nothing */
	SC_FIELD_PORT = 25, /* [u32] CONNECT: 1 to 65535 */
	SC_FIELD_UDP = 27, /* [u32] CONNECT: 1 for datagrams */
	SC_FIELD_ADDRESS = 26, /* [u32] READY: the card's, 127.0.0.1 is 0x7f000001; absent: none */
	SC_FIELD_ENTROPY = 27, /* SC_ENTROPY_BYTES random bytes; RESUME */
	SC_FIELD_REALTIME = 28, /* struct sc_realtime; RESUME: the host's clock, now */
	SC_FIELD_SESSION =
		29, /* [u32] EXEC: 1 to show it on the display, in a session made for it */
	SC_FIELD_USAGE = 30, /* struct sc_usage; EXITED */
	SC_FIELD_LIMITS =
		31, /* SC_LIMITS u64, by enum sc_limit, 0: none; EXEC, absent without any */
	SC_FIELD_STEP = 22, /* struct sc_step, then its name; READY, many, the last ends now */
};

/* What a command and each of its children is held to: the guest kernel's RLIMIT_... of that name. */
enum sc_limit {
	SC_LIMIT_MEMORY, /* AS, bytes */
	SC_LIMIT_FILE_SIZE, /* FSIZE, bytes */
	SC_LIMIT_CPU_SECONDS, /* CPU */
	SC_LIMIT_PROCESSES, /* NPROC, of its user's */
	SC_LIMIT_FILES, /* NOFILE */
	SC_LIMITS
};

struct sc_header {
	uint32_t length; /* of the body, bytes */
	uint16_t type; /* enum sc_message */
	uint16_t zero;
	uint32_t id; /* the EXEC, MAP, UNMAP or CONNECT it belongs to, counted together; 0: none */
} __attribute__((packed));

struct sc_field {
	uint32_t tag; /* enum sc_field_tag */
	uint32_t length; /* bytes that follow */
} __attribute__((packed));

/* A host folder in the guest: directory "map<index>" of the file system, mounted at the path. */
struct sc_map {
	uint32_t index;
	uint32_t writable; /* 0 or 1: what the mount flag says; the host enforces it */
	uint32_t is_file; /* 1: one file, at "map<index>/file" */
	uint32_t
		discard; /* 1: a folder, below a layer in the guest's memory that takes its changes */
} __attribute__((packed));

/* What a command used, with all of its children that it has waited for: getrusage(2). */
struct sc_usage {
	uint64_t user_us, system_us; /* CPU time, microseconds */
	uint64_t memory; /* bytes: the most that one of its processes had at a time */
} __attribute__((packed));

/* A part of the guest's start, nanoseconds of the guest's clock. */
struct sc_step {
	uint64_t begin, end;
	uint32_t
		kernel; /* 1: the name is a line of the kernel's log, and what follows it is meant */
} __attribute__((packed));

/*
 * The guest's network card; addresses in the order of the wire, prefixes are /24 and /64. All of
 * them 0: the guest asks for its own by DHCP.
 */
struct sc_network {
	uint8_t mac[6];
	uint8_t guest4[4], gateway4[4];
	uint8_t guest6[16], gateway6[16]; /* the latter is link-local */
} __attribute__((packed));

struct sc_realtime {
	uint64_t ns; /* since 1970 */
} __attribute__((packed));

struct sc_stream_hello {
	uint32_t id; /* which command, or connection */
	uint32_t stream; /* 0, 1 or 2 */
} __attribute__((packed));

/*
 * Two file systems, by their virtio-fs tags. In the first, directory "base" is the base
 * image, "modules" what belongs to /lib/modules/$(uname -r); both read-only. In the second
 * are the maps, "map<index>".
 */
#define SC_FS_TAG      "sandcastle"
#define SC_FS_BASE     "base"
#define SC_FS_MODULES  "modules"
#define SC_FS_MAPS_TAG "sandcastle-maps"

/*
 * In the initramfs: modules to load, one path a line, in order, parameters
 * behind a blank. "?" first: may fail, and is loaded after those without, when
 * the first command was started.
 */
#define SC_MODULES_LIST "/modules"

#endif

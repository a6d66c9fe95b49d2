/* SPDX-License-Identifier: MIT */
#include "guest-agent/desktop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/exit_codes.h"
#include "guest-agent/exec.h"
#include "guest-agent/files.h"
#include "guest-agent/graphics.h"

#define OUR_DIR	   "/run/sandcastle"
#define LOG_FILE   OUR_DIR "/session.log"
#define SWAY_FILE  OUR_DIR "/sway.conf"
#define FIRST_TTY  "/dev/tty1"
#define X_DISPLAY  ":0"
#define NAMES_FILE "/sandcastle-session" /* in the user's runtime directory */

enum {
	STEP_MS = 20,
	EVENTS_MS = 10 * 1000, /* for the module that makes /dev/input/event* */
	NAMES_MS = 300 * 1000, /* for a compositor, also where the processor is emulated */
	LOG_TAIL = 1024,
	EXTRA_MAX = 16,
};

/*
 * A tab for each window, and none for a single one. Keys are the program's but for two, as a
 * dialog without a button could not be left otherwise.
 */
static const char sway_config[] = "default_border none\n"
				  "hide_edge_borders --i3 none\n"
				  "workspace_layout tabbed\n"
				  "bindsym Mod1+F4 kill\n"
				  "bindsym Mod1+Tab focus next\n"
				  "exec printf '%s\\n%s\\n' \"$WAYLAND_DISPLAY\" \"$DISPLAY\" "
				  ">\"$XDG_RUNTIME_DIR" NAMES_FILE "\"\n";

static const char xorg_file[] = OUR_DIR "/xorg.conf";

/* GL by software would only copy what the processor can copy by itself. */
static const char xorg_config[] = "Section \"Device\"\n"
				  "Identifier \"screen\"\n"
				  "Driver \"modesetting\"\n"
				  "Option \"AccelMethod\" \"none\"\n"
				  "EndSection\n";

struct desktop {
	const struct exec_plan *plan;
	int log; /* LOG_FILE */
	bool is_3d; /* the host's GPU draws */
	const char *runtime; /* XDG_RUNTIME_DIR */
	struct text extra[EXTRA_MAX]; /* what the environment has besides */
	size_t n_extra;
	pid_t udevd, compositor, bus;
};

int desktop_read_names(const char *text, size_t len, struct desktop_names *out)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789:.-_";
	struct desktop_names n = {.wayland = ""};
	char *const fields[] = {n.wayland, n.x11};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *end = memchr(text, '\n', len);
		const size_t size = end ? (size_t)(end - text) : len;

		if (size >= sizeof(n.wayland))
			return -EPROTO;
		if (!end)
			return -EAGAIN;
		memcpy(fields[i], text, size);
		fields[i][size] = '\0';
		if (strspn(fields[i], good) != size)
			return -EPROTO;
		text += size + 1;
		len -= size + 1;
	}
	*out = n;
	return 0;
}

/* One line on the command's standard error. */
static int complain(const char *what, const char *cure)
{
	struct text line = {.len = 0};

	text_add(&line, "sandcastle: ");
	text_add(&line, what);
	text_add(&line, cure);
	text_add(&line, "\n");
	(void)!write_all(STDERR_FILENO, line.buf, line.len);
	return -EPIPE;
}

/* The end of what the session's programs said: one of them may have said why. */
static int complain_with_log(struct desktop *d, const char *what)
{
	char tail[LOG_TAIL];
	const off_t size = lseek(d->log, 0, SEEK_END);
	const off_t from = size > LOG_TAIL ? size - LOG_TAIL : 0;
	const ssize_t n = pread(d->log, tail, sizeof(tail), from);

	(void)complain(what, "; the last it said (" LOG_FILE "):");
	if (n > 0)
		(void)!write_all(STDERR_FILENO, tail, (size_t)n);
	return -EPIPE;
}

static void sleep_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&t, NULL);
}

/* The first of the programs, whose list ends with NULL, that there is. */
static const char *first_of(const char *const *paths)
{
	while (*paths && access(*paths, X_OK) < 0)
		paths++;
	return *paths;
}

static void add_env(struct desktop *d, const char *name, const char *value)
{
	struct text *entry = &d->extra[d->n_extra];

	if (d->n_extra == EXTRA_MAX)
		return;
	text_add(entry, name);
	text_add(entry, "=");
	text_add(entry, value);
	if (!entry->cut)
		d->n_extra++;
}

static bool is_set_again(const struct desktop *d, const char *entry)
{
	const size_t n = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < d->n_extra; i++)
		if (strncmp(d->extra[i].buf, entry, n) == 0)
			return true;
	return false;
}

/* The plan's environment with what is added to it; for a process that ends with it. */
static const char **environment(struct desktop *d)
{
	size_t n = 0, out = 0;
	const char **all;

	while (d->plan->env[n])
		n++;
	all = calloc(n + d->n_extra + 1, sizeof(*all));
	if (!all)
		_exit(EXIT_SANDCASTLE_FAILED);
	for (size_t i = 0; i < n; i++)
		if (!is_set_again(d, d->plan->env[i]))
			all[out++] = d->plan->env[i];
	for (size_t i = 0; i < d->n_extra; i++)
		all[out++] = d->extra[i].buf;
	return all;
}

/* In a child: what it says goes to the log, but its standard output to `out`. */
static void become_quiet(const struct desktop *d, const char *input, int out)
{
	const int in = open(input, O_RDWR | O_NOCTTY);

	if (in >= 0)
		(void)dup2(in, STDIN_FILENO);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(d->log, STDERR_FILENO);
	if (in > STDERR_FILENO)
		close(in);
}

static void be_root(const char *const *argv)
{
	static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	/* execve() leaves what they point to alone; its prototype cannot say so. */
	union {
		const char *const *from;
		char *const *to;
	} args = {.from = argv}, vars = {.from = env};

	execve(argv[0], args.to, vars.to);
}

static pid_t start_root(struct desktop *d, const char *const *argv)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)setsid();
	become_quiet(d, "/dev/null", d->log);
	be_root(argv);
	_exit(127);
}

static void run_root(struct desktop *d, const char *const *argv)
{
	const pid_t pid = start_root(d, argv);

	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/*
 * Starts one of the session's programs as the user, in a session of its own, which has the first
 * terminal if on_tty: the keyboard is then its, and no key reaches the console. `out` becomes its
 * standard output.
 */
static pid_t start_user(struct desktop *d, const char *const *argv, bool on_tty, int out)
{
	struct exec_plan plan = *d->plan;
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)setsid();
	become_quiet(d, on_tty ? FIRST_TTY : "/dev/null", out);
	if (on_tty)
		(void)ioctl(STDIN_FILENO, TIOCSCTTY, 1);
	plan.argv = argv;
	plan.env = environment(d);
	(void)!exec_become(&plan);
	_exit(127);
}

static bool has_ended(pid_t *pid)
{
	if (*pid > 0 && waitpid(*pid, NULL, WNOHANG) != *pid)
		return false;
	*pid = 0;
	return true;
}

/* Programs know devices by udev's word for them. Only what a desktop uses is asked about. */
static int start_udev(struct desktop *d)
{
	static const char *const daemons[] = {"/usr/lib/systemd/systemd-udevd",
					      "/lib/systemd/systemd-udevd", "/usr/sbin/udevd",
					      NULL};
	static const char *const tools[] = {"/usr/bin/udevadm", "/bin/udevadm", "/sbin/udevadm",
					    NULL};
	const char *daemon = first_of(daemons), *tool = first_of(tools);
	const char *const serve[] = {daemon, "--children-max=2", NULL};
	const char *const trigger[] = {tool,
				       "trigger",
				       "--action=add",
				       "--subsystem-match=drm",
				       "--subsystem-match=input",
				       "--subsystem-match=graphics",
				       "--subsystem-match=sound",
				       "--subsystem-match=power_supply",
				       "--subsystem-match=net",
				       NULL};
	const char *const settle[] = {tool, "settle", "--timeout=120", NULL};

	if (!daemon || !tool)
		return complain("this system has no udev, which tells programs of the keyboard; ",
				"apt install udev");
	/* The module for them is loaded beside the first command. */
	for (int ms = 0; access("/dev/input/event0", F_OK) < 0 && ms < EVENTS_MS; ms += STEP_MS)
		sleep_ms(STEP_MS);
	d->udevd = start_root(d, serve);
	for (int ms = 0; access("/run/udev/control", F_OK) < 0 && ms < EVENTS_MS; ms += STEP_MS)
		sleep_ms(STEP_MS);
	run_root(d, trigger);
	run_root(d, settle);
	return 0;
}

/* All devices in the directory are the user's. */
static void give_dir(const char *path, const struct user *u)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	struct stat st;

	while (dir && (e = readdir(dir)))
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISCHR(st.st_mode))
			(void)!fchownat(dirfd(dir), e->d_name, u->uid, u->gid, AT_SYMLINK_NOFOLLOW);
	if (dir)
		closedir(dir);
}

static void give_devices(const struct user *u)
{
	give_dir("/dev/dri", u);
	give_dir("/dev/input", u);
	give_dir("/dev/snd", u);
	(void)!chown("/dev/tty0", u->uid, u->gid);
	(void)!chown(FIRST_TTY, u->uid, u->gid);
	/* An X server of the user's cannot make it for all. */
	if (mkdir("/tmp/.X11-unix", 01777) == 0)
		(void)chmod("/tmp/.X11-unix", 01777);
}

/* What sway's first child says, once it does. */
static int await_names(struct desktop *d, struct desktop_names *names)
{
	struct text path = {.len = 0};
	int r = -EAGAIN;

	text_add(&path, d->runtime);
	text_add(&path, NAMES_FILE);
	for (int ms = 0; r == -EAGAIN && ms < NAMES_MS; ms += STEP_MS) {
		char text[sizeof(*names) + 2];
		AUTO_CLOSE int fd = -1;
		ssize_t n;

		sleep_ms(STEP_MS);
		if (has_ended(&d->compositor))
			return complain_with_log(d, "sway does not start");
		fd = open(path.buf, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, text, sizeof(text));
		r = n < 0 ? -errno : desktop_read_names(text, (size_t)n, names);
	}
	return r < 0 ? complain_with_log(d, "sway does not say where it listens") : 0;
}

static int start_sway(struct desktop *d)
{
	static const char *const argv[] = {"sway", "--config", SWAY_FILE, NULL};
	struct desktop_names names = {.wayland = ""};
	int r;

	if (file_replace(SWAY_FILE, sway_config) < 0)
		return complain("cannot write ", SWAY_FILE);
	add_env(d, "XDG_SESSION_TYPE", "wayland");
	add_env(d, "XDG_CURRENT_DESKTOP", "sway");
	/* There is no logind to ask for the devices. */
	add_env(d, "LIBSEAT_BACKEND", "builtin");
	/* The kernel does not say where the tip of their picture is. */
	add_env(d, "WLR_NO_HARDWARE_CURSORS", "1");
	if (!d->is_3d)
		add_env(d, "WLR_RENDERER", "pixman");
	d->compositor = start_user(d, argv, true, d->log);
	r = await_names(d, &names);
	if (r < 0)
		return r;
	if (names.wayland[0])
		add_env(d, "WAYLAND_DISPLAY", names.wayland);
	if (names.x11[0])
		add_env(d, "DISPLAY", names.x11);
	return 0;
}

/* Until there is a line; false: the writer has ended. */
static bool await_line(int fd)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while ((n < 0 && errno == EINTR) || (n == 1 && byte != '\n'));
	return n == 1;
}

/* Starts a program that says by a line on its standard output that it listens. */
static bool start_server(struct desktop *d, const char *const *argv, bool on_tty, pid_t *pid)
{
	int ends[2];
	bool said;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	*pid = start_user(d, argv, on_tty, ends[1]);
	close(ends[1]);
	said = *pid > 0 && await_line(ends[0]);
	close(ends[0]);
	return said;
}

static const char *const window_managers[] = {
	"/usr/bin/icewm",   "/usr/bin/openbox",	 "/usr/bin/xfwm4",
	"/usr/bin/marco",   "/usr/bin/metacity", "/usr/bin/kwin_x11",
	"/usr/bin/fluxbox", "/usr/bin/twm",	 NULL};

/* Not the wrapper, which is set-uid where it is installed. */
static const char *const x_servers[] = {"/usr/lib/xorg/Xorg", "/usr/libexec/Xorg", "/usr/lib/Xorg",
					NULL};

static int start_xorg(struct desktop *d, const char *server, const char *manager)
{
	/* Without a GPU the file is there, and named. */
	const bool plain = !d->is_3d && file_replace(xorg_file, xorg_config) == 0;
	const char *const manage[] = {manager, NULL};
	struct text log = {.len = 0};
	const char *const argv[] = {server,	   X_DISPLAY,
				    "vt1",	   "-keeptty",
				    "-novtswitch", "-sharevts",
				    "-noreset",	   "-nolisten",
				    "tcp",	   "-displayfd",
				    "1",	   "-logfile",
				    log.buf,	   plain ? "-config" : NULL,
				    xorg_file,	   NULL};

	text_add(&log, d->runtime);
	text_add(&log, "/Xorg.log");
	add_env(d, "XDG_SESSION_TYPE", "x11");
	if (!start_server(d, argv, true, &d->compositor))
		return complain_with_log(d, "X.org does not start");
	add_env(d, "DISPLAY", X_DISPLAY);
	(void)start_user(d, manage, false, d->log);
	return 0;
}

/* Of the two, which takes less; sway, as it fits the window's size. */
static int start_compositor(struct desktop *d)
{
	static const char *const sway[] = {"/usr/bin/sway", "/usr/local/bin/sway", NULL};
	const char *server = first_of(x_servers), *manager = first_of(window_managers);

	if (first_of(sway))
		return start_sway(d);
	if (server && manager)
		return start_xorg(d, server, manager);
	return complain("this system has nothing that shows a program: neither sway, nor X.org "
			"with a window manager; ",
			"apt install sway");
}

/* Without one, programs that need it say so. */
static void start_bus(struct desktop *d)
{
	static const char *const daemons[] = {"/usr/bin/dbus-daemon", NULL};
	struct text address = {.len = 0}, option = {.len = 0};
	const char *const argv[] = {first_of(daemons),	 "--session", "--nofork", "--nopidfile",
				    "--print-address=1", option.buf,  NULL};

	if (!argv[0])
		return;
	text_add(&address, "unix:path=");
	text_add(&address, d->runtime);
	text_add(&address, "/bus");
	text_add(&option, "--address=");
	text_add(&option, address.buf);
	/* What it starts on demand has the display, as it would wait for one otherwise. */
	if (start_server(d, argv, false, &d->bus))
		add_env(d, "DBUS_SESSION_BUS_ADDRESS", address.buf);
}

static pid_t start_program(struct desktop *d)
{
	struct exec_plan plan = *d->plan;
	struct text why = {.len = 0};
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	plan.env = environment(d);
	(void)text_fail(&why, exec_become(&plan), "run", plan.argv[0]);
	(void)complain(why.buf, "");
	_exit(127);
}

/* The program's end, or the session's before it. */
static int await_end(struct desktop *d, pid_t program)
{
	int status;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, 0);
		if (pid == d->compositor) {
			(void)complain_with_log(d, "the session has ended before the program");
			(void)kill(program, SIGTERM);
			return EXIT_SANDCASTLE_FAILED;
		}
	} while (pid != program && (pid > 0 || errno == EINTR));
	if (pid < 0)
		return EXIT_SANDCASTLE_FAILED;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The host's signals go to the program, which is in this process' group. */
static void ignore(int sig)
{
	(void)sig;
}

static void outlive_signals(void)
{
	/* A handler, unlike SIG_IGN, ends with exec. */
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
	const struct sigaction act = {.sa_handler = ignore};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &act, NULL);
}

static const char *plan_env(const struct exec_plan *plan, const char *name)
{
	const size_t n = strlen(name);

	for (const char *const *env = plan->env; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static int begin(struct desktop *d)
{
	d->runtime = plan_env(d->plan, "XDG_RUNTIME_DIR");
	if (!d->runtime || (mkdir(OUR_DIR, 0755) < 0 && errno != EEXIST))
		return complain("cannot make ", OUR_DIR);
	d->log = open(LOG_FILE, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (d->log < 0)
		return complain("cannot make ", LOG_FILE);
	if (access("/dev/dri/card0", F_OK) < 0)
		return complain("this sandbox has no display; ", "start it with --display on");
	d->is_3d = graphics_is_3d(GRAPHICS_DRIVER);
	/* Readers of the screen are none of a sandbox's, and waiting for them takes time. */
	add_env(d, "NO_AT_BRIDGE", "1");
	add_env(d, "GTK_A11Y", "none");
	/* GL in software costs GTK 4 180 MB. */
	if (!d->is_3d)
		add_env(d, "GSK_RENDERER", "cairo");
	return 0;
}

static void end(const struct desktop *d)
{
	const pid_t pids[] = {d->bus, d->compositor, d->udevd};

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		if (pids[i] > 0)
			(void)kill(-pids[i], SIGTERM);
}

int desktop_run(const struct exec_plan *plan)
{
	/* Static as it is large, and a process has one. */
	static struct desktop d;
	int code = EXIT_SANDCASTLE_FAILED;

	d = (struct desktop){.plan = plan, .log = -1};
	outlive_signals();
	if (begin(&d) == 0 && start_udev(&d) == 0) {
		give_devices(plan->user);
		if (start_compositor(&d) == 0) {
			start_bus(&d);
			code = await_end(&d, start_program(&d));
		}
	}
	end(&d);
	return code;
}

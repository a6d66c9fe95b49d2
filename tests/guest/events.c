/* SPDX-License-Identifier: MIT */
/*
 * tests/guest/events.c - events N [LED]: says what keyboard, tablet and mouse of the guest tell, a
 * line for each event but SYN, as "keyboard 1:30=1", until there were N. With LED it first switches
 * on Caps Lock's light. Static.
 */
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEVICES = 8 };

static struct pollfd fds[DEVICES];
static char names[DEVICES][64];
static nfds_t n_fds;

static void open_all(void)
{
	for (int i = 0; i < DEVICES; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		fds[n_fds] = (struct pollfd){.fd = fd, .events = POLLIN};
		if (ioctl(fd, EVIOCGNAME(sizeof(names[0])), names[n_fds]) < 0)
			perror(path);
		n_fds++;
	}
}

static const char *kind(const char *name)
{
	if (strstr(name, "Keyboard"))
		return "keyboard";
	if (strstr(name, "Tablet"))
		return "tablet";
	return strstr(name, "Mouse") ? "mouse" : name;
}

static void light(void)
{
	const struct input_event caps[] = {{.type = EV_LED, .code = LED_CAPSL, .value = 1},
					   {.type = EV_SYN}};

	for (nfds_t i = 0; i < n_fds; i++)
		if (strcmp(kind(names[i]), "keyboard") == 0 &&
		    write(fds[i].fd, caps, sizeof(caps)) != sizeof(caps))
			perror("light");
}

/* One event of device i; false: none of interest. */
static int tell(nfds_t i)
{
	struct input_event e;

	if (read(fds[i].fd, &e, sizeof(e)) != sizeof(e) || e.type == EV_SYN || e.type == EV_LED)
		return 0;
	printf("%s %d:%d=%d\n", kind(names[i]), e.type, e.code, e.value);
	fflush(stdout);
	return 1;
}

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 0;

	open_all();
	if (argc > 2)
		light();
	printf("listens to %d\n", (int)n_fds);
	fflush(stdout);
	while (left > 0 && poll(fds, n_fds, -1) > 0)
		for (nfds_t i = 0; i < n_fds; i++)
			if (fds[i].revents)
				left -= tell(i);
	return 0;
}

#!/bin/bash
# In the sandbox, as root: a desktop on its display, desktop.sh weston|xorg, until it is killed.
# There is no session manager in a sandbox, so that this does by hand what one would.
set -eu

export HOME=/root XDG_RUNTIME_DIR=/run/desktop
mkdir -p "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
# Compositors know keyboards and pointers by udev's word for them.
/lib/systemd/systemd-udevd --daemon
udevadm trigger --subsystem-match=drm --subsystem-match=input
udevadm settle --timeout 120

case $1 in
weston)
	cat >/run/desktop/weston.ini <<'END'
[core]
idle-time=0
[shell]
background-color=0xff224466
panel-position=none
animation=none
startup-animation=none
close-animation=none
[autolaunch]
path=/usr/bin/weston-terminal
END
	exec weston --backend=drm-backend.so --use-pixman --tty=1 --config=/run/desktop/weston.ini
	;;
xorg)
	# Drawn by GL in software, an emulated host would take minutes for it.
	cat >/run/desktop/xorg.conf <<'END'
Section "Device"
	Identifier "screen"
	Driver "modesetting"
	Option "AccelMethod" "none"
EndSection
END
	Xorg :0 vt1 -noreset -nolisten tcp -config /run/desktop/xorg.conf &
	export DISPLAY=:0
	until xset q >/dev/null 2>&1; do
		kill -0 $!
		sleep 1
	done
	xsetroot -solid '#446622'
	xterm -geometry 60x12+40+40 -fn fixed &
	# What a desktop's settings daemon does when a monitor has another size.
	while sleep 3; do
		xrandr --output Virtual-1 --auto
	done
	;;
esac

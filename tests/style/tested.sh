#!/bin/bash
# Each source file has a test of its name, tests/unit/FOLDER/test_NAME.c, or a line in the table below:
# which test runs it, and why there is none of its name. Run from the root of the tree.
set -u

code=0

complain()
{
	echo "$*"
	code=1
}

# FILE TEST: what tests FILE instead. A folder stands for all of its files.
table=$(cat <<'END_OF_TABLE'
balloon/pin.c tests/guest/test_memory_root.sh
battery/source_file.c tests/unit/battery/test_source.c
battery/source_host.c tests/unit/battery/test_source.c
desktop tests/window/run.sh
devices/acpi_events.c tests/unit/devices/test_board.c
devices/fs/inode.c tests/unit/devices/fs/test_lookup.c
devices/fs/state.c tests/unit/devices/fs/test_indexed.c
devices/input_keys.c tests/unit/devices/test_input.c
devices/serial.c tests/unit/devices/test_board.c
devices/virtio/pci.c tests/unit/devices/virtio/test_virtio_pci.c
gpu tests/unit/gpu/test_gpu.c
guest-agent/command.c tests/stress/agent_exec.c
guest-agent/etc.c tests/guest/test_run.sh
guest-agent/exec.c tests/stress/agent_exec.c
guest-agent/link.c tests/stress/agent_exec.c
guest-agent/main.c tests/guest/test_run.sh
guest-agent/mounts.c tests/guest/test_share.sh
guest-agent/service.c tests/unit/guest-agent/test_connect.c
guest-agent/session.c tests/stress/agent_exec.c
guest-agent/stream.c tests/stress/agent_exec.c
guest-agent/lease.c tests/guest/test_tap_root.sh
guest-agent/network.c tests/guest/test_network_root.sh
guest-agent/unique.c tests/guest/test_clone.sh
image/archive_lib.c tests/unit/image/kernel/test_unpack.c
image/base/build.c tests/unit/image/base/test_base.c
image/base/declared_words.c tests/unit/image/base/test_declared.c
image/base/walk.c tests/unit/image/base/test_base.c
image/initramfs/initramfs_cache.c tests/unit/image/initramfs/test_initramfs.c
launcher/cmd tests/guest/test_control.sh
launcher/config/cmd.c tests/guest/test_config.sh
launcher/config/config_file.c tests/unit/launcher/config/test_config_ini.c
launcher/config/config_print.c tests/unit/launcher/config/test_config_apply.c
launcher/config/path.c tests/unit/launcher/config/test_map.c
launcher/config/run_host.c tests/guest/test_run.sh
launcher/config/settings.c tests/unit/launcher/config/test_run_options.c
launcher/config/xml_lib.c tests/unit/launcher/config/test_config_wsb.c
vmm/confine/policy_gen.c tests/unit/vmm/confine/test_policy.c
vmm/confine/policy_table.c tests/unit/vmm/confine/test_policy.c
vmm/confine/policy_trap.c tests/guest/run.sh
vmm/confine/seal.c tests/unit/vmm/net/test_process.c
vmm/net/slirp_lib.c tests/unit/vmm/net/test_process.c
vmm/kvm/x86/state.c tests/guest/test_clone.sh
vmm/machine_run.c tests/guest/test_run.sh
vmm/sandbox_confine.c tests/guest/test_run.sh
vmm/machine_state.c tests/guest/test_clone.sh
vmm/park.c tests/guest/test_clone.sh
launcher/control_call.c tests/guest/test_control.sh
launcher/copy tests/unit/launcher/copy/test_tar.c
launcher/doctor tests/guest/test_errors.sh
launcher/launch.c tests/guest/test_run.sh
launcher/left_out.c tests/guest/test_run.sh
launcher/window.c tests/guest/test_session.sh
launcher/main.c tests/guest/test_errors.sh
library tests/unit/library/test_library.c
vmm/config/config.c tests/unit/launcher/config/test_config_apply.c
vmm/control tests/unit/vmm/control/test_control.c
vmm/foreground.c tests/guest/test_streams.sh
vmm/kvm/acpi/tables.c tests/unit/vmm/kvm/test_acpi_tables.c
vmm/kvm/vm.c tests/guest/test_run.sh
vmm/kvm/x86/boot.c tests/unit/vmm/kvm/test_boot.c
vmm/kvm/x86/cpu.c tests/guest/test_run.sh
vmm/kvm/x86/cpuid.c tests/unit/vmm/kvm/test_cpuid.c
vmm/kvm/x86/surface.c tests/unit/vmm/kvm/test_surface.c
vmm/machine.c tests/guest/test_run.sh
vmm/renderer.c tests/guest/test_gpu.sh
vmm/sandbox.c tests/guest/test_run.sh
vmm/session tests/unit/vmm/session/test_session.c
vmm/session/port_conn.c tests/unit/vmm/session/test_ports.c
vmm/session/udp_peer.c tests/unit/vmm/session/test_udp_peers.c
END_OF_TABLE
)

# instead FILE: prints the test of the table's line for it, or for a folder it is in.
instead()
{
	awk -v file="$1" '$1 == file || index(file, $1 "/") == 1 { print $2; exit }' <<<"$table"
}

while read -r file; do
	name=$(basename "$file" .c)
	folder=$(dirname "$file")
	[ ! -e "tests/unit/$folder/test_$name.c" ] || continue
	[ -n "$(instead "$file")" ] ||
		complain "$file: no tests/unit/$folder/test_$name.c, and no line in tests/style/tested.sh"
done < <(git ls-files '*.c' | grep -vE '^(tests|examples)/')

while read -r file test; do
	[ -e "$file" ] || complain "tests/style/tested.sh: $file is not there"
	[ -e "$test" ] || complain "tests/style/tested.sh: $test, for $file, is not there"
done <<<"$table"
exit "$code"

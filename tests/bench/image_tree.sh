#!/usr/bin/env bash
# image_tree.sh FILE: an ext4 file system with a part of this machine's packages and their database. It is
# what ./dev bench image reads, since the lab's own files come from another machine.
set -eu

file=$1
dir=$(mktemp -d -p "${file%/*}")
tree=$dir/tree info=/var/lib/dpkg/info
trap 'rm -rf "$dir"' EXIT
mkdir -p "$tree"/usr/{bin,sbin,lib,lib64} "$tree"/{etc,mnt,tmp,proc,dev} "$tree$info"
for name in bin sbin lib lib64; do
	ln -s "usr/$name" "$tree/$name"
done

# What the work needs, with what it depends on, and a few with large libraries, where they are there.
apt-cache --installed --recurse --important depends \
	python3 gcc libc6-dev bash dash coreutils findutils grep sed mawk busybox-static base-files |
	grep '^[a-z0-9]' | cut -d: -f1 >"$dir/packages"
printf '%s\n' libllvm14 libclang-cpp14 libicu72 >>"$dir/packages"
sort -u "$dir/packages" | while read -r package; do
	for list in "$info/$package.list" "$info/$package:amd64.list"; do
		[ ! -e "$list" ] || echo "$list"
	done
done >"$dir/lists"
xargs cat <"$dir/lists" | sed -E 's,^/(bin|sbin|lib|lib64)(/|$),/usr/\1\2,' | sort -u |
	grep -vxE '/\.|/usr(/lib64)?' >"$dir/files"
tar -C / -c --no-recursion --ignore-failed-read -T "$dir/files" 2>/dev/null | tar -C "$tree" -x
# What packages' scripts made: sh, awk and the like.
find /usr/bin -maxdepth 1 -type l -exec cp -an -t "$tree/usr/bin" {} +
xargs cp -t "$tree$info" <"$dir/lists"
cp /var/lib/dpkg/status "$tree/var/lib/dpkg/"
cp -a /etc/alternatives /etc/ld.so.cache /etc/passwd /etc/group "$tree/etc/"
rm -f "$file"
/usr/sbin/mke2fs -q -t ext4 -d "$tree" "$file" "$(($(du -sm "$tree" | cut -f1) * 5 / 4 + 64))M"

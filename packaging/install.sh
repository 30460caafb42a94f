#!/bin/sh
# Installs what `cargo build --release --workspace` built: install.sh PREFIX [DIRECTORY [LIBDIR]]
#
# Programs, C library and headers, manual pages, completion and systemd units go below PREFIX. DIRECTORY is where the
# programs are: target/release if not given. LIBDIR, for the C library, is PREFIX/lib if not given. DESTDIR is put
# before all of it. With PREFIX /usr it takes the place of lttng-tools: remove that package first.
set -eu
[ $# -ge 1 ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
prefix=$1 built=${2:-$here/../target/release} root=${DESTDIR:-}
man=$root$prefix/share/man units=$root$prefix/lib/systemd/system
bash=$root$prefix/share/bash-completion/completions

for program in lttng lttng-sessiond lttng-consumerd lttng-relayd; do
    [ -x "$built/$program" ] || { echo "$built/$program is not there: cargo build --release --workspace" >&2; exit 1; }
    install -D -m 755 "$built/$program" "$root$prefix/bin/$program"
done
"$here/../crates/lttng-ctl/install.sh" "$built/liblttng_ctl.so" "$prefix" "${3:-$prefix/lib}"

mkdir -p "$man/man1" "$man/man8" "$bash" "$root$prefix/share/zsh/site-functions" \
    "$root$prefix/share/fish/vendor_completions.d" "$units"
"$built/lttng" help --man-pages="$man/man1"
for daemon in lttng-sessiond lttng-relayd; do
    "$built/$daemon" --man-page >"$man/man8/$daemon.8"
done
"$built/lttng" completion bash >"$bash/lttng"
"$built/lttng" completion zsh >"$root$prefix/share/zsh/site-functions/_lttng"
"$built/lttng" completion fish >"$root$prefix/share/fish/vendor_completions.d/lttng.fish"
for unit in "$here"/systemd/*; do
    sed "s|/usr/bin/lttng|$prefix/bin/lttng|" "$unit" >"$units/$(basename "$unit")"
done

#!/bin/sh
# Installs the C library: install.sh LIBRARY PREFIX [LIBDIR]
#
# LIBRARY is what cargo built, for instance target/release/liblttng_ctl.so. LIBDIR is PREFIX/lib if not given.
# DESTDIR is put before all of it.
set -eu
[ $# -ge 2 ] || { sed -n '2,5s/^# *//p' "$0" >&2; exit 2; }
library=$1 prefix=$2 libdir=${3:-$2/lib}
here=$(dirname "$0")
root=${DESTDIR:-}
# The interface is that of this version of upstream.
version=2.13.9
mkdir -p "$root$libdir/pkgconfig" "$root$prefix/include/lttng"
install -m 755 "$library" "$root$libdir/liblttng-ctl.so.0.0.0"
ln -sf liblttng-ctl.so.0.0.0 "$root$libdir/liblttng-ctl.so.0"
ln -sf liblttng-ctl.so.0 "$root$libdir/liblttng-ctl.so"
install -m 644 "$here"/include/lttng/*.h "$root$prefix/include/lttng/"
sed -e "s|@prefix@|$prefix|" -e "s|@libdir@|$libdir|" -e "s|@includedir@|$prefix/include|" \
    -e "s|@version@|$version|" "$here/lttng-ctl.pc.in" >"$root$libdir/pkgconfig/lttng-ctl.pc"

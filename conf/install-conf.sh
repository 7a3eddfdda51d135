#!/bin/sh
# Installs the sample configuration, unless there is one already: an administrator's file is never
# overwritten. For meson, which sets DESTDIR.
#   install-conf.sh SAMPLE DIRECTORY
set -eu

directory=${DESTDIR:-}$2
target=$directory/$(basename "$1")

# A dangling symbolic link is somebody's, too.
if [ -e "$target" ] || [ -L "$target" ]; then
        echo "Leaving $target as it is"
        exit 0
fi
mkdir -p "$directory"
cp "$1" "$target"
chmod 644 "$target"

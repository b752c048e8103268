#!/bin/sh
# Makes the manual page and the completions of VMM in the folder OUT: as they are installed below PREFIX/share. The manual is
# swift-argument-parser's, by its generate-manual, with paragraphs for empty lines.
#
# usage: share.sh VMM OUT SWIFT BUILD
set -eu
vmm=$1 out=$2 swift=$3 build=$4
date=$(git log -1 --format=%cs 2> /dev/null) || date=1970-01-01
$swift package resolve > /dev/null
$swift build -q --package-path "$build/checkouts/swift-argument-parser" --scratch-path "$build/manual" --product generate-manual
rm -rf "$out"
mkdir -p "$out/man/man1" "$out/bash-completion/completions" "$out/zsh/site-functions" "$out/fish/vendor_completions.d"
"$build/manual/debug/generate-manual" "$vmm" --date "$date" --output-directory - |
    sed -e 's/^$/.Pp/' -e 's/^\.Nd "\(.*\)\."$/.Nd "\1"/' > "$out/man/man1/vmm.1"
grep -q '^\.Nm' "$out/man/man1/vmm.1"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
"$here/completion.sh" "$vmm" bash > "$out/bash-completion/completions/vmm"
"$here/completion.sh" "$vmm" zsh > "$out/zsh/site-functions/_vmm"
"$here/completion.sh" "$vmm" fish > "$out/fish/vendor_completions.d/vmm.fish"

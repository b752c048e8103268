#!/bin/sh
# Writes GENERATED/Revision.swift, the commit of PACKAGE and the version of SWIFTC as Swift constants, if one of them changed.
# A package that is not a checkout of git, or whose files are not what git last committed, is told so.
#
# usage: revision.sh PACKAGE WORK GENERATED SWIFTC
set -eu
package=$1 work=$2 generated=$3 swiftc=$4
commit=unknown
top=$(git -C "$package" rev-parse --show-toplevel 2> /dev/null) || top=
if [ -n "$top" ] && [ "$(cd "$top" && pwd -P)" = "$(cd "$package" && pwd -P)" ]; then
    commit=$(GIT_OPTIONAL_LOCKS=0 git -C "$package" describe --always --abbrev=40 --exclude='*' --dirty=+changes 2> /dev/null) ||
        commit=unknown
fi
# The compiler is asked only if it is another one: that takes six times as long as the rest.
state="$commit $(ls -lL --time-style=full-iso "$swiftc")"
[ ! -e "$work/state" ] || [ ! -e "$generated/Revision.swift" ] || [ "$(cat "$work/state")" != "$state" ] || exit 0
mkdir -p "$generated"
cat > "$generated/Revision.swift" << END
/// What this program was built of.
enum Revision {
    /// The commit; \`+changes\` behind it if files differed from it, \`unknown\` outside of a checkout.
    static let commit: StaticString = "$commit"
    /// The version of the Swift compiler.
    static let swift: StaticString = "$("$swiftc" --version 2> /dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p')"
}
END
echo "$state" > "$work/state"

#!/bin/sh
# Makes the documentation of the libraries and of the command line as one static site, by the toolchain's docc, from the modules of the
# debug build: no plugin is needed, and no package that uses the libraries gets one. Warnings of docc, a broken link among them, are
# errors. Fails too if a public symbol has no comment, and if a link of the site or of
# README leads nowhere.
#
# usage: site.sh VMM MODULES OUT
set -eu
vmm=$1 modules=$2 out=$3
rm -rf "$out"
mkdir -p "$out/graphs" "$out/archives" "$out/vmm.docc"

{
    printf '# vmm\n\n@Metadata {\n    @TechnologyRoot\n}\n\nThe command line, as `vmm help` prints it.\n\n## Overview\n\n'
    for command in run machine ctl explain check trace-view sweep sweep-merge; do
        printf '### vmm %s\n\n```\n' $command
        COLUMNS=72 "$vmm" help $command
        printf '```\n\n'
    done
} > "$out/vmm.docc/vmm.md"

convert() {
    name=$1
    shift
    docc convert "$@" --fallback-display-name "$name" --fallback-bundle-identifier "vmm.$name" --warnings-as-errors \
        --output-dir "$out/archives/$name.doccarchive" --transform-for-static-hosting > "$out/$name.log" 2>&1 || {
        cat "$out/$name.log" >&2
        exit 1
    }
}

for module in VirtioABI Virtio KVM Machine; do
    mkdir -p "$out/graphs/$module"
    swift-symbolgraph-extract -module-name $module -I "$modules" -I Sources/CKVM -I Sources/CLinux \
        -target "$(uname -m)-unknown-linux-gnu" -minimum-access-level public -output-dir "$out/graphs/$module"
    catalog=Sources/$module/Documentation.docc
    [ -d "$catalog" ] || catalog=
    convert $module $catalog --additional-symbol-graph-dir "$out/graphs/$module"
done
convert vmm "$out/vmm.docc"
docc merge "$out"/archives/vmm.doccarchive "$out"/archives/Virtio.doccarchive "$out"/archives/VirtioABI.doccarchive \
    "$out"/archives/KVM.doccarchive "$out"/archives/Machine.doccarchive --output-path "$out/site" \
    --synthesized-landing-page-name vmm --synthesized-landing-page-kind "Virtual machine monitor" > "$out/merge.log" 2>&1 ||
    { cat "$out/merge.log" >&2; exit 1; }
# The place that a static server shows first.
printf '<!DOCTYPE html>\n<meta http-equiv="refresh" content="0; url=documentation/virtio/">\n<title>vmm</title>\n' > "$out/site/index.html"
Tests/docs/undocumented.py "$out/graphs"
Tests/docs/links.py "$out/site"
echo "documentation: $(find "$out/site/documentation" -name index.html | wc -l) pages in $out/site; python3 -m http.server -d $out/site shows them"

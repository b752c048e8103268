#!/bin/sh
# Runs vmm, asks it by SIGQUIT until its messages have PATTERN, for at most ten seconds, and ends it by SIGTERM.
#
# usage: asked.sh VMM PATTERN ARGUMENT...
vmm=$1 pattern=$2
shift 2
messages=$(mktemp)
"$vmm" "$@" 2> "$messages" &
pid=$! tries=0
until grep -qs vcpu0 /proc/$pid/task/*/comm; do sleep 0.05; done
until grep -q "$pattern" "$messages" || [ $((tries += 1)) -gt 100 ]; do
    kill -QUIT $pid
    sleep 0.1
done
kill -TERM $pid
wait $pid
code=$?
cat "$messages" >&2
rm "$messages"
exit $code

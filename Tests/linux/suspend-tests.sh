# Runs in the nested host, from host.sh: Linux suspends and resumes its devices by SUSPEND, with the transport driver of guest/linux,
# in both dialects; the stock transport for contrast. The file long makes it a hundred cycles.
cycles=20
[ ! -e long ] || cycles=100

# frozen NAME: the trace of a boot shows nothing that a suspended device must not do.
frozen() {
    if awk -f frozen.awk "/tmp/$1.trace" > "/tmp/$1.frozen"; then
        echo "ok - $1: a suspended device did nothing: $(cat "/tmp/$1.frozen")"
    else
        fail "$1" "$(cat "/tmp/$1.frozen")"
    fi
    ./vmm check "/tmp/$1.trace" > /tmp/check 2>&1 && echo "ok - $1: the trace can be checked" || fail "$1" "vmm check: $(cat /tmp/check)"
}

# T69, in both dialects: cycles with direct and buffered reads of disks with large and small rings; ten in a trace.
disks="-d /tmp/tiny,queue-size=8 -d /tmp/wide"
truncate -s 64M /tmp/wide
for dialect in draft 1.4; do
    limit=300s
    boot "cycles-$dialect" 0 $ours -c 2 $disks --suspend $dialect --conform strict -a "$hvc test=suspending cycles=$cycles load=disks"
    for disk in blk0 blk1 blk2; do says "cycles-$dialect" "$disk was suspended each time" "$disk: $cycles suspensions"; done
    says "cycles-$dialect" "the console too" "console0: $cycles suspensions"
    says "cycles-$dialect" "no thread woke meanwhile" "blk0: .*, 0 of them while suspended"
    limit=100s
    boot "traced-$dialect" 0 $ours --suspend $dialect --trace "/tmp/traced-$dialect.trace" -a "$hvc test=suspending cycles=10"
    frozen "traced-$dialect"
    grep -q " 2 resets" "/tmp/traced-$dialect.frozen" && echo "ok - traced-$dialect: no reset but at the end" ||
        fail "traced-$dialect" "$(cat "/tmp/traced-$dialect.frozen")"
done
# The same with the kernel's own transport: every device is reset, every time. And with ours where SUSPEND is not offered.
boot stock 0 $cloud --suspend draft --trace /tmp/stock.trace -a "$hvc test=suspending cycles=10"
awk -f frozen.awk /tmp/stock.trace > /tmp/stock.frozen
grep -q "^0 suspensions, 42 resets" /tmp/stock.frozen && echo "ok - stock: $(cat /tmp/stock.frozen)" || fail stock "$(cat /tmp/stock.frozen)"
boot reset 0 $ours --suspend off -a "$hvc test=suspending cycles=5"
says reset "no device was suspended" "blk0: 0 suspensions"

# More requests than the ring has places for.
for dialect in draft 1.4; do boot "waiting-$dialect" 0 $ours $waiting --suspend $dialect --conform strict -a "$hvc test=waiting"; done

# A console that is written to and typed on all the time.
for dialect in draft 1.4; do
    name=talking-$dialect
    rm -f /tmp/keys
    mkfifo /tmp/keys
    {
        exec 3> /tmp/keys
        until grep -aq "type now" "/tmp/$name" 2> /dev/null; do usleep 100000; done
        number=0
        until grep -aq "type no more" "/tmp/$name"; do
            number=$((number + 1))
            echo $number | tr 0-9 a-j >&3
            usleep 20000
        done
        echo end >&3
    } &
    input=/tmp/keys
    boot "$name" 0 $ours -c 2 --suspend $dialect --conform strict -a "$hvc no_console_suspend test=talking"
    input=
    printed=$(tr -d '\r' < "/tmp/$name" | sed -n '/type now/,/type no more/p' | tr -cd '0-9<>')
    last=${printed##*<}
    last=${last%>}
    [ "$printed" = "$(seq "${last:-0}" | sed 's/.*/<&>/' | tr -d '\n')" ] && echo "ok - $name: the console lost none of $last lines" ||
        fail "$name" "the console shows $printed"
done

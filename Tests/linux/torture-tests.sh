# Linux's own drivers with devices that make every choice that is left to them but the faults, which nothing survives: `seeds` runs of each
# of `kinds` from seed `first` on, without the choices `without` (each with `,-` in front), as the file seeds beside this one says.
. ./network.sh
. ./seeds
truncate -s 64M /tmp/split /tmp/packed
amount 1

# tortured NAME CODE ARGUMENT...: one boot with the choices of $seed, which has to end with CODE, after $checks checks that are right.
tortured() {
    name=$1 wanted=$2
    shift 2
    start=$(cut -d. -f1 /proc/uptime)
    ./vmm run --timeout "$limit" "$@" -c 2 --torture "$seed,-faults$without" --conform report \
        > "/tmp/$name" 2> "/tmp/$name.err" < /dev/null
    code=$?
    tr -d '\r' < "/tmp/$name" | grep -aE '^(ok|not ok)' > /tmp/checks
    right=$(grep -c '^ok' /tmp/checks) wrong=$(grep -c '^not ok' /tmp/checks)
    if [ $code = "$wanted" ] && [ "$right" = $checks ] && [ "$wrong" = 0 ]; then
        echo "ok - $name survived $right checks"
        echo "# $name: $(($(cut -d. -f1 /proc/uptime) - start)) s"
    else
        fail "$name" "exit code $code, $right checks right, $wrong wrong"
    fi
}
# The kinds: disks, a console and random bytes; a network device; and suspension by the transport driver of guest/linux, with every
# second seed in the draft's dialect.
disks() {
    checks=9
    tortured "disks-$seed" 0 $cloud -d /tmp/split -d /tmp/packed,features=+packed --rng -a "$hvc test=torture"
}
net() {
    checks=7 words=patience=20
    network "network-$seed" traffic "tap=tap0,mac=52:54:00:12:34:56,features=${packed}packed"
}
suspend() {
    checks=3
    tortured "suspend-$seed" 0 $ours -d /tmp/split -d /tmp/packed,features=+packed --rng --suspend "$dialect" \
        -a "$hvc test=suspending cycles=5 load=disks"
}

boots=tortured
for seed in $(seq "$first" $((first + seeds - 1))); do
    if [ $((seed % 2)) = 1 ]; then dialect=draft packed=-; else dialect=1.4 packed=+; fi
    for kind in $kinds; do $kind; done
done

# For the tests that use a network in the nested host: a TAP interface with the address 10.9.0.1, and a VLAN on it. The host answers
# what is sent to all systems.
modprobe="llc stp garp mrp 8021q"
for module in $modprobe; do insmod "network/$module.ko"; done
echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts
tunctl -t tap0 > /dev/null
ip addr add 10.9.0.1/24 dev tap0
ip link set tap0 mtu 9000 up
ip link set lo up
vconfig add tap0 5 > /dev/null
ip addr add 10.9.5.1/24 dev tap0.5
ip link set tap0.5 up
pattern=0123456789abcdefghijklmnopqrstuvwxyz
sequence() { yes $pattern | head -c $((mib * 1048576)); }
# amount MIB: of what the next boots take and send.
amount() {
    mib=$1
    sum=$(sequence | sha256sum)
}
# A standard input that does not end: nc would close the connection.
mkfifo /tmp/open
exec 3<> /tmp/open

# network NAME TEST NET [ARGUMENT...]: one boot, by the function $boots, with a network device, which takes and sends a sequence.
boots=boot words=
network() {
    name=$1 test=$2 net=$3
    shift 3
    sequence | nc -l -p 5000 > /dev/null &
    sender=$!
    nc -l -p 5001 <&3 | sha256sum > /tmp/received &
    receiver=$!
    [ -z "${long:-}" ] || limit=$((208 + 12 * mib))s
    "$boots" "$name" 0 /kernels/cloud -i /kernels/network.cpio -m 256M --discovery acpi --net "$net" "$@" \
        -a "$hvc mib=$mib test=$test $words"
    limit=100s
    # It has all, unless the guest did not connect. The sender does not notice that its guest is gone.
    for _ in $(seq 100); do
        kill -0 $receiver 2> /dev/null || break
        usleep 100000
    done
    killall nc 2> /dev/null
    wait $sender $receiver
    if [ "$words" = send=no ]; then
        echo "# $name: nothing was sent"
    elif [ "$(cat /tmp/received)" = "$sum" ]; then
        echo "ok - $name: the host has received the same"
    else
        fail "$name" "the host has received other bytes"
    fi
    words=
}

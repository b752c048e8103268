# Boots of Debian's virtio_net over a TAP interface of the nested host, whose ends exchange frames by ping and by TCP.

mib=4
# link: a TAP interface with the address 10.9.0.1.
tunctl -t tap0 > /dev/null
ip addr add 10.9.0.1/24 dev tap0
ip link set tap0 mtu 9000 up
sequence() { yes "0123456789abcdefghijklmnopqrstuvwxyz" | head -c $((mib * 1048576)); }
sum=$(sequence | sha256sum)
# A standard input that does not end: nc would close the connection.
mkfifo /tmp/open
exec 3<> /tmp/open

# network NAME WORDS [ARGUMENT]: one boot with a network device of these words.
network() {
    sequence | nc -l -p 5000 > /dev/null &
    sender=$!
    nc -l -p 5001 <&3 | sha256sum > /tmp/received &
    receiver=$!
    boot "$1" 0 /kernels/cloud -i /kernels/network.cpio -m 256M --discovery acpi -a "$hvc mib=$mib $3" \
        --net "tap=tap0,mac=52:54:00:12:34:56$2"
    # It has all, unless the guest did not connect. The sender does not notice that its guest is gone.
    for _ in $(seq 100); do
        kill -0 $receiver 2> /dev/null || break
        usleep 100000
    done
    killall nc 2> /dev/null
    wait $sender $receiver
    [ "$(cat /tmp/received)" = "$sum" ] && echo "ok - $1: the host has received the same" ||
        fail "$1" "the host has received other bytes"
}
network net-split ""
network net-packed ",features=+packed"
network net-mtu ",mtu=9000" mtu=9000
network net-unmerged ",features=-mrg_rxbuf"
network net-plain ",features=-csum,-guest_csum"

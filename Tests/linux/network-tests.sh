# Boots of Debian's virtio_net over a TAP interface of the nested host, whose ends exchange frames by ping and by TCP; over passt; and
# suspended, by the transport driver of guest/linux. The file long makes it more: all forms, passt, a wake-up by a frame, and 256 MiB each way.

cycles=3 long=
[ ! -e long ] || cycles=20 long=1
. ./network.sh
if [ -n "$long" ]; then amount 16; else amount 4; fi

tap=tap=tap0,mac=52:54:00:12:34:56
network net-unmerged traffic "$tap,features=+packed,-mrg_rxbuf"
if [ -n "$long" ]; then
    for form in split packed,features=+packed in-order,features=+in_order unmerged-split,features=-mrg_rxbuf; do
        words=tso=on
        network "net-${form%%,*}" traffic "$tap${form#"${form%%,*}"}"
    done
    words=tso=off
    network net-plain traffic $tap,features=-csum,-guest_csum
fi

# The host pings all systems, and takes the link down and up as the guest says.
{
    while :; do
        ping -c 1 -W 1 -I tap0 224.0.0.1 > /dev/null 2>&1
        usleep 200000
    done
} &
pinger=$!
{
    for state in down up; do
        until grep -aq "link $state now" /tmp/net-settings 2> /dev/null; do usleep 100000; done
        if [ $state = up ]; then value=true; else value=false; fi
        ./vmm ctl /tmp/qmp set_link name=net0 up=$value > /tmp/ctl 2>&1 || cat /tmp/ctl
    done
} &
linker=$!
words=mtu=9000
network net-settings settings $tap,mtu=9000 --qmp unix=/tmp/qmp
kill $pinger $linker 2> /dev/null

# An interface of two queues is made by vmm, which is root here; the host's address follows it.
{
    until ip addr add 10.9.0.1/24 dev tap1 2> /dev/null; do usleep 100000; done
    ip link set tap1 up
} &
ip link set tap0 down
network net-queues queues "tap=tap1,mac=52:54:00:12:34:56,queues=2,features=+packed" -c 2
ip link set tap0 up

if [ -n "$long" ]; then
    # passt needs a root file system of its own, to leave it, and an interface whose address it gives the guest.
    tunctl -t wan > /dev/null
    ip addr add 192.0.2.2/24 dev wan
    ip link set wan up
    ip route add default via 192.0.2.1
    mkdir -p /tmp/passt
    mount -t tmpfs passt /tmp/passt
    cp -a network/passt/. /tmp/passt/
    mkdir -p /tmp/passt/tmp /tmp/passt/proc /tmp/passt/dev
    chmod 1777 /tmp/passt/tmp
    mount --bind /dev /tmp/passt/dev
    mount -t proc proc /tmp/passt/proc
    unshare -m sh -c 'cd /tmp/passt && mount --move . / && exec chroot . /bin/passt --foreground --socket /tmp/socket' > /tmp/passt.log 2>&1 &
    passt=$!
    for _ in $(seq 100); do
        [ ! -S /tmp/passt/tmp/socket ] || break
        usleep 100000
    done
    [ -S /tmp/passt/tmp/socket ] || { fail net-passt "passt does not listen"; cat /tmp/passt.log; }
    # Of what a guest sends, Debian's passt of March 2023 may reset the connection before the last bytes.
    [ -e network/passt/newer ] || words=send=no
    network net-passt passt unix=/tmp/passt/tmp/socket,mac=52:54:00:12:34:56
    kill $passt 2> /dev/null
fi

# The stream of the host, whole lines at a time, for as long as the guest takes it.
yes $pattern | head -n 443 > /tmp/chunk
{
    while cat /tmp/chunk; do usleep 20000; done | nc -l -p 5002 > /dev/null
} &
streamer=$!
limit=300s
boot net-suspend 0 /kernels/cloud -i /kernels/network_suspend.cpio -m 256M --discovery acpi --net "$tap" --suspend 1.4 --serial file=/tmp/serial \
    --conform strict -a "$hvc test=suspending cycles=$cycles${long:+ wake=frame}"
limit=100s
kill $streamer 2> /dev/null
killall nc 2> /dev/null
says net-suspend "the network device was suspended each time" "net0: $((cycles + ${long:-0})) suspensions"

if [ -n "$long" ]; then
    amount 256
    network net-much traffic "$tap"
fi

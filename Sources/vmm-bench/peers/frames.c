// Sends frames to the guest behind a TAP interface as fast as the interface takes them, until it is killed or its output is closed.
//
//   frames TAP SIZE      frames of SIZE bytes; one longer than 1514 is a TCP segment, to be cut by the receiver

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

enum { BATCH = 32 };

int main(int count, char **arguments) {
    if (count != 3) errx(64, "usage: frames TAP SIZE");
    size_t size = strtoul(arguments[2], 0, 10);
    int packet = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
    if (packet < 0) err(1, "a packet socket");
    if (setsockopt(packet, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one)) err(1, "PACKET_VNET_HDR");
    // The queueing discipline would take longer than all the rest.
    if (setsockopt(packet, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one)) err(1, "PACKET_QDISC_BYPASS");
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0800)};
    address.sll_ifindex = if_nametoindex(arguments[1]);
    if (!address.sll_ifindex || bind(packet, (struct sockaddr *)&address, sizeof address)) err(1, "%s", arguments[1]);

    struct virtio_net_hdr header = {0};
    if (size > 1514)
        header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
            .hdr_len = 54, .gso_size = 1448, .csum_start = 34, .csum_offset = 16};
    unsigned char *frame = calloc(1, size);
    memcpy(frame, "\x52\x54\x00\x12\x34\x56\x52\x54\x00\xff\xff\xfe\x08\x00\x45\x00", 16);
    frame[16] = (size - 14) >> 8, frame[17] = size - 14;
    memcpy(frame + 22, "\x40\x06\x00\x00\x0a\x09\x00\x03\x0a\x09\x00\x02", 12);
    frame[46] = 0x50, frame[47] = 0x10;

    struct iovec parts[2] = {{&header, sizeof header}, {frame, size}};
    struct mmsghdr messages[BATCH] = {0};
    for (int n = 0; n < BATCH; n++) messages[n].msg_hdr = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2};
    for (;;) {
        int sent = sendmmsg(packet, messages, BATCH, 0);
        if (sent == BATCH) continue;
        if (sent < 0 && errno != ENOBUFS && errno != EAGAIN) err(1, "sendmmsg");
        // The interface is full.
        nanosleep(&(struct timespec){0, 50000}, 0);
    }
}

// The layouts of the kernel's virtio UAPI headers as constants, for tests only. UAPITests reads the macros from the
// headers' text, so that none is missed.

#ifndef UAPI_H
#define UAPI_H

#include <stddef.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

enum {
    UAPI_DESC_SIZE = sizeof(struct vring_desc),
    UAPI_DESC_ADDR = offsetof(struct vring_desc, addr),
    UAPI_DESC_LEN = offsetof(struct vring_desc, len),
    UAPI_DESC_FLAGS = offsetof(struct vring_desc, flags),
    UAPI_DESC_NEXT = offsetof(struct vring_desc, next),
    UAPI_AVAIL_FLAGS = offsetof(struct vring_avail, flags),
    UAPI_AVAIL_IDX = offsetof(struct vring_avail, idx),
    UAPI_AVAIL_RING = offsetof(struct vring_avail, ring),
    UAPI_AVAIL_ENTRY_SIZE = sizeof(((struct vring_avail *)0)->ring[0]),
    UAPI_USED_FLAGS = offsetof(struct vring_used, flags),
    UAPI_USED_IDX = offsetof(struct vring_used, idx),
    UAPI_USED_RING = offsetof(struct vring_used, ring),
    UAPI_USED_ENTRY_SIZE = sizeof(struct vring_used_elem),
    UAPI_USED_ENTRY_LEN = offsetof(struct vring_used_elem, len),

    UAPI_PACKED_DESC_SIZE = sizeof(struct vring_packed_desc),
    UAPI_PACKED_DESC_ADDR = offsetof(struct vring_packed_desc, addr),
    UAPI_PACKED_DESC_LEN = offsetof(struct vring_packed_desc, len),
    UAPI_PACKED_DESC_ID = offsetof(struct vring_packed_desc, id),
    UAPI_PACKED_DESC_FLAGS = offsetof(struct vring_packed_desc, flags),
    UAPI_PACKED_EVENT_SIZE = sizeof(struct vring_packed_desc_event),
    UAPI_PACKED_EVENT_OFF_WRAP = offsetof(struct vring_packed_desc_event, off_wrap),
    UAPI_PACKED_EVENT_FLAGS = offsetof(struct vring_packed_desc_event, flags),

    UAPI_BLK_HEADER_SIZE = sizeof(struct virtio_blk_outhdr),
    UAPI_BLK_HEADER_TYPE = offsetof(struct virtio_blk_outhdr, type),
    UAPI_BLK_HEADER_SECTOR = offsetof(struct virtio_blk_outhdr, sector),
    UAPI_BLK_RANGE_SIZE = sizeof(struct virtio_blk_discard_write_zeroes),
    UAPI_BLK_RANGE_SECTOR = offsetof(struct virtio_blk_discard_write_zeroes, sector),
    UAPI_BLK_RANGE_NUM_SECTORS = offsetof(struct virtio_blk_discard_write_zeroes, num_sectors),
    UAPI_BLK_RANGE_FLAGS = offsetof(struct virtio_blk_discard_write_zeroes, flags),

    UAPI_BLK_CAPACITY = offsetof(struct virtio_blk_config, capacity),
    UAPI_BLK_SIZE_MAX = offsetof(struct virtio_blk_config, size_max),
    UAPI_BLK_SEG_MAX = offsetof(struct virtio_blk_config, seg_max),
    UAPI_BLK_CYLINDERS = offsetof(struct virtio_blk_config, geometry.cylinders),
    UAPI_BLK_HEADS = offsetof(struct virtio_blk_config, geometry.heads),
    UAPI_BLK_SECTORS = offsetof(struct virtio_blk_config, geometry.sectors),
    UAPI_BLK_BLK_SIZE = offsetof(struct virtio_blk_config, blk_size),
    UAPI_BLK_PHYSICAL_BLOCK_EXP = offsetof(struct virtio_blk_config, physical_block_exp),
    UAPI_BLK_ALIGNMENT_OFFSET = offsetof(struct virtio_blk_config, alignment_offset),
    UAPI_BLK_MIN_IO_SIZE = offsetof(struct virtio_blk_config, min_io_size),
    UAPI_BLK_OPT_IO_SIZE = offsetof(struct virtio_blk_config, opt_io_size),
    UAPI_BLK_WCE = offsetof(struct virtio_blk_config, wce),
    UAPI_BLK_NUM_QUEUES = offsetof(struct virtio_blk_config, num_queues),
    UAPI_BLK_MAX_DISCARD_SECTORS = offsetof(struct virtio_blk_config, max_discard_sectors),
    UAPI_BLK_MAX_DISCARD_SEG = offsetof(struct virtio_blk_config, max_discard_seg),
    UAPI_BLK_DISCARD_SECTOR_ALIGNMENT = offsetof(struct virtio_blk_config, discard_sector_alignment),
    UAPI_BLK_MAX_WRITE_ZEROES_SECTORS = offsetof(struct virtio_blk_config, max_write_zeroes_sectors),
    UAPI_BLK_MAX_WRITE_ZEROES_SEG = offsetof(struct virtio_blk_config, max_write_zeroes_seg),
    UAPI_BLK_WRITE_ZEROES_MAY_UNMAP = offsetof(struct virtio_blk_config, write_zeroes_may_unmap),
    UAPI_BLK_MAX_SECURE_ERASE_SECTORS = offsetof(struct virtio_blk_config, max_secure_erase_sectors),
    UAPI_BLK_MAX_SECURE_ERASE_SEG = offsetof(struct virtio_blk_config, max_secure_erase_seg),
    UAPI_BLK_SECURE_ERASE_SECTOR_ALIGNMENT = offsetof(struct virtio_blk_config, secure_erase_sector_alignment),
    UAPI_BLK_CONFIG_SIZE = sizeof(struct virtio_blk_config),

    UAPI_CONSOLE_COLS = offsetof(struct virtio_console_config, cols),
    UAPI_CONSOLE_ROWS = offsetof(struct virtio_console_config, rows),
    UAPI_CONSOLE_MAX_NR_PORTS = offsetof(struct virtio_console_config, max_nr_ports),
    UAPI_CONSOLE_EMERG_WR = offsetof(struct virtio_console_config, emerg_wr),
    UAPI_CONSOLE_CONFIG_SIZE = sizeof(struct virtio_console_config),
    UAPI_CONSOLE_CONTROL_SIZE = sizeof(struct virtio_console_control),
    UAPI_CONSOLE_CONTROL_ID = offsetof(struct virtio_console_control, id),
    UAPI_CONSOLE_CONTROL_EVENT = offsetof(struct virtio_console_control, event),
    UAPI_CONSOLE_CONTROL_VALUE = offsetof(struct virtio_console_control, value),

    UAPI_NET_MAC = offsetof(struct virtio_net_config, mac),
    UAPI_NET_STATUS = offsetof(struct virtio_net_config, status),
    UAPI_NET_MAX_PAIRS = offsetof(struct virtio_net_config, max_virtqueue_pairs),
    UAPI_NET_MTU = offsetof(struct virtio_net_config, mtu),
    UAPI_NET_SPEED = offsetof(struct virtio_net_config, speed),
    UAPI_NET_DUPLEX = offsetof(struct virtio_net_config, duplex),
    UAPI_NET_RSS_KEY = offsetof(struct virtio_net_config, rss_max_key_size),
    UAPI_NET_HDR_SIZE = sizeof(struct virtio_net_hdr_v1),
    UAPI_NET_HDR_FLAGS = offsetof(struct virtio_net_hdr_v1, flags),
    UAPI_NET_HDR_GSO_TYPE = offsetof(struct virtio_net_hdr_v1, gso_type),
    UAPI_NET_HDR_HDR_LEN = offsetof(struct virtio_net_hdr_v1, hdr_len),
    UAPI_NET_HDR_GSO_SIZE = offsetof(struct virtio_net_hdr_v1, gso_size),
    UAPI_NET_HDR_CSUM_START = offsetof(struct virtio_net_hdr_v1, csum_start),
    UAPI_NET_HDR_CSUM_OFFSET = offsetof(struct virtio_net_hdr_v1, csum_offset),
    UAPI_NET_HDR_NUM_BUFFERS = offsetof(struct virtio_net_hdr_v1, num_buffers),
};

#endif

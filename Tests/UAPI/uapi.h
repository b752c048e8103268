// The kernel's idea of virtio, for tests only: the UAPI headers as they are installed, and the layouts in them that Swift cannot see
// (members of packed structs, flexible arrays), as constants.

#ifndef UAPI_H
#define UAPI_H

#include <stddef.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
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

    UAPI_BLK_HEADER_SIZE = sizeof(struct virtio_blk_outhdr),
    UAPI_BLK_HEADER_TYPE = offsetof(struct virtio_blk_outhdr, type),
    UAPI_BLK_HEADER_SECTOR = offsetof(struct virtio_blk_outhdr, sector),
    UAPI_BLK_CAPACITY = offsetof(struct virtio_blk_config, capacity),
    UAPI_BLK_SIZE_MAX = offsetof(struct virtio_blk_config, size_max),
    UAPI_BLK_SEG_MAX = offsetof(struct virtio_blk_config, seg_max),
    UAPI_BLK_BLK_SIZE = offsetof(struct virtio_blk_config, blk_size),
    UAPI_BLK_CONFIG_SIZE = sizeof(struct virtio_blk_config),

    UAPI_CONSOLE_COLS = offsetof(struct virtio_console_config, cols),
    UAPI_CONSOLE_ROWS = offsetof(struct virtio_console_config, rows),
    UAPI_CONSOLE_MAX_NR_PORTS = offsetof(struct virtio_console_config, max_nr_ports),
    UAPI_CONSOLE_EMERG_WR = offsetof(struct virtio_console_config, emerg_wr),
    UAPI_CONSOLE_CONFIG_SIZE = sizeof(struct virtio_console_config),
};

#endif

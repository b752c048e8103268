"""Status and the features (2.1, 2.2, 3.1, 6)."""
from disk import CONFIG_WCE, GET_ID, WRITEBACK, ask
from driver import (
    ACKNOWLEDGE, CONFIG, DRIVER, DRIVER_FEATURES, DRIVER_FEATURES_SEL, DRIVER_OK, EVENT_IDX, FAILED, FEATURES_OK,
    NEEDS_RESET, RING_PACKED, SUSPEND, VERSION_1)
from probes import listing, probe

READY = ACKNOWLEDGE | DRIVER


def after(device, *values, features=VERSION_1):
    """Status after writing `values`, the features being accepted once DRIVER is set."""
    accepted = False
    device.status = 0
    for value in values:
        device.status = value
        if value & DRIVER and not accepted:
            device.accept(features)
            accepted = True
    return f"Status {device.status:#x}"


# Offered features.

def names(word, start):
    return " ".join(str(bit + start) for bit in range(32) if word >> bit & 1) or "none"


@probe("5.2.3", "6")
def disk_features_0_to_31(board):
    return names(board.disk.offered(0), 0)


@probe("6")
def disk_features_32_to_63(board):
    return names(board.disk.offered(1), 32)


@probe("2.2.2", "4.2.2")
def features_beyond_63(board):
    return listing(board.disk.offered(word) for word in (2, 3, 4, 0xffffffff))


@probe("5.2.3")
def read_only_disk_features(board):
    """The device-specific features."""
    return names(board.read_only.offered(0) & 0xffffff, 0)


@probe("5.3.3")
def console_features(board):
    """The device-specific features."""
    return names(board.console.offered(0) & 0xffffff, 0)


@probe("6.1", "6.2")
def legacy_features(board):
    """VIRTIO_F_NOTIFY_ON_EMPTY, VIRTIO_F_ANY_LAYOUT and bit 30."""
    return names(board.disk.offered(0) & (1 << 24 | 1 << 27 | 1 << 30), 0)


# Accepted features.

@probe("3.1.1")
def features_ok(board):
    return after(board.disk, ACKNOWLEDGE, READY, READY | FEATURES_OK)


@probe("2.2.2", "3.1.1")
def feature_not_offered(board):
    """Bit 3, and bit 60."""
    sets = [VERSION_1 | 1 << bit for bit in (3, 60)]
    return "; ".join(after(board.disk, ACKNOWLEDGE, READY, READY | FEATURES_OK, features=features) for features in sets)


@probe("2.2.2", "4.2.2")
def feature_not_offered_above_63(board):
    """Bit 64, with DriverFeaturesSel 2."""
    after(board.disk, ACKNOWLEDGE, READY)
    board.disk.put(DRIVER_FEATURES_SEL, 2)
    board.disk.put(DRIVER_FEATURES, 1)
    board.disk.status = READY | FEATURES_OK
    return f"Status {board.disk.status:#x}"


@probe("4.2.2")
def no_feature_above_63(board):
    """None of bits 64 to 95, with DriverFeaturesSel 2: bits 32 to 63 stay, and with them the packed ring."""
    after(board.disk, ACKNOWLEDGE, READY, features=VERSION_1 | RING_PACKED)
    board.disk.put(DRIVER_FEATURES_SEL, 2)
    board.disk.put(DRIVER_FEATURES, 0)
    board.disk.status = READY | FEATURES_OK
    ring = board.disk.queue(packed=True)
    board.disk.status = 0x0f
    return f"Status {board.disk.status:#x}, {ask(ring, GET_ID, room=20)}"


@probe("6.2")
def features_without_version_1(board):
    return after(board.disk, ACKNOWLEDGE, READY, READY | FEATURES_OK, features=0)


@probe("3.1.1")
def features_before_driver(board):
    """Accepted before the DRIVER bit, and not again."""
    board.disk.accept(VERSION_1)
    board.disk.status = ACKNOWLEDGE
    board.disk.status = READY
    board.disk.status = READY | FEATURES_OK
    return f"Status {board.disk.status:#x}"


@probe("3.1.1")
def features_after_features_ok(board):
    """VIRTIO_F_EVENT_IDX accepted after FEATURES_OK: does the device use used_event?"""
    board.disk.negotiate()
    board.disk.accept(VERSION_1 | EVENT_IDX)
    ring = board.disk.queue()
    board.disk.status = 0x0f
    ring.set_used_event(5)
    ask(ring, GET_ID, room=20)
    return f"InterruptStatus {board.disk.interrupt:#x}"


@probe("2.2", "2.4.1")
def features_renegotiated(board):
    """A reset clears the accepted features; then the same features accepted again."""
    first = after(board.disk, ACKNOWLEDGE, READY, READY | FEATURES_OK)
    board.disk.status = 0
    for value in (ACKNOWLEDGE, READY, READY | FEATURES_OK):
        board.disk.status = value
    without = f"Status {board.disk.status:#x}"
    return f"{first}, not accepted again {without}, again {after(board.disk, 1, READY, READY | FEATURES_OK)}"


@probe("5.2.5.2")
def config_wce_without_flush(board):
    board.disk.negotiate(CONFIG_WCE)
    return f"Status {board.disk.status:#x}, writeback {board.disk.get(CONFIG + WRITEBACK, 1)}"


# Status bits.

@probe("2.1.1")
def status_bits_cleared(board):
    board.disk.start()
    board.disk.status = READY | FEATURES_OK
    return f"Status {board.disk.status:#x}"


@probe("3.1.1")
def status_out_of_order(board):
    """FEATURES_OK first; DRIVER_OK first; DRIVER_OK without FEATURES_OK."""
    orders = ((FEATURES_OK,), (DRIVER_OK,), (ACKNOWLEDGE, READY, READY | DRIVER_OK))
    return "; ".join(after(board.disk, *order) for order in orders)


@probe("3.1.1")
def status_both_at_once(board):
    """FEATURES_OK and DRIVER_OK in one write."""
    return after(board.disk, ACKNOWLEDGE, READY, 0x0f)


@probe("2.1")
def status_reserved_bit(board):
    return after(board.disk, ACKNOWLEDGE, ACKNOWLEDGE | 32)


@probe("2.1", "4.2.2")
def status_above_a_byte(board):
    """0x100 written to a running device: not zero, and no bit of Status."""
    board.disk.start()
    board.disk.status = 0x100
    return f"Status {board.disk.status:#x}"


@probe("2.1", "2.1.2")
def status_needs_reset_by_driver(board):
    board.disk.start()
    board.disk.status = 0x0f | NEEDS_RESET
    return f"Status {board.disk.status:#x}"


@probe("2.1", "2.1.1")
def status_failed(board):
    """FAILED set by the driver: is a request served?"""
    ring = board.disk.start()
    board.disk.status = 0x0f | FAILED
    status = board.disk.status
    return f"Status {status:#x}, {ask(ring, GET_ID, room=20)}"


@probe("2.1", "3.4.2")
def status_suspend_not_negotiated(board):
    board.disk.start()
    board.disk.status = 0x0f | SUSPEND
    return f"Status {board.disk.status:#x}"


@probe("3.4.2")
def status_suspend_before_driver_ok(board):
    board.disk.negotiate()
    board.disk.status = READY | FEATURES_OK | SUSPEND
    return f"Status {board.disk.status:#x}"

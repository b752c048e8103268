"""Drivers that are right with a kind device, and only with that: each differs from `Right` in one habit. `found_by` are the choices of
the device of which at least one is left when a run that fails is reduced to as few as possible."""
from right import (  # noqa: E402
    CONFIG, EVENT_IDX, IN_ORDER, INDIRECT_DESC, INTERRUPT_ACK, INTERRUPT_STATUS, OK, QUEUE_NOTIFY, QUEUE_READY, QUEUE_RESET,
    QUEUE_SEL, QUEUE_SIZE_MAX, RING_PACKED, STATUS, SUSPEND, RandomBytes, Right, Wrong)

SPLIT = Right.knows & ~RING_PACKED


class ExpectsOrder(Right):
    """Takes the oldest request for the one that has ended."""
    found_by = {"order"}
    knows = SPLIT & ~IN_ORDER

    def take(self):
        self.ring.take()
        return self.requests.pop(next(iter(self.requests)))


class OneForEachInterrupt(Right):
    """Takes one used buffer for each interrupt."""
    found_by = {"late", "group", "order", "partial", "suppress"}

    def submit(self, requests):
        return super().submit(requests[:1]) + requests[1:]

    def perform(self, requests):
        for request in requests:
            self.submit([request])
            # The next request need not wait for this one.
            if self.get(INTERRUPT_STATUS):
                self.one()
        while self.requests:
            self.one()

    def one(self):
        self.wait_for_interrupt()
        if self.ring.has_used:
            self.check(self.take())
        self.ring.suppress(False)


class InterruptMeansUsed(Right):
    """Takes every interrupt for that of a used buffer."""
    found_by = {"spurious", "storm", "config"}

    def wait_for_interrupt(self):
        self.wait("an interrupt", lambda: self.get(INTERRUPT_STATUS))
        self.put(INTERRUPT_ACK, self.get(INTERRUPT_STATUS))

    def collect(self):
        self.wait_for_interrupt()
        if not self.ring.has_used:
            raise Wrong("an interrupt without a used buffer")
        ended = [self.take()] + [self.take() for _ in iter(lambda: self.ring.has_used, False)]
        self.ring.suppress(False)
        return ended


class KnowsOneInterrupt(Right):
    """Waits until InterruptStatus is 1, and acknowledges nothing else."""
    found_by = {"spurious", "storm", "config"}

    def wait_for_interrupt(self):
        self.wait("InterruptStatus 1", lambda: self.get(INTERRUPT_STATUS) == 1)
        self.put(INTERRUPT_ACK, 1)

    def look_again(self):
        return False


class SurprisedBySuppressed(Right):
    """Takes an interrupt that it has suppressed for a fault of the device."""
    found_by = {"spurious"}
    knows = SPLIT & ~EVENT_IDX

    def perform(self, requests):
        while requests:
            self.ring.suppress(True)
            requests = self.submit(requests)
            self.wait("used buffers", lambda: self.ring.has_used)
            while self.requests:
                if self.get(INTERRUPT_STATUS) & 1:
                    raise Wrong("an interrupt that was suppressed")
                if self.ring.has_used:
                    self.check(self.take())


class ExpectsAllAtOnce(Right):
    """Looks once after a notification: all requests have ended."""
    found_by = {"late", "order", "group", "partial", "suppress"}

    def collect(self):
        ended = []
        while self.ring.has_used:
            ended.append(self.take())
        if self.requests:
            raise Wrong("not all requests have ended")
        self.put(INTERRUPT_ACK, self.get(INTERRUPT_STATUS))
        return ended


class NoLastLook(Right):
    """Does not look once more after it has enabled interrupts again."""
    found_by = {"late", "order", "group", "partial", "suppress"}
    knows = SPLIT & ~EVENT_IDX

    def collect(self):
        self.wait_for_interrupt()
        self.ring.suppress(True)
        ended = [self.take() for _ in iter(lambda: self.ring.has_used, False)]
        # It looks at what has ended with interrupts off.
        for request in ended:
            self.status_of(request)
        self.ring.suppress(False)
        return ended


class CachesFlags(Right):
    """Reads the flags of the used ring once, when they suppress notifications, and never again."""
    found_by = {"suppress"}
    knows = SPLIT & ~EVENT_IDX
    suppressed = False

    def notify(self):
        self.ring.publish()
        self.suppressed = self.suppressed or not self.ring.wants_notification()
        if not self.suppressed:
            self.put(QUEUE_NOTIFY, 0)
        self.board.settle(self)

    def body(self):
        for base in range(64, 1024, 64):
            self.work(base)


class ReadsConfigurationOnce(Right):
    """Reads the two halves of the capacity without ConfigGeneration, once."""
    found_by = {"config"}

    def read_configuration(self):
        self.capacity = self.get(CONFIG) | self.get(CONFIG + 4) << 32

    def configuration_changed(self):
        self.check_alive()

    def body(self):
        if self.capacity != self.sectors:
            raise Wrong(f"the capacity is {self.capacity}")


class NeedsIndirect(Right):
    """Accepts indirect tables without a look at what is offered."""
    found_by = {"features"}

    def choose(self, offered):
        return super().choose(offered) | INDIRECT_DESC


class NeedsEventIndex(Right):
    """Accepts event indices without a look at what is offered."""
    found_by = {"features"}

    def choose(self, offered):
        return super().choose(offered) | EVENT_IDX


class FixedQueueSize(Right):
    """Makes queues of eight entries, whatever QueueSizeMax is."""
    found_by = {"sizes"}

    def queue_size(self):
        return 8


class TakesPowersOfTwoForGranted(Right):
    """Takes QueueSizeMax for a power of two, and counts ring positions with a mask."""
    found_by = {"sizes"}

    def queue_size(self):
        size = min(self.get(QUEUE_SIZE_MAX), 8)
        if size & (size - 1):
            raise Wrong(f"QueueSizeMax is {size}")
        return size


class ReadsReadyOnce(Right):
    """Reads QueueReady back once after it has written 0, whatever it reads."""
    found_by = {"slow-ready"}

    def stop_queue(self):
        self.put(QUEUE_SEL, 0)
        self.put(QUEUE_READY, 0)
        self.get(QUEUE_READY)


class ResetsQueueAtOnce(Right):
    """Sets a queue up again without a look whether its reset is over."""
    found_by = {"slow-queue-reset"}

    def reset_queue(self):
        self.put(QUEUE_SEL, 0)
        self.put(QUEUE_RESET, 1)


class SuspendsAtOnce(Right):
    """Takes a device for suspended when the write of SUSPEND returns."""
    found_by = {"slow-suspend"}

    def suspend(self):
        self.put(STATUS, 0x1f)
        if not self.get(STATUS) & SUSPEND:
            raise Wrong("the device is not suspended")


class GivesUpAfterTenReads(Right):
    """Reads Status ten times, then takes the suspend for failed."""
    found_by = {"slow-suspend"}

    def suspend(self):
        self.put(STATUS, 0x1f)
        if not any(self.get(STATUS) & SUSPEND for _ in range(10)):
            raise Wrong("the device does not suspend")


class ResumesAtOnce(Right):
    """Takes a device for running when the write that resumes it returns."""
    found_by = {"slow-resume"}

    def resume(self):
        self.put(STATUS, 0x1f)
        if self.get(STATUS) != 0x0f:
            raise Wrong("the device does not run")


class ResetsAtOnce(Right):
    """Takes a reset for over when the write returns, as in version 2."""
    found_by = {"slow-reset"}
    version = 3

    def reset(self):
        self.put(STATUS, 0)


class IgnoresStatusByte(Right):
    """Does not read the status byte of a request."""
    found_by = {"eio", "enospc"}

    def status_of(self, request):
        return OK


class FailsOnError(Right):
    """Gives its data up when a request fails once."""
    found_by = {"eio", "enospc", "cut", "fail"}

    def perform(self, requests):
        while requests:
            requests = self.submit(requests)
            while self.requests:
                for request in self.collect():
                    if self.status_of(request) != OK:
                        raise Wrong("a request failed")
                    self.check(request)


class NeverNeedsReset(Right):
    """Does not look at DEVICE_NEEDS_RESET."""
    found_by = {"die"}

    def check_alive(self):
        pass

    def status_is(self, wanted):
        return self.get(STATUS) == wanted

    def body(self):
        for base in range(64, 2048, 64):
            self.work(base)


class UpdatesSelector(Right):
    """Reads a write-only register before it writes it."""
    found_by = {"unused"}

    def set_up(self):
        if self.get(QUEUE_SEL) != 0:
            raise Wrong("QueueSel has another value than was written")
        super().set_up()


class ExpectsFullBuffers(RandomBytes):
    """Takes a buffer of random bytes for full."""
    found_by = {"short"}
    not_in_qemu = "QEMU's entropy device waits for a running processor"

    def accept_length(self, length, room):
        if length != room:
            raise Wrong(f"the used length is {length} of {room}")
        return room


ALL = [value for value in list(globals().values())
       if isinstance(value, type) and issubclass(value, Right) and "found_by" in value.__dict__]

// The board: which device claims which address and port. An immutable table; a lookup is an index, and takes no lock.

import Virtio
import VirtioABI

/// The addresses and ports of a machine.
final class Board: Sendable {
    /// The windows of the slots, by ascending address.
    private let regions: [any MMIORegion]
    /// The devices that the test device's commands go to, by slot; nil on a board without one.
    private let testDevice: [any DeviceControl]?
    private let serial: SerialPort?
    let clock = RealTimeClock()
    let timer: IntervalTimer?

    /// A board with `regions` in its slots. With `testDevice`, that has a port whose commands go to those devices.
    init(
        regions: [any MMIORegion], testDevice: [any DeviceControl]?, serial: SerialPort? = nil,
        timer: IntervalTimer? = nil
    ) {
        precondition(regions.count <= MemoryMap.maximumSlots)
        self.regions = regions
        self.testDevice = testDevice
        self.serial = serial
        self.timer = timer
    }

    /// The guest reads `width` bytes of memory space without RAM; nil for an unclaimed address, which reads as all ones.
    func readMemory(_ address: UInt64, width: Int) -> UInt64? {
        guard let (region, offset) = region(at: address) else { return nil }
        return region.read(at: offset, width: width)
    }

    /// The guest writes memory space without RAM; false for an unclaimed address.
    @discardableResult
    func writeMemory(_ address: UInt64, width: Int, value: UInt64) -> Bool {
        guard let (region, offset) = region(at: address) else { return false }
        region.write(at: offset, width: width, value: value)
        return true
    }

    private func region(at address: UInt64) -> (any MMIORegion, UInt64)? {
        guard address >= MemoryMap.slots else { return nil }
        let offset = address - MemoryMap.slots
        let index = offset / MemoryMap.slotSize
        guard index < UInt64(regions.count) else { return nil }
        return (regions[Int(index)], offset % MemoryMap.slotSize)
    }

    /// Every port that a board can have, in the order of their addresses, and what it is.
    static let ports: [(range: ClosedRange<UInt16>, what: String)] = [
        (IntervalTimer.ports, "interval timer (8254): KVM's"),
        (IntervalTimer.controlPort...IntervalTimer.controlPort, "gate and output of the timer's channel 2"),
        (
            Ports.keyboard...Ports.keyboard,
            "a write of 0x\(hex(UInt64(Ports.keyboardReset), digits: 2)) resets the machine"
        ),
        (RealTimeClock.ports, "real-time clock (MC146818)"),
        (Ports.debugExit...Ports.debugExit, "debug-exit: a write of v ends vmm with exit code (v << 1) | 1"),
        (
            SerialPort.ports.lowerBound...SerialPort.ports.upperBound - 1,
            "16550A, interrupt \(SerialPort.gsi); with --serial"
        ),
        (Ports.panic...Ports.panic, "pvpanic: exit code 34"),
        (
            Ports.sleepControl...Ports.sleepControl,
            "ACPI sleep control: a write of 0x\(hex(UInt64(Ports.sleepTypeS5 | Ports.sleepEnable), digits: 2)) powers off"
        ),
        (Ports.sleepStatus...Ports.sleepStatus, "ACPI sleep status"),
        (Ports.reset...Ports.reset, "a write resets the machine"),
        (TestDevice.port...TestDevice.port, "test device; with --test-device, and for the built-in guest"),
    ]

    /// The guest reads a port; nil for an unclaimed port, which reads as all ones.
    func readPort(_ port: UInt16, width: Int) -> UInt64? {
        switch port {
        case Ports.sleepStatus: 0
        // The absent keyboard controller: "input buffer empty", or Linux polls it for seconds at a reboot.
        case Ports.keyboard: 0
        case Ports.panic where width == 1: UInt64(Ports.panicked | Ports.crashLoaded)
        case RealTimeClock.ports where width == 1: clock.read(port).map { UInt64($0) }
        case IntervalTimer.ports where width == 1, IntervalTimer.controlPort where width == 1:
            timer?.read(port).map { UInt64($0) }
        case SerialPort.ports where width == 1: serial.map { UInt64($0.read(port)) }
        case TestDevice.port where testDevice != nil && width == 4: UInt64(TestDevice.signature)
        default: nil
        }
    }

    /// The result of a write to a port.
    enum PortWrite {
        case taken
        /// Nothing claims the port.
        case unanswered
        case end(Machine.Outcome)
    }

    /// The guest writes a port.
    func writePort(_ port: UInt16, width: Int, value: UInt32) -> PortWrite {
        let byte = UInt8(truncatingIfNeeded: value)
        switch port {
        case Ports.sleepControl: return byte & Ports.sleepEnable != 0 ? .end(.poweredOff) : .taken
        // Linux clears the wake status here before it powers off.
        case Ports.sleepStatus: return .taken
        case Ports.reset: return .end(.reset)
        case Ports.keyboard where byte == Ports.keyboardReset: return .end(.reset)
        case Ports.debugExit: return .end(.debugExit(value))
        case Ports.panic where width == 1: return byte & Ports.panicked != 0 ? .end(.panicked) : .taken
        case RealTimeClock.ports where width == 1: clock.write(port, byte)
        case IntervalTimer.ports where width == 1, IntervalTimer.controlPort where width == 1:
            return timer?.write(port, byte) == true ? .taken : .unanswered
        case SerialPort.ports where width == 1 && serial != nil: serial?.write(port, byte)
        case TestDevice.port where width == 4 && testDevice != nil: perform(value)
        default: return .unanswered
        }
        return .taken
    }

    private func perform(_ command: UInt32) {
        let slot = Int(command >> 16 & 0xff)
        guard let testDevice, slot < testDevice.count,
            let verb = TestDevice.Verb(rawValue: UInt8(truncatingIfNeeded: command >> 24))
        else { return }
        // A command that the device does not have is ignored.
        try? testDevice[slot].perform(TestCommand(verb, UInt16(truncatingIfNeeded: command)))
    }
}

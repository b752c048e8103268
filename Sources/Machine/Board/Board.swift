// The board: what answers at which address and port. One immutable table; a lookup is an index, and nothing here takes a lock.

import Virtio
import VirtioABI

/// The addresses and ports of a machine.
final class Board: Sendable {
    /// The windows of the slots, by ascending address.
    private let regions: [any MMIORegion]
    /// What the test device steers, by slot; nil on a board without one.
    private let testDevice: [any DeviceControl]?

    /// A board with `regions` in its slots. With `testDevice`, its port steers those devices.
    init(regions: [any MMIORegion], testDevice: [any DeviceControl]?) {
        precondition(regions.count <= MemoryMap.maximumSlots)
        self.regions = regions
        self.testDevice = testDevice
    }

    /// The guest reads `width` bytes of memory space where no RAM is; all ones where nobody answers.
    func readMemory(_ address: UInt64, width: Int) -> UInt64 {
        guard let (region, offset) = region(at: address) else { return .max }
        return region.read(at: offset, width: width)
    }

    /// The guest writes memory space where no RAM is.
    func writeMemory(_ address: UInt64, width: Int, value: UInt64) {
        guard let (region, offset) = region(at: address) else { return }
        region.write(at: offset, width: width, value: value)
    }

    private func region(at address: UInt64) -> (any MMIORegion, UInt64)? {
        guard address >= MemoryMap.slots else { return nil }
        let offset = address - MemoryMap.slots
        let index = offset / MemoryMap.slotSize
        guard index < UInt64(regions.count) else { return nil }
        return (regions[Int(index)], offset % MemoryMap.slotSize)
    }

    /// The guest reads a port; all ones where nobody answers.
    func readPort(_ port: UInt16, width: Int) -> UInt64 {
        switch port {
        case Ports.sleepStatus: 0
        // The keyboard controller that is not there: "input buffer empty", or Linux polls it for seconds at a reboot.
        case 0x64: 0
        case TestDevice.port where testDevice != nil && width == 4: UInt64(TestDevice.signature)
        default: .max
        }
    }

    /// The guest writes a port; an outcome if that ends the run.
    func writePort(_ port: UInt16, width: Int, value: UInt32) -> Machine.Outcome? {
        switch port {
        case Ports.sleepControl:
            return UInt8(truncatingIfNeeded: value) & Ports.sleepEnable != 0 ? .poweredOff : nil
        case Ports.reset: return .reset
        case Ports.debugExit: return .debugExit(value)
        case TestDevice.port where width == 4: steer(value)
        default: break
        }
        return nil
    }

    private func steer(_ command: UInt32) {
        let slot = Int(command >> 16 & 0xff)
        guard let testDevice, slot < testDevice.count,
            let verb = TestDevice.Verb(rawValue: UInt8(truncatingIfNeeded: command >> 24))
        else { return }
        testDevice[slot].steer(DeviceCommand(verb, UInt16(truncatingIfNeeded: command)))
    }
}

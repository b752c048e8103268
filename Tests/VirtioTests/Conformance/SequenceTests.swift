// The example sequences of `vmm explain`, performed on a device: it answers as they say, and no clause is broken.

import Testing
import Virtio
import VirtioABI

@Suite struct SequenceTests {
    @Test("a driver that performs every sequence breaks no clause", arguments: [nil, SuspendDialect.draft, .ratified])
    func perform(dialect: SuspendDialect?) {
        let driver = BlockDriver(sectors: 2048, suspend: dialect)
        driver.backend.completesAtOnce = true
        var performed: [String] = []
        for sequence in AccessSequence.all where sequence.dialect == nil || sequence.dialect == dialect {
            for step in sequence.steps {
                perform(step.access, driver, dialect, "\(sequence.title): \(step.purpose)")
            }
            performed.append("\(sequence.title)")
            if case .write(.queueReady, 1)? = sequence.steps.last?.access { addRead(driver) }
            #expect(driver.broken == [], "\(sequence.title)\n\(driver.state)")
        }
        #expect(performed.count == (dialect == nil ? 8 : 10))
        let wanted: [Check] = [
            .featuresOKReadBack, .queueStopReadBack, .queueResetAwaited, .eventPending, .queueSizeAllowed,
        ]
        for check in wanted { #expect(driver.isCovered(check), "\(check)") }
    }

    private func perform(
        _ access: AccessSequence.Access, _ driver: BlockDriver, _ dialect: SuspendDialect?, _ what: String
    ) {
        let suspend = dialect?.feature.word(1) ?? 0
        switch access {
        case .write(.driverFeatures, let value):
            // The feature of the dialect beside those of the example.
            driver.write(.driverFeatures, value == 0 ? 0 : value | suspend)
        case .read(.deviceFeatures, let value): #expect(driver.read(.deviceFeatures) == value | suspend, "\(what)")
        case .write(.queueReady, 1):
            // The rings are in cleared memory, as the example says.
            driver.memory.store([UInt8](repeating: 0, count: 0x3000), at: 0x1000)
            driver.write(.queueReady, 1)
        case .write(let register, let value): driver.write(register, value)
        case .read(let register, let value), .poll(let register, let value):
            #expect(driver.read(register) == value, "\(what)")
        case .field(let offset, let value):
            #expect(driver.read(at: UInt64(Int(Register.configuration) + offset), width: 4) == UInt64(value), "\(what)")
        }
    }

    /// A read of sector 0, available in queue 0.
    private func addRead(_ driver: BlockDriver) {
        driver.memory.store(BlockDriver.header(BlockRequest.Kind.read, sector: 0), at: 0x4000)
        let parts = [
            Descriptor(address: 0x4000, length: 16, flags: .next, next: 1),
            Descriptor(address: 0x5000, length: 512, flags: [.next, .write], next: 2),
            Descriptor(address: 0x6000, length: 1, flags: .write),
        ]
        for (index, part) in parts.enumerated() {
            driver.memory.store(part.address, at: 0x1000 + 16 * UInt64(index))
            driver.memory.store(part.high, at: 0x1008 + 16 * UInt64(index))
        }
        driver.memory.store(UInt16(1), at: 0x2002)
    }
}

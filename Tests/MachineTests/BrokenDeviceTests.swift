// The guest's checks can fail: each device here has one defect, and the check for it has to fail, while a control check
// passes.

import Testing
import Virtio
import VirtioABI

@testable import Machine

/// A device with one defect: it is placed between the bus and a correct device.
final class BrokenDevice: MMIORegion, @unchecked Sendable {
    enum Defect: CaseIterable {
        case acknowledgesBeforeDrain, servesNotificationWhileSuspended, losesInterruptStatus, forgetsRescan
        case honoursUnnegotiatedSuspend, suspendsBeforeDriverOK, acceptsAnyFeatures, takesConfigurationWrites
        case ignoresAbort, ignoresAcknowledgeWhileSuspended, ignoresResetWhileSuspended, changesGenerationWhileSuspended
        case resumesOnlyInName, dropsInterrupts

        /// The guest's check that has to fail.
        var check: String {
            switch self {
            case .acknowledgesBeforeDrain: "suspend-in-flight"
            case .servesNotificationWhileSuspended: "suspend-kick-ignored"
            case .losesInterruptStatus: "suspend-frozen"
            case .forgetsRescan: "resume-rescans"
            case .honoursUnnegotiatedSuspend: "suspend-not-negotiated"
            case .suspendsBeforeDriverOK: "suspend-before-driver-ok"
            case .acceptsAnyFeatures: "features-refused"
            case .takesConfigurationWrites: "suspend-config-ignored"
            case .ignoresAbort: "suspend-abort"
            case .ignoresAcknowledgeWhileSuspended: "suspend-ack-clears"
            case .ignoresResetWhileSuspended: "suspend-reset"
            case .changesGenerationWhileSuspended: "suspend-config-change"
            case .resumesOnlyInName: "suspend-idle"
            case .dropsInterrupts: "interrupt-delivery"
            }
        }
    }

    private let correct: any MMIORegion
    private let defect: Defect
    /// Bits the device wrongly shows in Status.
    private var shown: DeviceStatus = []
    /// The bytes that the device wrongly accepted into its configuration space, by offset.
    private var writtenConfiguration: [UInt64: UInt8] = [:]

    init(_ correct: any MMIORegion, _ defect: Defect) {
        self.correct = correct
        self.defect = defect
    }

    private var status: DeviceStatus {
        DeviceStatus(rawValue: UInt8(truncatingIfNeeded: correct.read(at: UInt64(Register.status.rawValue), width: 4)))
    }
    private var isSuspended: Bool { status.contains(.suspend) }

    private func write(_ register: Register, _ value: UInt64) {
        correct.write(at: UInt64(register.rawValue), width: 4, value: value)
    }

    func read(at offset: UInt64, width: Int) -> UInt64 {
        var value = correct.read(at: offset, width: width)
        switch (defect, Register(rawValue: UInt32(offset))) {
        case (_, .status): value |= UInt64(shown.rawValue)
        case (.losesInterruptStatus, .interruptStatus) where isSuspended: value = 0
        case (.dropsInterrupts, .interruptStatus): value = 0
        case (.changesGenerationWhileSuspended, .configGeneration) where isSuspended: value += 1
        case (.takesConfigurationWrites, nil) where offset >= UInt64(Register.configuration):
            for index in 0..<UInt64(width) {
                guard let byte = writtenConfiguration[offset + index] else { continue }
                value = value & ~(0xff << (index * 8)) | UInt64(byte) << (index * 8)
            }
        default: break
        }
        return value
    }

    func write(at offset: UInt64, width: Int, value: UInt64) {
        let register = Register(rawValue: UInt32(offset))
        if register == .status, let value = UInt8(exactly: value & 0xff), writesStatus(DeviceStatus(rawValue: value)) {
            return
        }
        switch (defect, register) {
        case (.ignoresAcknowledgeWhileSuspended, .interruptACK) where isSuspended: return
        case (.servesNotificationWhileSuspended, .queueNotify) where isSuspended:
            write(.status, UInt64(DeviceStatus.running.rawValue))
            correct.write(at: offset, width: width, value: value)
            write(.status, UInt64(DeviceStatus.running.union(.suspend).rawValue))
        case (.forgetsRescan, .queueNotify) where !isSuspended:
            try? (correct as? any DeviceControl)?.perform(.release(count: nil))
            correct.write(at: offset, width: width, value: value)
        case (.takesConfigurationWrites, nil) where offset >= UInt64(Register.configuration):
            for index in 0..<UInt64(width) {
                writtenConfiguration[offset + index] = UInt8(truncatingIfNeeded: value >> (index * 8))
            }
        default: correct.write(at: offset, width: width, value: value)
        }
    }

    /// Applies the defect to a Status write. Returns true if the correct device must not receive the write.
    private func writesStatus(_ written: DeviceStatus) -> Bool {
        let asksSuspend = written.contains(.suspend)
        if written.isEmpty { shown = [] }
        switch defect {
        case .acknowledgesBeforeDrain, .honoursUnnegotiatedSuspend:
            shown = asksSuspend && status.contains(.driverOK) ? .suspend : []
        case .suspendsBeforeDriverOK: shown = asksSuspend ? .suspend : []
        case .acceptsAnyFeatures: if written.contains(.featuresOK) { shown = .featuresOK }
        case .ignoresAbort: return status == .running && written == .running
        case .ignoresResetWhileSuspended: return written.isEmpty && isSuspended
        case .resumesOnlyInName: if isSuspended && !asksSuspend && !written.isEmpty { shown = .suspend }
        case .forgetsRescan:
            if isSuspended && !asksSuspend { try? (correct as? any DeviceControl)?.perform(.hold) }
        default: break
        }
        return false
    }
}

/// A disk that flips a bit in each read.
final class CorruptingDisk: BlockBackend {
    private let correct: any BlockBackend
    init(_ correct: any BlockBackend) { self.correct = correct }

    var capacity: UInt64 { correct.capacity }
    func flush() -> Outcome { correct.flush() }

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        let outcome = correct.perform(request, identity: identity)
        guard request.operation == .read else { return outcome }
        unsafe request.data.withBuffers { buffers in
            unsafe buffers[0].base.assumingMemoryBound(to: UInt8.self).pointee ^= 1
        }
        return outcome
    }
}

@Suite("The guest's checks detect", .needsKVM, .serialized)
struct BrokenDeviceTests {
    /// A check that none of the defects affects.
    private static let control = "blk-unknown-type"

    @Test("a broken device", arguments: BrokenDevice.Defect.allCases)
    func defect(_ defect: BrokenDevice.Defect) throws {
        let hooks = TestHooks(
            region: { slot, region in slot == 0 ? region : BrokenDevice(region, defect) }, usesIOEventFDs: false)
        let run = try GuestRun(append: ["only=\(defect.check),\(Self.control)"], hooks: hooks)
        #expect(run.lines.filter { !$0.passed }.map(\.name) == [defect.check], "\(run.output)")
        #expect(run.lines.filter(\.passed).map(\.name) == [Self.control], "\(run.output)")
        #expect(run.outcome == .debugExit(0x2a))
    }

    @Test("wrong data")
    func wrongData() throws {
        let hooks = TestHooks(backend: { CorruptingDisk($0) })
        let run = try GuestRun(append: ["only=blk-write-read,\(Self.control)"], hooks: hooks)
        #expect(run.lines.filter { !$0.passed }.map(\.name) == ["blk-write-read"], "\(run.output)")
        #expect(run.lines.filter(\.passed).map(\.name) == [Self.control], "\(run.output)")
    }

    @Test("and pass on a correct device")
    func correctDevice() throws {
        let checks = Set(BrokenDevice.Defect.allCases.map(\.check) + ["blk-write-read", Self.control])
        let run = try GuestRun(
            append: ["only=\(checks.sorted().joined(separator: ","))"],
            hooks: TestHooks(usesIOEventFDs: false))
        #expect(run.lines.filter { !$0.passed } == [], "\(run.output)")
        #expect(run.lines.count == checks.count)
    }
}

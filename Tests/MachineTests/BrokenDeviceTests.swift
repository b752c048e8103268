// The guest's checks can fail: each device here breaks one rule, and the check that is named for it has to notice, while the
// control beside it passes.

import Testing
import Virtio
import VirtioABI

@testable import Machine

/// A device that breaks one rule: it stands between the bus and a sound one.
final class BrokenDevice: MMIORegion, @unchecked Sendable {
    enum Flaw: CaseIterable {
        case acknowledgesBeforeDrain, servesKickWhileSuspended, losesInterruptStatus, forgetsRescan
        case honoursUnnegotiatedSuspend, suspendsBeforeDriverOK, acceptsAnyFeatures, takesConfigurationWrites
        case ignoresAbort, ignoresAcknowledgeWhileSuspended, ignoresResetWhileSuspended, changesGenerationWhileSuspended
        case resumesOnlyInName, dropsInterrupts

        /// The check that has to notice.
        var check: String {
            switch self {
            case .acknowledgesBeforeDrain: "suspend-in-flight"
            case .servesKickWhileSuspended: "suspend-kick-ignored"
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

    private let sound: any MMIORegion
    private let flaw: Flaw
    /// Bits the device wrongly shows in Status.
    private var shown: DeviceStatus = []
    /// A byte the device wrongly took into its configuration space, by offset.
    private var taken: [UInt64: UInt8] = [:]

    init(_ sound: any MMIORegion, _ flaw: Flaw) {
        self.sound = sound
        self.flaw = flaw
    }

    private var status: DeviceStatus {
        DeviceStatus(rawValue: UInt8(truncatingIfNeeded: sound.read(at: UInt64(Register.status.rawValue), width: 4)))
    }
    private var isSuspended: Bool { status.contains(.suspend) }

    private func write(_ register: Register, _ value: UInt64) {
        sound.write(at: UInt64(register.rawValue), width: 4, value: value)
    }

    func read(at offset: UInt64, width: Int) -> UInt64 {
        var value = sound.read(at: offset, width: width)
        switch (flaw, Register(rawValue: UInt32(offset))) {
        case (_, .status): value |= UInt64(shown.rawValue)
        case (.losesInterruptStatus, .interruptStatus) where isSuspended: value = 0
        case (.dropsInterrupts, .interruptStatus): value = 0
        case (.changesGenerationWhileSuspended, .configGeneration) where isSuspended: value += 1
        case (.takesConfigurationWrites, nil) where offset >= UInt64(Register.configuration):
            for index in 0..<UInt64(width) {
                guard let byte = taken[offset + index] else { continue }
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
        switch (flaw, register) {
        case (.ignoresAcknowledgeWhileSuspended, .interruptACK) where isSuspended: return
        case (.servesKickWhileSuspended, .queueNotify) where isSuspended:
            write(.status, UInt64(DeviceStatus.running.rawValue))
            sound.write(at: offset, width: width, value: value)
            write(.status, UInt64(DeviceStatus.running.union(.suspend).rawValue))
        case (.forgetsRescan, .queueNotify) where !isSuspended:
            try? (sound as? any DeviceControl)?.perform(.release(count: nil))
            sound.write(at: offset, width: width, value: value)
        case (.takesConfigurationWrites, nil) where offset >= UInt64(Register.configuration):
            for index in 0..<UInt64(width) {
                taken[offset + index] = UInt8(truncatingIfNeeded: value >> (index * 8))
            }
        default: sound.write(at: offset, width: width, value: value)
        }
    }

    /// What the flaw makes of a Status write; true if the sound device is not to see it.
    private func writesStatus(_ written: DeviceStatus) -> Bool {
        let asksSuspend = written.contains(.suspend)
        if written.isEmpty { shown = [] }
        switch flaw {
        case .acknowledgesBeforeDrain, .honoursUnnegotiatedSuspend:
            shown = asksSuspend && status.contains(.driverOK) ? .suspend : []
        case .suspendsBeforeDriverOK: shown = asksSuspend ? .suspend : []
        case .acceptsAnyFeatures: if written.contains(.featuresOK) { shown = .featuresOK }
        case .ignoresAbort: return status == .running && written == .running
        case .ignoresResetWhileSuspended: return written.isEmpty && isSuspended
        case .resumesOnlyInName: if isSuspended && !asksSuspend && !written.isEmpty { shown = .suspend }
        case .forgetsRescan:
            if isSuspended && !asksSuspend { try? (sound as? any DeviceControl)?.perform(.hold) }
        default: break
        }
        return false
    }
}

/// A disk that flips a bit in what it reads.
final class WrongDisk: BlockBackend {
    private let sound: any BlockBackend
    init(_ sound: any BlockBackend) { self.sound = sound }

    var capacity: UInt64 { sound.capacity }
    func flush() -> Outcome { sound.flush() }

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        let outcome = sound.perform(request, identity: identity)
        guard request.operation == .read else { return outcome }
        unsafe request.data.withBuffers { buffers in
            unsafe buffers[0].base.assumingMemoryBound(to: UInt8.self).pointee ^= 1
        }
        return outcome
    }
}

@Suite("The guest's checks notice", .needsKVM, .serialized)
struct BrokenDeviceTests {
    /// A check that none of the flaws disturbs.
    private static let control = "blk-unknown-type"

    @Test("a broken device", arguments: BrokenDevice.Flaw.allCases)
    func flaw(_ flaw: BrokenDevice.Flaw) throws {
        let between = TestHooks(
            region: { slot, region in slot == 0 ? region : BrokenDevice(region, flaw) }, usesIOEventFDs: false)
        let run = try GuestRun(append: ["only=\(flaw.check),\(Self.control)"], hooks: between)
        #expect(run.lines.filter { !$0.passed }.map(\.name) == [flaw.check], "\(run.output)")
        #expect(run.lines.filter(\.passed).map(\.name) == [Self.control], "\(run.output)")
        #expect(run.outcome == .debugExit(0x2a))
    }

    @Test("wrong data")
    func wrongData() throws {
        let between = TestHooks(backend: { WrongDisk($0) })
        let run = try GuestRun(append: ["only=blk-write-read,\(Self.control)"], hooks: between)
        #expect(run.lines.filter { !$0.passed }.map(\.name) == ["blk-write-read"], "\(run.output)")
        #expect(run.lines.filter(\.passed).map(\.name) == [Self.control], "\(run.output)")
    }

    @Test("and find nothing when nothing is broken")
    func sound() throws {
        let checks = Set(BrokenDevice.Flaw.allCases.map(\.check) + ["blk-write-read", Self.control])
        let run = try GuestRun(
            append: ["only=\(checks.sorted().joined(separator: ","))"],
            hooks: TestHooks(usesIOEventFDs: false))
        #expect(run.lines.filter { !$0.passed } == [], "\(run.output)")
        #expect(run.lines.count == checks.count)
    }
}

// The functions of VirtioABI. The constants are tested in UAPITests.

import Testing
import VirtioABI

@Suite("Numbers")
struct NumbersTests {
    @Test("The dialects' bytes")
    func dialects() {
        #expect(SuspendDialect.draft.feature == .suspendDraft && SuspendDialect.ratified.feature == .suspend)
        #expect(SuspendDialect.draft.suspendedStatus.rawValue == 0x1f)
        #expect(SuspendDialect.ratified.suspendedStatus.rawValue == 0x1b)
        #expect(DeviceStatus.running.rawValue == 0x0f)
    }

    @Test("Directions as in the table of 4.2.2")
    func directions() {
        let both: Set<Register> = [.queueReady, .status, .queueReset]
        let read: Set<Register> = [
            .magicValue, .version, .deviceID, .vendorID, .deviceFeatures, .queueSizeMax, .interruptStatus, .shmLenLow,
            .shmLenHigh, .shmBaseLow, .shmBaseHigh, .configGeneration,
        ]
        for register in Register.allCases {
            let direction: Register.Direction =
                both.contains(register) ? .both : read.contains(register) ? .read : .write
            #expect(register.direction == direction, "\(register)")
        }
    }

    @Test("Feature words: two of 32 bits, and nothing behind them")
    func words() {
        let features = Features(rawValue: 0x0123_4567_89ab_cdef)
        #expect(features.word(0) == 0x89ab_cdef && features.word(1) == 0x0123_4567)
        #expect(features.word(2) == 0 && features.word(.max) == 0)
        #expect(features.replacing(word: 0, with: 1).rawValue == 0x0123_4567_0000_0001)
        #expect(features.replacing(word: 1, with: 1).rawValue == 0x0000_0001_89ab_cdef)
        #expect(features.replacing(word: 2, with: 1) == features && features.replacing(word: .max, with: 1) == features)
    }

    @Test("A test device command is verb, slot, argument")
    func command() {
        #expect(TestDevice.command(.hold, slot: 0) == 0x0100_0000)
        #expect(TestDevice.command(.fatal, slot: 2, argument: 0xbeef) == 0x0a02_beef)
    }
}

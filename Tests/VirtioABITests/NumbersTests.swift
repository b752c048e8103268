// Numbers of the specification that no kernel header has yet, and what VirtioABI computes with its numbers.

import Testing
import VirtioABI

@Suite("Numbers")
struct NumbersTests {
    @Test("What the UAPI headers lack (VIRTIO 1.4, 2.1, 4.2.2, 5.2.6, 6)")
    func specification() {
        #expect(Register.magic == 0x7472_6976 && Register.mmioVersion == 2)
        #expect(Register.queueReset.rawValue == 0x0c0)
        #expect(DeviceStatus.suspend.rawValue == 16)
        #expect(Features.notificationData.rawValue == 1 << 38)
        #expect(Features.suspendDraft.rawValue == 1 << 42)
        #expect(Features.suspend.rawValue == 1 << 43)
        #expect(SplitRing.maximumSize == 32768)
        #expect(BlockRequest.sectorSize == 512)
        #expect(BlockConfiguration.size == 96)
        #expect(ConsoleQueue.receive == 0 && ConsoleQueue.transmit == 1)
    }

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

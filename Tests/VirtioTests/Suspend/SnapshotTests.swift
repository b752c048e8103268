// T66: a snapshot of a suspended device, restored in another transport with another memory: held completions, staged
// changes and notifications take effect there, once (D-8, D-17).

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: snapshot")
struct SnapshotTests {
    @Test(
        "T66 the draft: a held completion, a staged change and a kick are delivered elsewhere, once",
        .covers("D-8", "D-17"))
    func T66_disk() {
        let (old, chain) = BlockDriver.busy(.draft)
        old.requestSuspend()
        #expect(old.backend.transport.snapshot() == nil, "a request is in the backend")
        old.backend.deadline()
        old.backend.complete()
        old.backend.call { $0.change { $0.capacity = 4 } }
        let queued = old.submitRead(2)
        let generation = old.read(.configGeneration)

        let new = BlockDriver(sectors: 8, suspend: .draft)
        #expect(new.replace(old), old.state)
        #expect(new.dump(selecting: false) == old.dump(selecting: false), new.state)
        #expect(new.takeUsed(0) == [] && new.interruptStatus == [] && !new.backend.line.level, new.state)
        let untouched = old.memory.snapshot()

        new.resume()
        #expect(new.interruptStatus == [.usedBuffer, .configurationChange], new.state)
        #expect(new.read(.configGeneration) == generation + 1 && new.configuration(0, width: 8) == 4)
        #expect(new.takeUsed(0) == [UsedElement(id: UInt32(chain.head), length: 513)], new.state)
        #expect(new.statusByte(chain) == 0)
        new.backend.complete()
        new.expectRead(queued, sector: 2)
        new.acknowledge()
        new.suspend()
        new.resume()
        #expect(new.takeUsed(0) == [] && new.interruptStatus == [], new.state)
        #expect(old.memory.changes(since: untouched) == [])
    }

    @Test(
        "T66 input that waited is delivered elsewhere, once and in order", .covers("D-8"),
        arguments: SuspendDialect.allCases)
    func T66_console(_ dialect: SuspendDialect) {
        let old = ConsoleDriver(suspend: dialect)
        old.bringUp()
        let chain = old.post(16)
        old.suspend()
        #expect(old.type(Array("typed".utf8)) == 5)

        let new = ConsoleDriver(suspend: dialect)
        #expect(new.replace(old), old.state)
        #expect(new.takeUsed(ConsoleQueue.receive) == [])
        new.resume()
        #expect(new.takeUsed(ConsoleQueue.receive) == [UsedElement(id: UInt32(chain.head), length: 5)], new.state)
        #expect(new.memory.bytes(at: chain.writable[0].address, count: 5) == Array("typed".utf8))
    }

    @Test("T66 a latched error and a pended queue reset travel too", .covers("D-13", "D-16"))
    func T66_latches() {
        let old = BlockDriver(sectors: 8, suspend: .draft)
        old.bringUpSuspended()
        old.write(.queueReset, 1)
        old.backend.fatal()
        let new = BlockDriver(sectors: 8, suspend: .draft)
        #expect(new.replace(old), old.state)
        #expect(new.statusByte == 0x1f && new.read(.queueReset) == 1, new.state)
        new.requestResume()
        #expect(new.statusByte == 0x4f && new.interruptStatus == .configurationChange, new.state)
        #expect(new.read(.queueReset) == 0 && new.read(.queueReady) == 0, new.state)
    }

    @Test("a notification that waits for DRIVER_OK travels too")
    func beforeLive() {
        let old = BlockDriver(sectors: 8)
        old.bringUp(to: .queues)
        old.backend.change { $0.capacity = 4 }
        let new = BlockDriver(sectors: 8)
        #expect(new.replace(old) && new.interruptStatus == [], old.state)
        new.perform(.driverOK)
        #expect(new.interruptStatus == .configurationChange && new.backend.line.level, new.state)
    }

    @Test("T66 a resume under way asks for its backend again", arguments: SuspendDialect.allCases)
    func T66_resuming(_ dialect: SuspendDialect) {
        let old = BlockDriver(sectors: 8, suspend: dialect)
        old.backend.resumesAtOnce = false
        old.bringUpSuspended()
        old.requestResume()
        let new = BlockDriver(sectors: 8, suspend: dialect)
        #expect(new.replace(old), old.state)
        #expect(new.statusByte == 0x0f, new.state)
        new.expectWorks()
    }
}

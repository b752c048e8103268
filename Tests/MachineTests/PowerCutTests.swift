// A disk that keeps only flushed data, and whose power is cut at some request: data whose flush was completed must be
// there afterwards. Killing a process does not lose the host's page cache, so only a simulated disk can show that
// flushes are performed before they are completed.

import Synchronization
import Testing
import Virtio
import VirtioABI

@testable import Machine

/// A disk with a volatile write cache, which is lost when the power is cut.
private final class VolatileDisk: BlockBackend {
    private struct Contents {
        /// Sectors by number: in the cache, and on stable storage.
        var cached: [UInt64: [UInt8]] = [:]
        var stable: [UInt64: [UInt8]] = [:]
        var requestsLeft: Int
    }

    private let contents: Mutex<Contents>
    private let ignoresFlush: Bool

    /// The power is cut at request `requests`; from then on each fails. With `ignoresFlush` flushes succeed without
    /// effect.
    init(requests: Int, ignoresFlush: Bool) {
        contents = Mutex(Contents(requestsLeft: requests))
        self.ignoresFlush = ignoresFlush
    }

    let capacity: UInt64 = 256

    /// The first 8 bytes of a sector on stable storage.
    func word(_ sector: UInt64) -> UInt64? {
        contents.withLock { $0.stable[sector] }.map { bytes in
            (0..<8).reduce(0) { $0 | UInt64(bytes[$1]) << UInt64(8 * $1) }
        }
    }

    func flush() -> Outcome {
        contents.withLock {
            guard $0.requestsLeft > 0 else { return .ioError }
            if !ignoresFlush { $0.stable = $0.cached }
            return .ok()
        }
    }

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        let isOn = contents.withLock {
            $0.requestsLeft = max(0, $0.requestsLeft - 1)
            return $0.requestsLeft > 0
        }
        guard isOn else { return .ioError }
        switch request.operation {
        case .flush: return flush()
        case .write:
            var bytes: [UInt8] = []
            request.data.forEach { unsafe bytes += UnsafeRawBufferPointer(start: $0.base, count: $0.count) }
            contents.withLock { $0.cached[request.offset / 512] = bytes }
            return request.durable ? flush() : .ok()
        default: return .ok(written: request.operation == .read ? UInt32(request.data.byteCount) : 0)
        }
    }
}

@Suite("Power loss of a disk", .needsKVM, .serialized)
struct PowerCutTests {
    /// The number of records whose flush was completed and that are lost, and the number of all whose flush was
    /// completed.
    private func lost(
        cutAt requests: Int, _ dialect: SuspendDialect, ignoresFlush: Bool
    ) throws -> (Int, flushed: Int) {
        let disk = VolatileDisk(requests: requests, ignoresFlush: ignoresFlush)
        let hooks = TestHooks(backend: { $0.capacity == 16 << 11 ? disk : $0 })
        let run = try GuestRun(append: ["records=100000"], suspend: dialect, hooks: hooks)
        #expect(run.outcome == .debugExit(0x2a), "the guest ends when its disk fails: \(run.output.suffix(200))")
        let flushed = run.output.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("flushed ") }
            .compactMap { UInt64($0.dropFirst("flushed ".count)) }
        let present = flushed.suffix(Int(disk.capacity) - 8).filter { number in
            // BlockDriver.fill, of seed 1.
            disk.word(number % disk.capacity) == (1 << 52 &+ number << 32) &* 0x9e37_79b9_7f4a_7c15
        }
        return (flushed.suffix(Int(disk.capacity) - 8).count - present.count, flushed.count)
    }

    @Test("flushed records are not lost", arguments: [7, 23, 61, 601], SuspendDialect.allCases)
    func flushed(cutAt requests: Int, dialect: SuspendDialect) throws {
        let (lost, flushed) = try lost(cutAt: requests, dialect, ignoresFlush: false)
        #expect(lost == 0)
        #expect(flushed >= (requests - 1) / 6 * 4)
    }

    @Test("a disk that ignores flushes is detected")
    func ignored() throws {
        let (lost, flushed) = try lost(cutAt: 100, .draft, ignoresFlush: true)
        #expect(lost == flushed && flushed > 0)
    }
}

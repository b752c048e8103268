// A disk that keeps nothing but what was flushed, and whose power is cut at some request: what the guest was told is flushed is
// there afterwards. A process that is killed leaves the host's page cache behind, so only a disk of our own can show that flushes
// are carried out, and in time.

import Synchronization
import Testing
import Virtio
import VirtioABI

@testable import Machine

/// A disk with a cache that is lost.
private final class VolatileDisk: BlockBackend {
    private struct Contents {
        /// Sectors by number: what is in the cache, and what is safe.
        var cached: [UInt64: [UInt8]] = [:]
        var safe: [UInt64: [UInt8]] = [:]
        var left: Int
    }

    private let contents: Mutex<Contents>
    private let ignoresFlush: Bool

    /// Power is cut before request `requests`; from then on each fails. With `ignoresFlush` it is a disk that lies.
    init(requests: Int, ignoresFlush: Bool) {
        contents = Mutex(Contents(left: requests))
        self.ignoresFlush = ignoresFlush
    }

    let capacity: UInt64 = 256

    /// The first word of a sector that outlived the cut.
    func word(_ sector: UInt64) -> UInt64? {
        contents.withLock { $0.safe[sector] }.map { bytes in
            (0..<8).reduce(0) { $0 | UInt64(bytes[$1]) << UInt64(8 * $1) }
        }
    }

    func flush() -> Outcome {
        contents.withLock {
            guard $0.left > 0 else { return .ioError }
            if !ignoresFlush { $0.safe = $0.cached }
            return .ok()
        }
    }

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        let isOn = contents.withLock {
            $0.left = max(0, $0.left - 1)
            return $0.left > 0
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

@Suite("The power of a disk is cut", .needsKVM, .serialized)
struct PowerCutTests {
    /// The records the guest was told are flushed and that are not there, and how many it was told of.
    private func lost(cutAt requests: Int, _ dialect: SuspendDialect, ignoresFlush: Bool) throws -> (Int, told: Int) {
        let disk = VolatileDisk(requests: requests, ignoresFlush: ignoresFlush)
        let between = TestHooks(backend: { $0.capacity == 16 << 11 ? disk : $0 })
        let run = try GuestRun(append: ["records=100000"], suspend: dialect, hooks: between)
        #expect(run.outcome == .debugExit(0x2a), "the guest ends with its disk: \(run.output.suffix(200))")
        let told = run.output.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("flushed ") }
            .compactMap { UInt64($0.dropFirst("flushed ".count)) }
        let there = told.suffix(Int(disk.capacity) - 8).filter { number in
            // BlockDriver.fill, of seed 1.
            disk.word(number % disk.capacity) == (1 << 52 &+ number << 32) &* 0x9e37_79b9_7f4a_7c15
        }
        return (told.suffix(Int(disk.capacity) - 8).count - there.count, told.count)
    }

    @Test("what was flushed is there", arguments: [7, 23, 61, 601], SuspendDialect.allCases)
    func flushed(cutAt requests: Int, dialect: SuspendDialect) throws {
        let (lost, told) = try lost(cutAt: requests, dialect, ignoresFlush: false)
        #expect(lost == 0)
        #expect(told >= (requests - 1) / 6 * 4)
    }

    @Test("a disk that ignores flushes is found out")
    func ignored() throws {
        let (lost, told) = try lost(cutAt: 100, .draft, ignoresFlush: true)
        #expect(lost == told && told > 0)
    }
}

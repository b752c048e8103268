// Captures of frames, read by a reader of pcapng of this file's own.

import Glibc
import Testing
import Virtio

@testable import Machine

@Suite("Captures")
struct FrameCaptureTests {
    private struct Packet: Equatable {
        let frame: [UInt8]
        let flags: UInt32
        let time: UInt64
    }

    /// The packets of a capture, which is read block by block; nil if it is no whole capture.
    private func packets(_ bytes: [UInt8]) -> [Packet]? {
        func word(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }
        var (start, packets): (Int, [Packet]) = (0, [])
        while start < bytes.count {
            guard start + 12 <= bytes.count else { return nil }
            let length = word(start + 4)
            guard length >= 12, length % 4 == 0, start + length <= bytes.count, word(start + length - 4) == length
            else {
                return nil
            }
            if word(start) == 6 {
                let size = word(start + 20)
                guard word(start + 24) == size, word(start + length - 16) == 2 | 4 << 16 else { return nil }
                packets.append(
                    Packet(
                        frame: Array(bytes[(start + 28)..<(start + 28 + size)]),
                        flags: UInt32(word(start + length - 12)),
                        time: UInt64(word(start + 12)) << 32 | UInt64(word(start + 16))))
            }
            start += length
        }
        return packets
    }

    private func bytes(of path: String) throws -> [UInt8] {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        try #require(file >= 0)
        let size = Int(lseek(file, 0, SEEK_END))
        return unsafe [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
            unsafe count = pread(file, bytes.baseAddress, size, 0)
        }
    }

    @Test("Frames of a device, both ways, with their direction and the time")
    func device() throws {
        let file = try TraceFile()
        let device = try Machine.Configuration.NetworkDevice(option: "null,pcap=\(file.path)")
        let client = try QTestClient(suspend: nil) { $0.networks = [device] }
        client.bringUp(4, queues: 2)
        client.say("x-input net0 0x\(String(repeating: "ab", count: 61))")
        client.offer(4, 1, first: 0, [(0x5_0000, 12 + 14, false)])
        client.notify(4, 1)
        client.say("x-output net0")
        let bytes = try self.bytes(of: file.path)
        let packets = try #require(self.packets(bytes))
        #expect(packets.map(\.frame) == [[UInt8](repeating: 0xab, count: 61), [UInt8](repeating: 0, count: 14)])
        #expect(packets.map(\.flags) == [1, 2])
        let now = UInt64(time(nil))
        #expect(packets.allSatisfy { now - $0.time / 1_000_000_000 < 3600 } && packets[0].time <= packets[1].time)
    }

    @Test("A file that is full ends the capture with a whole block, at its limit too")
    func full() throws {
        let file = try TraceFile()
        let frame = [UInt8](repeating: 1, count: 1500)
        var capture: FrameCapture? = try FrameCapture(path: file.path, name: "net0", limit: 300_000)
        for _ in 0..<1000 { capture?.add(frame.span, .received) }
        capture = nil
        let bytes = try self.bytes(of: file.path)
        let packets = try #require(self.packets(bytes))
        #expect(
            (100_000...300_000).contains(bytes.count) && packets.count >= 64 && packets.allSatisfy { $0.frame == frame }
        )
        // /dev/full takes nothing, and the capture goes on taking frames.
        capture = try FrameCapture(path: "/dev/full", name: "net0")
        for _ in 0..<1000 { capture?.add(frame.span, .transmitted) }
        capture = nil
    }

    @Test("A file of another kind is not overwritten, and a capture is")
    func replaces() throws {
        let file = try TraceFile()
        for (head, isKept) in [("text", true), ("\n\r\r\n", false)] as [(String, Bool)] {
            try file.write(head)
            let device = try Machine.Configuration.NetworkDevice(option: "null,pcap=\(file.path)")
            var failure: MachineError?
            do { _ = try QTestClient { $0.networks = [device] } } catch { failure = error as? MachineError }
            #expect(failure == (isKept ? .not("capture", path: file.path) : nil))
        }
    }
}

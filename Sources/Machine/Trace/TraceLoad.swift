// A trace writer under a load of a known size, for the benchmarks.

import Glibc
import Virtio
import VirtioABI

/// Writes events of one disk to a trace.
package enum TraceLoad {
    /// Writes `count` calls of the model with these events each to the file at `path`, as fast as the writer's thread takes them, and
    /// closes it. Returns how many events were dropped.
    package static func write(_ call: [Event], count: Int, to path: String) throws(MachineError) -> UInt64 {
        let writer = try TraceWriter(path: path, time: MonotonicTime(), devices: 1)
        let disk = TracedDevice(
            name: "blk0", deviceID: DeviceID.block, offered: .version1, dialect: nil, freeze: .wide, conform: .report,
            configuration: 8, queues: 1, queueSize: 256, ports: [], writeZeroesMayUnmap: nil,
            blockSizes: nil)
        try writer.begin([disk], memory: 128 << 20)
        for _ in 0..<count {
            while !writer.hasRoom { usleep(500) }
            writer.add(device: 0) { add in for event in call { add(event) } }
        }
        return writer.close()
    }
}

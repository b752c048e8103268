// The rows of the network device: frames each way through a TAP interface, compared with QEMU running the same guest.

import Glibc

extension Setup {
    /// Frames of 64 and 1500 bytes, and segments of 64 KiB, sent and received by the guest.
    func networkRows() -> [Row] {
        Self.networkForms.map { form in
            let usual = form.size == 64 ? 600_000 : form.size > 1514 ? 40_000 : 400_000
            let direction = form.receives ? "receive" : "send"
            let words = "bench=net-\(direction),count=\(count(usual)),depth=\(form.depth),size=\(form.size)\(diskWords)"
            let what = form.size > 1514 ? "segments of \(form.size) bytes" : "frames of \(form.size) bytes"
            var row = Row(
                name: form.name, what: "\(what), \(form.receives ? "received" : "sent") by the guest", unit: "frames/s",
                moreIsBetter: true, budget: .ratioAtLeast(1.5, to: "qemu"), candidates: [])
            row.operationBytes = form.size
            guard let tap else {
                row.candidates = ["vmm", "qemu"].map {
                    Candidate($0, missing: "no TAP interface: make bench makes one if it may make a network namespace")
                }
                return row
            }
            let mac = "52:54:00:12:34:56"
            let packed = isPacked ? ",features=+packed" : ""
            let qemuDevice = "virtio-net-device,netdev=net,mac=\(mac)" + (isPacked ? ",packed=on" : "")
            let qemuNet = [
                "-netdev", "tap,id=net,ifname=\(tap),script=no,downscript=no,vhost=off", "-device", qemuDevice,
            ]
            row.candidates = [
                network("vmm", form, vmmCommand(words) + ["--net", "tap=\(tap),mac=\(mac)\(packed)"], Self.vmmCodes),
                network("qemu", form, qemuCommand(words) + qemuNet, Self.qemuCodes),
            ]
            return row
        }
    }

    /// A row's frames.
    private struct NetworkForm {
        let size: Int
        let receives: Bool
        var depth: Int { size > 1514 && !receives ? 64 : 256 }
        var name: String { "net-\(receives ? "receive" : "send")-\(size > 1514 ? "64k" : "\(size)")" }
    }

    private static let networkForms = [false, true].flatMap { receives in
        [64, 1500, 65214].map { NetworkForm(size: $0, receives: receives) }
    }

    static let networkRowNames = networkForms.map(\.name)

    /// One monitor. What the guest receives is sent by a program at the other end of the interface.
    private func network(_ label: String, _ form: NetworkForm, _ command: [String], _ codes: [Int32]) -> Candidate {
        guard Self.isInstalled(command[0]) else { return Candidate(label, missing: "not installed") }
        let sender = ["\(peers)/frames", tap ?? "", "\(form.size)"]
        return Candidate(
            label, command,
            measure: { () throws(BenchError) in
                func measure() throws(BenchError) -> Sample {
                    let run = try GuestRun("net-\(form.receives ? "receive" : "send")", command, codes: codes)
                    return run.sample(Double(run.count) / run.seconds)
                }
                guard form.receives else { return try measure() }
                var child = try Child(sender)
                defer { child.stop() }
                return try measure()
            })
    }
}

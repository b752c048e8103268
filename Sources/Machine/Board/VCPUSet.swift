// The vCPUs of a machine: all are created before one of them runs.

import KVM

/// The vCPUs of a machine, from their creation to the end of their threads.
final class VCPUSet: @unchecked Sendable {
    private let lock = Lock()
    private var vcpus: [VCPUThread] = []
    /// The numbers of those that run while the guest does: all, unless a debugger lets only some run.
    private var chosen: [Int] = []
    private let symbols: Symbols

    /// An empty set; `symbols` are those of the kernel.
    init(symbols: Symbols) { self.symbols = symbols }

    /// Adds a vCPU that does not run yet; its number is the count of those before it.
    func add(_ vcpu: VCPUThread) {
        lock.locked {
            chosen.append(vcpus.count)
            vcpus.append(vcpu)
        }
    }

    /// Starts the threads. vCPU 0 executes instructions at once, so it waits for the threads of the others, which wait in KVM_RUN until
    /// the guest starts them.
    func start() throws(MachineError) {
        let others = Array(all.dropFirst())
        for vcpu in others { try vcpu.start() }
        try all.first?.start(after: others)
    }

    /// Ends the threads and waits for that.
    func stop() {
        let vcpus = all
        for vcpu in vcpus { vcpu.requestStop() }
        for vcpu in vcpus { vcpu.join() }
    }

    /// Stops the guest between two instructions of each vCPU; false, and it runs on, if a vCPU still serves an exit at `deadline`.
    func pause(until deadline: Instant) -> Bool {
        requestPause()
        for vcpu in all where !vcpu.waitUntilPaused(deadline) {
            resume()
            return false
        }
        return true
    }

    /// The state of each vCPU for a snapshot; nil if one runs.
    func saved(_ registers: [UInt32]) throws(KVMError) -> [[String: [UInt8]]]? {
        var states: [[String: [UInt8]]] = []
        for vcpu in all {
            guard let state = try vcpu.saved(registers) else { return nil }
            states.append(state)
        }
        return states
    }

    /// The frequency of their time-stamp counters in kHz; 0 if KVM does not tell.
    var tscFrequency: Int { all.first?.tscFrequency ?? 0 }

    /// Makes the vCPUs stop before their next instruction; before `start`, before the first.
    func requestPause() { for vcpu in all { vcpu.requestPause() } }

    /// Lets the guest run again, by the vCPUs that ran before it was paused.
    func resume() { resume(lock.locked { chosen }) }

    /// Lets a paused guest run again, by these vCPUs only.
    func resume(_ ids: [Int]) {
        let vcpus = lock.locked {
            chosen = ids
            return self.vcpus
        }
        for id in ids { vcpus[id].resume() }
    }

    /// Calls `body` with the vCPU if the guest is paused; otherwise returns nil.
    func whilePaused<Result>(_ id: Int, _ body: (borrowing VCPU) -> Result) -> Result? { all[id].whilePaused(body) }

    /// The vCPU whose thread calls this; nil for another thread.
    var current: Int? { all.firstIndex { $0.isCurrentThread } }

    /// Sends every vCPU a non-maskable interrupt.
    func injectNMI() { for vcpu in all { vcpu.requestNMI() } }

    /// The kernel's ids of the vCPUs' threads.
    var threads: [Int] { all.map(\.threadID) }

    /// The vCPUs' exits; to be called after `stop`, or while the guest is paused.
    var exits: [ExitCounts] { all.map(\.counts) }

    /// The state of every vCPU, from any thread. A running guest is interrupted for that.
    var states: ProcessorStates {
        let vcpus = all
        for vcpu in vcpus { vcpu.requestState() }
        let deadline = Instant.now.advanced(by: .seconds(1))
        return ProcessorStates(states: vcpus.map { $0.state(until: deadline) }, symbols: symbols)
    }

    private var all: [VCPUThread] { lock.locked { vcpus } }
}

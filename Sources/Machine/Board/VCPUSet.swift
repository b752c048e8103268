// The vCPUs of a machine: all are created before one of them runs.

import KVM

/// The vCPUs of a machine, from their creation to the end of their threads.
final class VCPUSet: @unchecked Sendable {
    private let lock = Lock()
    private var vcpus: [VCPUThread] = []

    /// Adds a vCPU that does not run yet; its number is the count of those before it.
    func add(_ vcpu: VCPUThread) { lock.locked { vcpus.append(vcpu) } }

    /// Starts the threads. vCPU 0 executes instructions at once and is therefore the last; the others wait until the
    /// guest starts them.
    func start() throws(MachineError) {
        for vcpu in all.reversed() { try vcpu.start() }
    }

    /// Ends the threads and waits for that.
    func stop() {
        let vcpus = all
        for vcpu in vcpus { vcpu.requestStop() }
        for vcpu in vcpus { vcpu.join() }
    }

    /// The vCPUs' exits; to be called after `stop`.
    var exits: [ExitCounts] { all.map(\.counts) }

    /// The state of every vCPU, from any thread. A running guest is interrupted for that.
    var states: ProcessorStates {
        let vcpus = all
        for vcpu in vcpus { vcpu.requestState() }
        let deadline = Instant.now.advanced(by: .seconds(1))
        return ProcessorStates(states: vcpus.map { $0.state(until: deadline) })
    }

    private var all: [VCPUThread] { lock.locked { vcpus } }
}

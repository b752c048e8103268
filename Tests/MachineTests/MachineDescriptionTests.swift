// The description of a machine against the machine: every port that answers is described, every offered feature has a name, and every
// window is the board's.

import KVM
import Testing
import Virtio
import VirtioABI

@testable import Machine

@Suite struct MachineDescriptionTests {
    private func describe(_ configuration: Machine.Configuration = .init()) throws -> MachineDescription {
        try MachineDescription(configuration)
    }

    @Test func oneDeviceOfEachType() throws {
        let devices = try describe().devices
        #expect(devices.map(\.id) == DeviceKind.all.map(\.id))
        #expect(devices.map(\.name) == DeviceKind.all.map { "\($0.name)0" })
        for (slot, device) in devices.enumerated() {
            #expect(device.window == MemoryMap.window(slot: slot))
            #expect(device.gsi == MemoryMap.gsi(slot: slot))
        }
    }

    @Test func devicesOfTheConfiguration() throws {
        var configuration = Machine.Configuration()
        configuration.entropy = [.init(), .init()]
        #expect(try describe(configuration).devices.map(\.name) == ["console0", "rng0", "rng1"])
    }

    @Test(arguments: [SuspendDialect.draft, .ratified, nil])
    func everyOfferedFeatureHasAName(_ dialect: SuspendDialect?) throws {
        var configuration = Machine.Configuration()
        configuration.suspend = dialect
        for device in try describe(configuration).devices {
            for feature in device.features { #expect(feature.name.hasPrefix("VIRTIO_"), "\(device.name) \(feature)") }
            let suspends = device.features.filter { $0.name == "VIRTIO_F_SUSPEND" }.map(\.bit)
            let expected: [Int] =
                switch dialect {
                case .draft: device.id == DeviceID.network ? [] : [42]
                case .ratified: [43]
                case nil: []
                }
            #expect(suspends == expected)
        }
    }

    @Test func clausesNameTheirFeature() throws {
        for feature in try describe().devices.flatMap(\.features) {
            for id in feature.clauses { #expect(Clause.named(id) != nil, "\(feature.name): \(id)") }
        }
        #expect(
            Clause.naming("VIRTIO_NET_F_CTRL_RX").count < Clause.naming("VIRTIO_NET_F_CTRL_RX").count
                + Clause.naming("VIRTIO_NET_F_CTRL_RX_EXTRA").count)
    }

    @Test func everyPortThatAnswersIsDescribed() {
        // This board has neither a timer nor a serial port: the ports of those are the only ones that do not answer.
        let board = Board(regions: [], testDevice: [])
        let absent = Set(IntervalTimer.ports).union([IntervalTimer.controlPort]).union(SerialPort.ports)
        let described = Set(Board.ports.flatMap { Array($0.range) })
        let answering = (UInt16.min...UInt16.max).filter { port in
            [1, 2, 4].contains { width in
                if board.readPort(port, width: width) != nil { return true }
                if case .unanswered = board.writePort(port, width: width, value: 0) { return false }
                return true
            }
        }
        #expect(Set(answering) == described.subtracting(absent))
        #expect(absent.isSubset(of: described))
    }
}

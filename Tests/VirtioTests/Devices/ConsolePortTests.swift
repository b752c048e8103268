// The console's ports and their control messages (VIRTIO 1.4, 5.3.6.2).

import Testing
import Virtio
import VirtioABI

@Suite("Console ports")
struct ConsolePortTests {
    typealias Message = ControlMessage

    /// A running console with ports "log" and "agent" besides the terminal, none announced to the driver.
    func driver(_ form: Form = Form(), _ dialect: SuspendDialect? = nil) -> ConsoleDriver {
        let driver = ConsoleDriver(ports: ["log", "agent"], suspend: dialect, form: form)
        driver.backend.completesAtOnce = true
        driver.bringUp()
        return driver
    }

    /// The same console, with all ports announced.
    func announced(_ form: Form = Form(), _ dialect: SuspendDialect? = nil) -> ConsoleDriver {
        let driver = driver(form, dialect)
        #expect(driver.announce().count == 8, driver.state)
        driver.acknowledge()
        return driver
    }

    static let size: [UInt8] = [80, 0, 25, 0]
    /// The messages that describe the terminal.
    static let terminal = [
        Message(.consolePort, port: 0, value: 1), Message(.resize, port: 0, rest: size),
        Message(.portOpen, port: 0, value: 1),
    ]

    // MARK: The announcement

    @Test("DEVICE_READY is answered by the ports, PORT_READY by the description of the port", arguments: Form.layouts)
    func announcement(form: Form) {
        let driver = driver(form)
        #expect(driver.configuration(ConsoleConfiguration.maximumPorts) == 3)
        #expect(driver.messages() == [], "the driver has not sent DEVICE_READY")
        driver.send(.deviceReady)
        #expect(driver.messages() == (0..<3).map { Message(.deviceAdd, port: $0) }, driver.state)
        driver.send(.portReady, port: 0)
        #expect(driver.messages() == Self.terminal, driver.state)
        driver.send(.portReady, port: 2)
        #expect(driver.messages() == [Message(.portName, port: 2, rest: Array("agent".utf8))], driver.state)
        driver.send(.portReady, port: 1)
        #expect(driver.messages() == [Message(.portName, port: 1, rest: Array("log".utf8))], driver.state)
    }

    @Test("Messages stay pending until there is a buffer")
    func noBuffer() {
        let driver = driver()
        driver.send(.deviceReady)
        driver.send(.portReady, port: 0)
        #expect(
            driver.messages().map(\.event) == [.deviceAdd, .consolePort, .resize, .portOpen, .deviceAdd, .deviceAdd])
    }

    @Test("A second DEVICE_READY announces no port again (5.3.6.2), one with value 0 announces none")
    func twice() {
        let driver = driver()
        driver.send(.deviceReady, value: 0)
        #expect(driver.messages() == [], driver.state)
        driver.send(.deviceReady)
        driver.send(.deviceReady)
        #expect(driver.messages().count == 3, driver.state)
        driver.send(.deviceReady)
        #expect(driver.messages() == [], driver.state)
    }

    @Test("PORT_READY of a port that does not exist, is not announced, or failed, is not answered")
    func unknownPort() {
        let driver = driver()
        driver.send(.portReady, port: 1)
        #expect(driver.messages() == [], "not announced")
        driver.send(.deviceReady)
        #expect(driver.messages().count == 3)
        for port: UInt32 in [3, 15, 0xffff, 0x1_0000, 0x8000_0001, .max] { driver.send(.portReady, port: port) }
        for port in UInt32(0)..<3 { driver.send(.portReady, port: port, value: 0) }
        for port: UInt32 in [3, .max] { driver.send(.portOpen, port: port) }
        #expect(driver.messages() == [] && driver.status.rawValue == 0x0f, driver.state)
    }

    @Test("A truncated or invalid message is used and has no effect", arguments: 0..<8)
    func shortMessage(count: Int) {
        let driver = driver()
        let ready = UInt32(0).bytes + UInt16(0).bytes + UInt16(1).bytes
        if count > 0 { driver.sendControl(Array(ready.prefix(count))) }
        driver.add([driver.writable(8)], to: ConsoleQueue.controlTransmit)
        #expect(driver.takeUsed(ConsoleQueue.controlTransmit).map(\.length) == [0], driver.state)
        for event: UInt16 in [1, 2, 4, 5, 7, 8, 0x100, 0xffff] {
            driver.sendControl(UInt32(0).bytes + event.bytes + UInt16(1).bytes)
        }
        #expect(driver.messages() == [] && driver.status.rawValue == 0x0f, driver.state)
        driver.sendControl(ready + [1, 2, 3])
        #expect(driver.messages().count == 3, "bytes after a message are ignored")
    }

    @Test("A message is truncated to the buffer, and not sent again", arguments: 0..<13)
    func smallBuffers(room: Int) {
        let driver = announced()
        driver.send(.portReady, port: 2)
        // The buffer already available is large.
        #expect(driver.messages().count == 1)
        driver.controlBuffers = [:]
        driver.write(.queueSel, 2)
        driver.write(.queueReady, 0)
        driver.setUp(queue: 2, size: 16)
        driver.send(.portReady, port: 2)
        let whole = UInt32(2).bytes + UInt16(7).bytes + UInt16(0).bytes + Array("agent".utf8)
        let part = room == 0 ? Part(address: 0, length: 0, writable: true) : driver.writable(room)
        let chain = driver.add([part], to: ConsoleQueue.controlReceive)
        #expect(driver.takeUsed(ConsoleQueue.controlReceive).map(\.length) == [UInt32(room)], driver.state)
        if room > 0 { #expect(driver.answer(chain) == Array(whole.prefix(room))) }
        #expect(driver.messages() == [], driver.state)
    }

    @Test("Repeated requests of the driver do not grow memory: each message is pending once")
    func flood() {
        let driver = driver()
        for _ in 0..<2000 {
            driver.send(.deviceReady)
            for port in UInt32(0)..<4 { driver.send(.portReady, port: port) }
        }
        #expect(driver.messages().count == 8, driver.state)
        #expect(driver.messages() == [])
    }

    // MARK: Names and numbers of ports

    @Test("Up to 15 ports, with 32 queues", arguments: [2, 3, 14, 15])
    func count(ports: Int) {
        let driver = ConsoleDriver(ports: (1..<ports).map { "port \($0)" })
        driver.bringUp()
        #expect(driver.backend.transport.queueCount == 2 * ports + 2)
        #expect(driver.configuration(ConsoleConfiguration.maximumPorts) == UInt64(ports))
        #expect(driver.exists(2 * ports + 1) && !driver.exists(2 * ports + 2))
        let messages = driver.announce()
        #expect(messages.filter { $0.event == .deviceAdd }.map(\.port) == (0..<UInt32(ports)).map { $0 })
        #expect(
            messages.filter { $0.event == .portName }.map { String(decoding: $0.rest, as: UTF8.self) }
                == (1..<ports).map { "port \($0)" })
        for port in 1..<ports {
            driver.add([driver.readable([UInt8(port)])], to: ConsoleQueue.transmit(port: port))
            driver.backend.complete()
            #expect(driver.terminal.outputs[port] == [UInt8(port)], driver.state)
        }
    }

    @Test("A long name is truncated to 64 bytes")
    func longName() {
        let driver = ConsoleDriver(ports: [String(repeating: "n", count: 200)])
        driver.bringUp()
        #expect(driver.announce().last == Message(.portName, port: 1, rest: Array(repeating: 0x6e, count: 64)))
    }

    @Test("A console with one port has no control queues, and its driver cannot negotiate them")
    func onePort() {
        let driver = ConsoleDriver()
        #expect(driver.backend.transport.queueCount == 2 && !driver.offered.contains(ConsoleFeature.multiport))
        #expect(driver.configuration(ConsoleConfiguration.maximumPorts) == 0)
    }

    // MARK: Open and close, input and output

    @Test("Output goes to its own port", arguments: Form.layouts)
    func output(form: Form) {
        let driver = announced(form)
        for round in UInt8(0)..<20 {
            for port in 0..<3 {
                driver.add([driver.readable([round, UInt8(port)])], to: ConsoleQueue.transmit(port: port))
                #expect(driver.takeUsed(ConsoleQueue.transmit(port: port)).count == 1, driver.state)
            }
        }
        for port in UInt8(0)..<3 {
            #expect(driver.terminal.outputs[Int(port)] == (UInt8(0)..<20).flatMap { [$0, port] }, driver.state)
        }
    }

    @Test("Input is held until the guest opens the port, and while it is closed", arguments: 0..<3)
    func input(port: Int) {
        let driver = announced()
        let queue = ConsoleQueue.receive(port: port)
        let chains = (0..<3).map { _ in driver.add(driver.parts([], room: 4), to: queue) }
        #expect(driver.type([1, 2], port: port) == 2)
        #expect(driver.takeUsed(queue) == [], "the port is not open")
        // Only the message reaches the device: no notification, no further input.
        driver.send(.portOpen, port: UInt32(port))
        #expect(driver.takeUsed(queue) == [UsedElement(id: UInt32(chains[0].head), length: 2)], driver.state)
        driver.send(.portOpen, port: UInt32(port), value: 0)
        driver.type([3], port: port)
        #expect(driver.takeUsed(queue) == [], "the port was closed")
        driver.send(.portOpen, port: UInt32(port))
        #expect(driver.takeUsed(queue).map(\.length) == [1], driver.state)
        #expect(driver.answer(chains[0]).prefix(2) == [1, 2] && driver.answer(chains[1]).first == 3)
        for other in 0..<3 where other != port {
            #expect(driver.takeUsed(ConsoleQueue.receive(port: other)) == [])
        }
    }

    @Test("When the host opens and closes a port, the driver receives only the last state")
    func hostSide() {
        let driver = announced()
        func set(_ isOpen: Bool, _ port: Int) { driver.backend.call { $0.setOpen(isOpen, port: port) } }
        set(true, 1)
        #expect(driver.messages() == [Message(.portOpen, port: 1, value: 1)], driver.state)
        set(true, 1)
        #expect(driver.messages() == [], "the port was already open")
        set(false, 1)
        #expect(driver.messages() == [Message(.portOpen, port: 1, value: 0)], driver.state)
        set(false, 0)
        #expect(driver.messages() == [Message(.portOpen, port: 0, value: 0)], driver.state)
        driver.controlBuffers = [:]
        driver.write(.queueSel, 2)
        driver.write(.queueReset, 1)
        for isOpen in [true, false, true] { set(isOpen, 2) }
        driver.setUp(queue: 2)
        #expect(driver.messages() == [Message(.portOpen, port: 2, value: 1)], "three changes are one message")
    }

    @Test("A port opened before DEVICE_READY is reported open with its description")
    func openEarly() {
        let driver = driver()
        driver.backend.call { $0.setOpen(true, port: 1) }
        #expect(driver.messages() == [], "the port is not announced")
        let messages = driver.announce().filter { $0.port == 1 }
        #expect(messages.map(\.event) == [.deviceAdd, .portName, .portOpen] && messages.last?.value == 1, driver.state)
    }

    @Test("A new size changes the configuration and sends a message with the current size")
    func resize() {
        let driver = announced()
        driver.backend.change { $0.columns = 132 }
        #expect(driver.messages() == [Message(.resize, port: 0, rest: [132, 0, 25, 0])], driver.state)
        #expect(driver.acknowledge().contains(.configurationChange), driver.state)
        driver.backend.servesAtOnce = false
        driver.backend.change { $0.columns = 1 }
        driver.backend.change { $0.columns = 0x1234 }
        driver.backend.servesAtOnce = true
        driver.backend.serve()
        #expect(driver.messages() == [Message(.resize, port: 0, rest: [0x34, 0x12, 25, 0])], driver.state)
    }

    // MARK: Reset, suspend, snapshot

    @Test("A reset clears the driver's state; input and the host's open state are kept")
    func reset() {
        let driver = announced()
        driver.backend.call { $0.setOpen(true, port: 2) }
        driver.send(.portOpen, port: 1)
        driver.send(.deviceReady)
        driver.bringUp()
        driver.controlBuffers = [:]
        driver.type([7], port: 1)
        #expect(driver.messages() == [], "no DEVICE_READY since the reset")
        let chain = driver.add(driver.parts([], room: 4), to: ConsoleQueue.receive(port: 1))
        #expect(driver.takeUsed(4) == [], "the port was not opened since the reset")
        #expect(driver.announce().count == 9, "one more port is open on the host")
        driver.send(.portOpen, port: 1)
        #expect(driver.answer(chain).first == 7, driver.state)
        // A driver without the feature has one port, which is open.
        driver.bringUp(accepting: driver.offered.subtracting(ConsoleFeature.multiport))
        driver.type([8])
        #expect(driver.answer(driver.post(2)).first == 8, driver.state)
    }

    @Test(
        "A suspended device owes its messages until the resume, the last state of each", .covers("D-8", "D-17"),
        arguments: SuspendDialect.allCases, [Form(), Form(packed: true)])
    func suspended(dialect: SuspendDialect, form: Form) {
        let driver = announced(form, dialect)
        driver.send(.portOpen, port: 1)
        let chain = driver.add(driver.parts([], room: 4), to: ConsoleQueue.receive(port: 1))
        driver.acknowledge()
        driver.suspend()
        let before = driver.appearance
        let events = driver.backend.events.count
        driver.backend.call { $0.setOpen(true, port: 2) }
        driver.backend.change { $0.rows = 50 }
        driver.type([9], port: 1)
        driver.backend.call { $0.setOpen(true, port: 1) }
        driver.backend.call { $0.setOpen(false, port: 1) }
        driver.expectUntouched(since: before)
        #expect(driver.backend.events[events...].flatMap { [$0] } == [.deferred], "the host is told once")
        driver.resume()
        let expected = [
            Message(.resize, port: 0, rest: [80, 0, 50, 0]), Message(.portOpen, port: 1, value: 0),
            Message(.portOpen, port: 2, value: 1),
        ]
        #expect(driver.messages() == expected, driver.state)
        #expect(driver.answer(chain).first == 9 && driver.takeUsed(4).count == 1, driver.state)
    }

    @Test(
        "A snapshot takes along what each port is, owes and has waiting", .covers("D-8"),
        arguments: SuspendDialect.allCases)
    func snapshot(dialect: SuspendDialect) {
        let old = announced(Form(), dialect)
        old.send(.portOpen, port: 1)
        old.send(.portReady, port: 2)
        #expect(old.messages().count == 1)
        old.suspend()
        old.backend.call { $0.setOpen(true, port: 2) }
        old.type([5, 6], port: 1)
        old.type([7], port: 2)
        let new = ConsoleDriver(ports: ["log", "agent"], suspend: dialect)
        #expect(new.replace(old), old.state)
        new.controlBuffers = old.controlBuffers
        new.resume()
        #expect(new.messages() == [Message(.portOpen, port: 2, value: 1)], new.state)
        let chain = new.add(new.parts([], room: 4), to: ConsoleQueue.receive(port: 1))
        #expect(new.answer(chain).prefix(2) == [5, 6], new.state)
        let closed = new.add(new.parts([], room: 4), to: ConsoleQueue.receive(port: 2))
        #expect(new.takeUsed(6) == [], "the guest has not opened it")
        new.send(.portOpen, port: 2)
        #expect(new.answer(closed).first == 7, new.state)
        new.send(.deviceReady)
        #expect(new.messages() == [], "the ports were announced before")
    }
}

// Drivers that keep every rule when a device ends, dies or moves, and those of consoles.

import Testing
import Virtio
import VirtioABI

extension LegalDriver {
    static let ends: [LegalDriver] = [
        LegalDriver("reset at every step, with requests under way and without") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            for stage in BlockDriver.Stage.allCases {
                driver.bringUp(to: stage)
                driver.bringUp()
                driver.submitRead()
            }
            driver.write(.status, 0)
            driver.backend.complete()
            return driver
        },
        LegalDriver("given up, and begun again") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp(to: .driver)
            driver.write(.status, 0x83)
            driver.bringUp()
            driver.write(.status, 0x8f)
            driver.bringUp()
            driver.backend.fatal()
            #expect(driver.status.contains(.needsReset), driver.state)
            driver.handleInterrupt()
            // DEVICE_NEEDS_RESET is the device's: no driver has to write it back.
            driver.write(.status, 0x8f)
            driver.bringUp()
            driver.expectWorks()
            return driver
        },
        LegalDriver("a death while a suspend is under way, while suspended, and while a resume is") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            guard dialect != nil else { return driver }
            for moment in 0..<3 {
                driver.backend.readiesAtOnce = false
                driver.bringUp()
                if moment == 0 { driver.submitRead() }
                driver.requestSuspend()
                _ = driver.status
                if moment == 2 { driver.requestResume() }
                driver.backend.fatal()
                _ = driver.status
                // It has seen the end of what it waited for, and tidies up.
                driver.write(.queueReady, 0)
                _ = driver.read(.queueReady)
                driver.write(.status, 0)
                driver.backend.complete()
            }
            return driver
        },
        LegalDriver("a queue reset while suspended, carried out after the resume") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp()
            guard dialect != nil else { return driver }
            driver.suspend()
            driver.write(.queueReset, 1)
            driver.resume()
            driver.await(.queueReset, 0, queue: 0)
            driver.setUp(queue: 0)
            driver.expectWorks()
            return driver
        },
        LegalDriver("moved from host to host at every step") { form, dialect in
            func make() -> BlockDriver {
                BlockDriver(suspend: dialect, form: form, memory: FakeMemory(low: 1 << 17, high: 4096))
            }
            var driver = make()
            func move() {
                let next = make()
                #expect(next.replace(driver), driver.state)
                driver = next
            }
            for stage in BlockDriver.Stage.allCases {
                driver.bringUp(to: stage)
                move()
                for rest in BlockDriver.Stage.allCases where rest > stage { driver.perform(rest) }
                driver.submitRead()
                driver.backend.complete()
                let tracedLoad = driver.interruptStatus
                move()
                _ = driver.takeUsed(0)
                driver.write(.interruptACK, tracedLoad.rawValue)
                driver.write(.queueSel, 0)
                move()
                driver.write(.queueReady, 0)
                move()
                _ = driver.read(.queueReady)
                driver.setUp(queue: 0)
                guard dialect != nil else { continue }
                driver.requestSuspend()
                move()
                _ = driver.status
                driver.requestResume()
                move()
                _ = driver.status
                driver.expectWorks()
            }
            return driver
        },
    ]

    static let consoles: [LegalDriver] = [
        LegalDriver("a console, from its first word to its last") { form, dialect in
            let driver = ConsoleDriver(suspend: dialect, form: form)
            driver.write(at: UInt64(Register.configuration) + 8, width: 4, 0x21)
            driver.bringUp()
            driver.backend.completesAtOnce = true
            for width in [80, 81] as [UInt16] {
                driver.backend.change { $0.columns = width }
                for offset in [0, 2] { _ = driver.configuration(offset, width: 2) }
                driver.print([1, 2, 3], cuts: [1])
                driver.post(8, cuts: [4])
                driver.type([1, 2, 3])
                driver.handleInterrupt()
                guard dialect != nil else { continue }
                driver.suspend()
                driver.type([4])
                driver.resume()
                driver.post(1)
                driver.handleInterrupt()
            }
            return driver
        },
        LegalDriver("a console of several ports") { form, dialect in
            let driver = ConsoleDriver(ports: ["log", "agent"], suspend: dialect, form: form)
            driver.bringUp()
            driver.backend.completesAtOnce = true
            _ = driver.configuration(ConsoleConfiguration.maximumPorts)
            #expect(!driver.announce().isEmpty, driver.state)
            for port in 0..<3 { driver.send(.portOpen, port: UInt32(port)) }
            driver.backend.call { $0.setOpen(true, port: 1) }
            #expect(driver.messages().map(\.event) == [.portOpen], driver.state)
            driver.add(driver.parts([1, 2], room: 0), to: ConsoleQueue.receive(port: 2) + 1)
            driver.add(driver.parts([], room: 4), to: ConsoleQueue.receive(port: 2))
            driver.type([7], port: 2)
            driver.acknowledge()
            if dialect != nil {
                driver.suspend()
                driver.resume()
            }
            driver.send(.portOpen, port: 2, value: 0)
            driver.write(.status, 0)
            return driver
        },
    ]
}

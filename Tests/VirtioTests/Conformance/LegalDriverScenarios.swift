// Legal drivers of devices that are reset, fail or are migrated, and of consoles.

import Testing
import Virtio
import VirtioABI

extension LegalDriver {
    static let ends: [LegalDriver] = [
        LegalDriver("reset at every step, with and without requests in flight") { form, dialect in
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
        LegalDriver("FAILED set, and initialized again") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp(to: .driver)
            driver.write(.status, 0x83)
            driver.bringUp()
            driver.write(.status, 0x8f)
            driver.bringUp()
            driver.backend.fatal()
            #expect(driver.status.contains(.needsReset), driver.state)
            driver.handleInterrupt()
            // The driver need not write DEVICE_NEEDS_RESET back: the device sets and clears it.
            driver.write(.status, 0x8f)
            driver.bringUp()
            driver.expectWorks()
            return driver
        },
        LegalDriver("a fatal error while suspending, while suspended, and while resuming") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            guard dialect != nil else { return driver }
            for moment in 0..<3 {
                driver.backend.resumesAtOnce = false
                driver.bringUp()
                if moment == 0 { driver.submitRead() }
                driver.requestSuspend()
                _ = driver.status
                if moment == 2 { driver.requestResume() }
                driver.backend.fatal()
                _ = driver.status
                // The driver has read the end of the transition, and cleans up.
                driver.write(.queueReady, 0)
                _ = driver.read(.queueReady)
                driver.write(.status, 0)
                driver.backend.complete()
            }
            return driver
        },
        LegalDriver("a queue reset while suspended, performed after the resume") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp()
            guard dialect != nil else { return driver }
            driver.suspend()
            driver.write(.queueReset, 1)
            driver.resume()
            driver.await(.queueReset, 0, queue: 0)
            driver.setUp(queue: 0)
            driver.expectWorks()
            driver.suspend()
            driver.write(.queueSel, 0)
            driver.write(.queueReady, 0)
            driver.resume()
            driver.await(.queueReady, 0, queue: 0)
            driver.setUp(queue: 0)
            driver.expectWorks()
            return driver
        },
        LegalDriver("migrated to another host at every step") { form, dialect in
            func make() -> BlockDriver {
                BlockDriver(suspend: dialect, form: form, memory: FakeMemory(low: 1 << 17, high: 4096))
            }
            var driver = make()
            func migrate() {
                let next = make()
                #expect(next.replace(driver), driver.state)
                driver = next
            }
            for stage in BlockDriver.Stage.allCases {
                driver.bringUp(to: stage)
                migrate()
                for rest in BlockDriver.Stage.allCases where rest > stage { driver.perform(rest) }
                driver.submitRead()
                driver.backend.complete()
                let events = driver.interruptStatus
                migrate()
                _ = driver.takeUsed(0)
                driver.write(.interruptACK, events.rawValue)
                driver.write(.queueSel, 0)
                migrate()
                driver.write(.queueReady, 0)
                migrate()
                _ = driver.read(.queueReady)
                driver.setUp(queue: 0)
                guard dialect != nil else { continue }
                driver.requestSuspend()
                migrate()
                _ = driver.status
                driver.requestResume()
                migrate()
                _ = driver.status
                driver.expectWorks()
            }
            return driver
        },
    ]

    static let consoles: [LegalDriver] = [
        LegalDriver("a console, from emergency output to a resume") { form, dialect in
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
                if dialect == .ratified { driver.write(at: UInt64(Register.configuration) + 8, width: 4, 0x21) }
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

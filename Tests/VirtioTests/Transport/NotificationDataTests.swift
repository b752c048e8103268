// VIRTIO_F_NOTIFICATION_DATA over MMIO (VIRTIO 1.4, 4.2.3.3): bits 16 to 31 of QueueNotify are notification data.

import Testing
import Virtio
import VirtioABI

@Suite("Notification data")
struct NotificationDataTests {
    func driver(packed: Bool, accepting: Bool) -> FourQueuesDriver {
        let driver = FourQueuesDriver(form: Form(packed: packed), adding: .notificationData)
        #expect(driver.offered.contains(.notificationData))
        let refused: Features = accepting ? [] : .notificationData
        driver.bringUp(accepting: driver.offered.subtracting(refused))
        return driver
    }

    static let data: [UInt32] = [1, 5, 0x7fff, 0x8000, 0xffff]

    @Test("Negotiated: bits 16 to 31 are not the queue's number", arguments: [false, true], data)
    func negotiated(packed: Bool, data: UInt32) {
        let driver = driver(packed: packed, accepting: true)
        for index in 0..<4 {
            driver.offer(index, kick: false)
            driver.write(.queueNotify, UInt32(index) | data << 16)
            #expect(driver.backend.requests.last?.request.queue == index, driver.state)
        }
        #expect(driver.count(.notifiedQueueExists) == 0)
    }

    @Test("Not negotiated: they are, and there is no such queue", arguments: [false, true], data)
    func notNegotiated(packed: Bool, data: UInt32) {
        let driver = driver(packed: packed, accepting: false)
        for index in 0..<4 {
            driver.offer(index, kick: false)
            #expect(driver.write(.queueNotify, UInt32(index) | data << 16) == Effects())
        }
        #expect(driver.backend.requests.isEmpty && driver.count(.notifiedQueueExists) == 4, driver.state)
        driver.kick(2)
        #expect(driver.backend.requests.count == 1, driver.state)
    }

    @Test("A queue that does not exist is kicked in vain", arguments: [UInt32(4), 5, 31, 32, 0xffff], data)
    func beyond(index: UInt32, data: UInt32) {
        for accepting in [true, false] {
            let driver = driver(packed: false, accepting: accepting)
            driver.offer(0, kick: false)
            #expect(driver.write(.queueNotify, index | data << 16) == Effects())
            #expect(driver.count(.notifiedQueueExists) == 1 && driver.status.rawValue == 0x0f, driver.state)
        }
    }
}

// A link whose other end goes by the seed of its torture.

import Testing

@testable import Machine
@testable import Virtio

@Suite("A peer that goes")
struct FaultyLinkTests {
    /// The numbers of the frames that are lost, of 4,000, by a link that is connected again after every fourth loss.
    private func lost(_ torture: Torture) throws -> [Int] {
        let link = try #require(FaultyLink(NullLink(), torture))
        let frame = [UInt8](repeating: 0, count: 72)
        var lost: [Int] = []
        for index in 0..<4000 {
            let wasConnected = link.isConnected
            if link.send(frame.span, pair: 0) == .lost { lost.append(index) } else { #expect(wasConnected) }
            #expect(link.isConnected == (lost.last != index) && link.mayReturn != link.isConnected)
            guard !link.isConnected, lost.count % 4 == 0 else { continue }
            link.reconnect()
            #expect(link.isConnected)
        }
        return lost
    }

    @Test("frames are lost until the link is connected again, by the seed")
    func frames() throws {
        let all = try lost(Torture(seed: 1))
        #expect(all.count > 20 && all.count < 400)
        #expect(try lost(Torture(seed: 1, choices: 1 << UInt32(TortureChoice.peer.rawValue))) == all)
        #expect(try lost(Torture(seed: 2)) != all)
    }

    @Test("a link whose peer stays is used as it is")
    func kind() { #expect(FaultyLink(NullLink(), Torture(seed: 1, choices: 1)) == nil) }
}

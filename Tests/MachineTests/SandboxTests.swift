// Filters of system calls, interpreted as the kernel does; and what a ring takes.

import CLinux
import Glibc
import Testing

@testable import Machine

@Suite("The sandbox")
struct SandboxTests {
    /// A call as a filter sees it: struct seccomp_data.
    private struct Call {
        var number: UInt32
        var architecture = CLINUX_ARCHITECTURE
        var arguments: [UInt64] = []

        /// The word at an offset.
        func word(at offset: UInt32) throws -> UInt32 {
            switch offset {
            case 0: return number
            case 4: return architecture
            default:
                try #require((16..<64).contains(offset) && offset % 4 == 0)
                let index = Int(offset - 16) / 8
                let argument = index < arguments.count ? arguments[index] : 0
                return UInt32(truncatingIfNeeded: argument >> (offset % 8 * 8))
            }
        }
    }

    private static let (allow, trap): (UInt32, UInt32) = (0x7fff_0000, 0x3_0000)

    /// Runs a program as the kernel does; each jump must be forward and within it.
    private func verdict(_ program: [sock_filter], _ call: Call) throws -> UInt32 {
        var (accumulator, position): (UInt32, Int) = (0, 0)
        while true {
            try #require(position < program.count, "the program has no end")
            let instruction = program[position]
            position += 1
            switch instruction.code {
            case UInt16(BPF_LD | BPF_W | BPF_ABS): accumulator = try call.word(at: instruction.k)
            case UInt16(BPF_JMP | BPF_JEQ | BPF_K):
                position += Int(accumulator == instruction.k ? instruction.jt : instruction.jf)
            case UInt16(BPF_JMP | BPF_JSET | BPF_K):
                position += Int(accumulator & instruction.k != 0 ? instruction.jt : instruction.jf)
            case UInt16(BPF_RET | BPF_K): return instruction.k
            default: try #require(Bool(false), "instruction \(instruction.code)")
            }
        }
    }

    @Test("Each condition permits what it says, by the lower half of the argument, and the rest is trapped")
    func conditions() throws {
        let program = SeccompFilter([
            .init(7, .always), .init(16, .argument(1, among: [0xae80, 0x5401, 9])),
            .init(9, .lacksBits(4, ofArgument: 2)), .init(435, .refused(38)),
            .init(41, .argument(0, among: [1])),
        ]).instructions
        let cases: [(UInt32, [UInt64], UInt32)] = [
            (7, [], Self.allow), (8, [], Self.trap), (0, [], Self.trap), (0x4000_0007, [], Self.trap),
            (16, [0, 0xae80], Self.allow), (16, [0, 9], Self.allow), (16, [0, 0xffff_ffff_0000_5401], Self.allow),
            (16, [0, 0x5412], Self.trap), (16, [0xae80, 0], Self.trap), (16, [0, 0], Self.trap),
            (9, [0, 0, 3], Self.allow), (9, [0, 0, 0], Self.allow), (9, [0, 0, 7], Self.trap),
            (9, [0, 0, 4], Self.trap),
            (435, [], 0x5_0000 | 38), (41, [1], Self.allow), (41, [2], Self.trap),
        ]
        for (number, arguments, expected) in cases {
            #expect(
                try verdict(program, Call(number: number, arguments: arguments)) == expected, "\(number) \(arguments)")
        }
        #expect(try verdict(program, Call(number: 7, architecture: 0x4000_0003)) == Self.trap)
    }

    @Test(
        "The filter of each kind of thread permits its rules, and nothing else by number",
        arguments: ThreadKind.allCases)
    func kinds(kind: ThreadKind) throws {
        let rules = kind.rules(process: 77)
        let program = SeccompFilter(rules).instructions
        #expect(program.count < 4096)
        #expect(Set(rules.map(\.call)).count == rules.count, "a call has two rules")
        for number in 0..<UInt32(600) {
            let condition = rules.first { $0.call == Int32(number) }?.condition
            // With all bits set an argument has no permitted value.
            let none = try verdict(program, Call(number: number, arguments: Array(repeating: .max, count: 6)))
            switch condition {
            case nil: #expect(none == Self.trap, "\(number)")
            case .always?: #expect(none == Self.allow, "\(number)")
            case .argument(let index, let values)?:
                #expect(none == Self.trap, "\(number)")
                for value in values {
                    var arguments = [UInt64](repeating: .max, count: 6)
                    arguments[index] = UInt64(value)
                    #expect(try verdict(program, Call(number: number, arguments: arguments)) == Self.allow, "\(number)")
                }
            case .lacksBits?: #expect(none == Self.trap, "\(number)")
            case .refused(let error)?: #expect(none == 0x5_0000 | UInt32(error))
            }
        }
    }

    /// The kinds of thread that have something, in a table; `every` if all but `qtest`, which has what others have, do.
    private static func names(_ kinds: [ThreadKind]) -> String {
        kinds.count == ThreadKind.allCases.count ? "every" : kinds.map(\.rawValue).joined(separator: ", ")
    }

    @Test("The page \"Security\" has the calls, their conditions and the requests of each kind of thread")
    func page() throws {
        var calls: [String: [ThreadKind]] = [:]
        var requests: [String: [ThreadKind]] = [:]
        var counts: [String] = []
        for kind in ThreadKind.allCases {
            let rules = kind.rules(process: 77).filter { if case .refused = $0.condition { false } else { true } }
            for rule in rules {
                let name = unsafe String(decoding: SystemCallNames.name(of: rule.call), as: UTF8.self)
                let condition =
                    switch rule.condition {
                    case .always, .refused: ""
                    case .argument where rule.call == SYS_ioctl: "a request of the thread's"
                    case .argument(let index, among: [77]): "argument \(index) is this process"
                    case .argument(let index, let values):
                        "argument \(index) is " + values.map { "0x\(String($0, radix: 16))" }.joined(separator: ", ")
                    case .lacksBits(let mask, ofArgument: let index):
                        "argument \(index) has none of 0x\(String(mask, radix: 16))"
                    }
                calls["| `\(name)` | \(condition) |", default: []].append(kind)
            }
            for request in kind.requests { requests["| `\(request.name)` |", default: []].append(kind) }
            counts.append("| \(kind.rawValue) | \(rules.count) | \(kind.requests.count) |")
        }
        func rows(_ table: [String: [ThreadKind]]) -> [String] {
            table.map { "\($0.key) \(Self.names($0.value)) |" }.sorted()
        }
        let tables =
            ["| call | condition | threads |", "|---|---|---|"] + rows(calls) + [
                "", "| request | threads |", "|---|---|",
            ]
            + rows(requests) + ["", "| kind of thread | calls | requests |", "|---|---|---|"] + counts
        let text = tables.joined(separator: "\n")
        let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        let image = try Image(.path(root + "/Sources/Virtio/Documentation.docc/Security.md"))
        let page = String(decoding: try image.bytes(at: 0, count: Int(image.size)), as: UTF8.self)
        #expect(page.split(separator: text).count == 2, "the tables should be:\n\(text)")
    }

    @Test("A number's name")
    func names() {
        func name(_ number: Int32) -> String {
            unsafe String(decoding: SystemCallNames.name(of: number), as: UTF8.self)
        }
        #expect(name(SYS_read) == "read" && name(SYS_execve) == "execve" && name(SYS_rseq) == "rseq")
        #expect(name(SYS_pidfd_send_signal) == "pidfd_send_signal" && name(SYS_futex_waitv) == "futex_waitv")
        #expect(name(350) == "?" && name(4000) == "?" && name(-1) == "?")
    }

    @Test("A ring takes no entry but transfers and polls")
    func ring() throws {
        var ring = try Ring(size: 8)
        for operation in [IORING_OP_NOP, IORING_OP_OPENAT, IORING_OP_CONNECT, IORING_OP_SOCKET] {
            guard let entry = unsafe ring.nextEntry() else {
                Issue.record("the ring is full")
                break
            }
            unsafe clinux_prepare(entry, UInt8(operation.rawValue), -1, nil, 0, 0, 5)
        }
        for _ in 0..<4 {
            ring.submit(waiting: 1000)
            #expect(ring.next()?.result == -EACCES)
        }
    }
}

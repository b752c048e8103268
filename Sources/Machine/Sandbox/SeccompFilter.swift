// A seccomp filter as a value: rules in, a program of classic BPF out. Linux: Documentation/userspace-api/seccomp_filter.rst. The program
// has a block for each rule, so its order is that of the rules, and no jump leaves a block:
//
//     architecture?  call number -> A
//     A == call?  no: next block     argument -> A     A == value? ... : allow     trap

import CLinux

/// A filter of the system calls of a thread. A call without a rule is trapped: SIGSYS, which `CrashHandler` reports.
struct SeccompFilter {
    /// What a call is permitted for. The kernel takes the arguments that are tested here as 32 bits, and ignores the upper half.
    enum Condition: Equatable {
        case always
        /// Argument `0...5` has one of these values.
        case argument(Int, among: [UInt32])
        /// Argument `0...5` has none of these bits.
        case lacksBits(UInt32, ofArgument: Int)
        /// Never: it fails with this errno, and the thread runs on.
        case refused(Int32)
    }

    /// A system call and its condition. The first rule for a call is the one that counts.
    struct Rule: Equatable {
        let call: Int32
        let condition: Condition

        init(_ call: Int32, _ condition: Condition = .always) {
            (self.call, self.condition) = (call, condition)
        }
    }

    /// Ends of a program: SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO.
    static let allow: UInt32 = 0x7fff_0000
    static let trap: UInt32 = 0x3_0000
    static let errno: UInt32 = 0x5_0000

    let instructions: [sock_filter]

    init(_ rules: [Rule]) {
        var program: [sock_filter] = [
            .load(4), .jump(ifEqual: CLINUX_ARCHITECTURE, 1, else: 0), .end(Self.trap), .load(0),
        ]
        for rule in rules {
            let block = Self.block(rule.condition)
            program.append(.jump(ifEqual: UInt32(rule.call), 0, else: block.count))
            program += block
        }
        instructions = program + [.end(Self.trap)]
    }

    /// Ends the program, with the call's condition met or not.
    private static func block(_ condition: Condition) -> [sock_filter] {
        switch condition {
        case .always: return [.end(allow)]
        case .refused(let number): return [.end(errno | UInt32(number))]
        case .argument(let index, among: let values):
            let tests = values.enumerated().map {
                sock_filter.jump(ifEqual: $1, values.count - $0, else: 0)
            }
            return [.load(argument(index))] + tests + [.end(trap), .end(allow)]
        case .lacksBits(let mask, ofArgument: let index):
            return [.load(argument(index)), .jump(ifAnyOf: mask, 1, else: 0), .end(allow), .end(trap)]
        }
    }

    /// The offset of the lower half of an argument in struct seccomp_data.
    private static func argument(_ index: Int) -> UInt32 { UInt32(16 + 8 * index) }

    /// Makes the calling thread's calls pass the filter, besides those it has: 0 or an errno.
    func install() -> Int32 {
        unsafe -instructions.withUnsafeBufferPointer {
            unsafe clinux_filter($0.baseAddress, UInt16($0.count))
        }
    }
}

extension sock_filter {
    /// A = the word at `offset` of struct seccomp_data.
    fileprivate static func load(_ offset: UInt32) -> Self {
        Self(code: 0x20, jt: 0, jf: 0, k: offset)
    }

    /// Skips `yes` instructions if A is `value`, else `no`.
    fileprivate static func jump(ifEqual value: UInt32, _ yes: Int, else no: Int) -> Self {
        Self(code: 0x15, jt: UInt8(yes), jf: UInt8(no), k: value)
    }

    /// The same, if A has one of these bits.
    fileprivate static func jump(ifAnyOf mask: UInt32, _ yes: Int, else no: Int) -> Self {
        Self(code: 0x45, jt: UInt8(yes), jf: UInt8(no), k: mask)
    }

    fileprivate static func end(_ value: UInt32) -> Self { Self(code: 0x06, jt: 0, jf: 0, k: value) }
}

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
    }

    let instructions: [sock_filter]

    init(_ rules: [Rule]) {
        var program: [sock_filter] = [
            .load(4), .jump(ifEqual: CLINUX_ARCHITECTURE, past: 1), .end(.trap), .load(0),
        ]
        for rule in rules {
            let block = Self.block(rule.condition)
            program.append(.jump(unlessEqual: UInt32(rule.call), past: block.count))
            program += block
        }
        instructions = program + [.end(.trap)]
    }

    /// Ends the program, with the call's condition met or not.
    private static func block(_ condition: Condition) -> [sock_filter] {
        switch condition {
        case .always: return [.end(.allow)]
        case .refused(let number): return [.end(.errno(number))]
        case .argument(let index, among: let values):
            let tests = values.enumerated().map { offset, value in
                sock_filter.jump(ifEqual: value, past: values.count - offset)
            }
            return [.load(argument(index))] + tests + [.end(.trap), .end(.allow)]
        case .lacksBits(let mask, ofArgument: let index):
            return [.load(argument(index)), .jump(ifAnyOf: mask, past: 1), .end(.allow), .end(.trap)]
        }
    }

    /// The offset of the lower half of an argument in struct seccomp_data.
    private static func argument(_ index: Int) -> UInt32 { UInt32(16 + 8 * index) }

    /// The end of a program: SECCOMP_RET_.
    enum Verdict {
        case allow, trap, errno(Int32)

        var value: UInt32 {
            switch self {
            case .allow: 0x7fff_0000
            case .trap: 0x0003_0000
            case .errno(let number): 0x0005_0000 | UInt32(number)
            }
        }
    }

    /// Makes the calling thread's calls pass the filter, besides those it has: 0 or an errno.
    func install() -> Int32 {
        unsafe -instructions.withUnsafeBufferPointer {
            unsafe clinux_filter($0.baseAddress, UInt16($0.count))
        }
    }
}

extension sock_filter {
    /// A = the word at `offset` of struct seccomp_data.
    fileprivate static func load(_ offset: UInt32) -> sock_filter { sock_filter(code: 0x20, jt: 0, jf: 0, k: offset) }

    fileprivate static func jump(ifEqual value: UInt32, past count: Int) -> sock_filter {
        sock_filter(code: 0x15, jt: UInt8(count), jf: 0, k: value)
    }

    fileprivate static func jump(unlessEqual value: UInt32, past count: Int) -> sock_filter {
        sock_filter(code: 0x15, jt: 0, jf: UInt8(count), k: value)
    }

    fileprivate static func jump(ifAnyOf mask: UInt32, past count: Int) -> sock_filter {
        sock_filter(code: 0x45, jt: UInt8(count), jf: 0, k: mask)
    }

    fileprivate static func end(_ verdict: SeccompFilter.Verdict) -> sock_filter {
        sock_filter(code: 0x06, jt: 0, jf: 0, k: verdict.value)
    }
}

// Stands in for two things that the embedding example has of a hosted system: the functions of Glibc that it calls, and a lock. One
// processor without interrupts needs none.

@_exported import Runtime

/// A value behind the interface of Synchronization's `Mutex`, which Embedded Swift does not have.
@safe public struct Mutex<Value: ~Copyable>: ~Copyable {
    private let value: UnsafeMutablePointer<Value>

    public init(_ initial: consuming Value) {
        unsafe value = .allocate(capacity: 1)
        unsafe value.initialize(to: initial)
    }

    public borrowing func withLock<Result: ~Copyable>(_ body: (inout Value) -> Result) -> Result {
        unsafe body(&value.pointee)
    }
}

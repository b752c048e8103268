// The driver's side of a virtqueue in either format. It follows the specification; a hostile driver overwrites what it
// wrote.

import Virtio
import VirtioABI

/// One buffer of a chain.
struct Part {
    var address: UInt64
    var count: UInt32
    var writable: Bool
}

/// A virtqueue's driver state, with areas of guest memory that no other queue uses.
struct Ring {
    let packed: Bool
    let size: UInt16
    let descriptors: UInt64
    let driver: UInt64
    let device: UInt64
    /// The address of the indirect tables, 64 descriptors in all.
    let tables: UInt64
    let ram: GuestRAM

    /// Split: the available index. Packed: descriptors made available.
    private(set) var nextAvailable: UInt16 = 0
    private var slot: UInt16 = 0
    private var wrap = true
    private var nextUsed: UInt16 = 0
    private var usedSlot: UInt16 = 0
    private var usedWrap = true
    /// Free tables, of 16 descriptors each; and the tables in use, by buffer id.
    private var freeTables = [0, 1, 2, 3]
    private var ownedTables: [UInt16: Int] = [:]
    /// Free buffer ids (split: descriptor indices), oldest first; and the descriptors of each chain that the device
    /// has.
    private var free: [UInt16]
    private var owned: [UInt16: [UInt16]] = [:]
    private var room: Int

    /// Queue `index`, 0 to 5, in zeroed memory.
    init(_ index: Int, packed: Bool, size: UInt16, ram: GuestRAM) {
        let base = UInt64(0x1000 + 0x800 * index)
        (descriptors, driver, device, tables) = (base, base + 0x200, base + 0x280, base + 0x400)
        (self.packed, self.size, self.ram) = (packed, size, ram)
        free = Array(0..<size)
        room = Int(size)
        ram.fill(0, at: base, count: 0x400)
    }

    /// Makes a chain available, with an indirect table if `indirect`. Returns its buffer id; nil if there is no room.
    mutating func add(_ parts: [Part], indirect: Bool = false) -> UInt16? {
        let slots = indirect ? 1 : parts.count
        guard !parts.isEmpty, slots <= room, slots <= free.count, parts.count <= 16 else { return nil }
        room -= slots
        guard indirect else { return packed ? addPacked(parts, 0) : addSplit(parts, 0) }
        guard let table = freeTables.popLast() else {
            room += slots
            return nil
        }
        let part = [layTable(parts, at: tables + UInt64(table) * 256)]
        let flags = Descriptor.Flags.indirect.rawValue
        let id = packed ? addPacked(part, flags) : addSplit(part, flags)
        ownedTables[id] = table
        return id
    }

    private func layTable(_ parts: [Part], at table: UInt64) -> Part {
        for (index, part) in parts.enumerated() {
            let isLast = index + 1 == parts.count
            var flags: UInt16 = part.writable ? 2 : 0
            if !isLast && !packed { flags |= 1 }
            let next = packed || isLast ? 0 : UInt16(index + 1)
            put(part, packed ? (0, flags) : (flags, next), at: table + UInt64(16 * index))
        }
        return Part(address: table, count: UInt32(16 * parts.count), writable: false)
    }

    private func put(_ part: Part, _ words: (UInt16, UInt16), at address: UInt64) {
        ram.store(part.address, at: address)
        ram.store(part.count, at: address + 8)
        ram.store(words.0, at: address + 12)
        ram.store(words.1, at: address + 14)
    }

    private mutating func addSplit(_ parts: [Part], _ extra: UInt16) -> UInt16 {
        let indices = Array(free.prefix(parts.count))
        free.removeFirst(parts.count)
        for (position, part) in parts.enumerated() {
            let isLast = position + 1 == parts.count
            let flags = extra | (part.writable ? 2 : 0) | (isLast ? 0 : 1)
            put(
                part, (flags, isLast ? 0 : indices[position + 1]),
                at: descriptors + 16 * UInt64(indices[position]))
        }
        owned[indices[0]] = indices
        publish(indices[0])
        return indices[0]
    }

    /// Writes `head` to a split queue's available ring and increments the index.
    mutating func publish(_ head: UInt16) {
        ram.store(head, at: driver + 4 + 2 * UInt64(nextAvailable % size))
        nextAvailable &+= 1
        ram.store(nextAvailable, at: driver + 2)
    }

    private mutating func addPacked(_ parts: [Part], _ extra: UInt16) -> UInt16 {
        let id = free.removeFirst()
        owned[id] = [UInt16](repeating: id, count: parts.count)
        for (position, part) in parts.enumerated() {
            let flags = extra | (part.writable ? 2 : 0) | (position + 1 == parts.count ? 0 : 1)
            offer(part, id: id, flags: flags)
        }
        return id
    }

    /// Makes one descriptor of a packed ring available.
    mutating func offer(_ part: Part, id: UInt16, flags: UInt16) {
        put(part, (id, flags | (wrap ? 1 << 7 : 1 << 15)), at: descriptors + 16 * UInt64(slot))
        (slot, nextAvailable) = (slot + 1, nextAvailable &+ 1)
        if slot == size { (slot, wrap) = (0, !wrap) }
    }

    /// The buffers that the device has used since the last call.
    mutating func takeUsed() -> [(id: UInt16, length: UInt32)] {
        var used: [(id: UInt16, length: UInt32)] = []
        while used.count < Int(size), let (id, length) = packed ? usedPacked() : usedSplit() {
            used.append((id, length))
            guard let slots = owned.removeValue(forKey: id) else { continue }
            room += slots.count
            if let table = ownedTables.removeValue(forKey: id) { freeTables.append(table) }
            free.append(contentsOf: packed ? [id] : slots)
        }
        return used
    }

    private mutating func usedSplit() -> (UInt16, UInt32)? {
        guard nextUsed != ram.load(UInt16.self, at: device + 2) else { return nil }
        let entry = device + 4 + 8 * UInt64(nextUsed % size)
        nextUsed &+= 1
        return (UInt16(truncatingIfNeeded: ram.load(UInt32.self, at: entry)), ram.load(at: entry + 4))
    }

    private mutating func usedPacked() -> (UInt16, UInt32)? {
        let entry = descriptors + 16 * UInt64(usedSlot)
        let flags: UInt16 = ram.load(at: entry + 14)
        guard flags & 0x8080 == (usedWrap ? 0x8080 : 0) else { return nil }
        let id: UInt16 = ram.load(at: entry + 12)
        let count = owned[id]?.count ?? 1
        usedSlot += UInt16(count)
        if usedSlot >= size { (usedSlot, usedWrap) = (usedSlot - size, !usedWrap) }
        return (id, flags & 2 == 0 ? 0 : ram.load(at: entry + 8))
    }
}

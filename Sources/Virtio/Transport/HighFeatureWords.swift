// DriverFeatures from bit 64 on (VIRTIO 1.4, 2.2; 4.2.2): no such bit is offered, so any that the driver leaves set
// refuses FEATURES_OK.

/// The words of DriverFeatures from word 2 on that are not 0.
///
/// A driver may write bits and take them back before FEATURES_OK. There are 2^32 words, and the state is bounded: it
/// knows which four words are not 0. If more are not 0 at a time, FEATURES_OK is refused until the reset, even if the
/// driver takes all of them back.
struct HighFeatureWords: Sendable {
    /// Selectors of words that are not 0; 0 for none.
    private var selectors = InlineArray<4, UInt32>(repeating: 0)
    /// The selector of a word that was not 0 when there was no room for it.
    private var excess: UInt32?

    /// Whether all words are 0.
    var isEmpty: Bool { first == nil }

    /// The selector of a word that is not 0; nil if there is none.
    var first: UInt32? {
        for index in selectors.indices where selectors[index] != 0 { return selectors[index] }
        return excess
    }

    /// The selectors of words that are not 0, and last the one there was no room for; 0 for none.
    var nonZero: [UInt32] { selectors.indices.map { selectors[$0] } + [excess ?? 0] }

    /// No word is set.
    init() {}

    /// The words of `nonZero`.
    init(nonZero: InlineArray<5, UInt32>) {
        for index in selectors.indices { selectors[index] = nonZero[index] }
        excess = nonZero[4] == 0 ? nil : nonZero[4]
    }

    /// Records that the driver wrote `word` with `selector` in DriverFeaturesSel. Ignores selectors below 2.
    mutating func set(_ selector: UInt32, to word: UInt32) {
        guard selector >= 2 else { return }
        for index in selectors.indices where selectors[index] == selector {
            if word == 0 { selectors[index] = 0 }
            return
        }
        guard word != 0 else { return }
        for index in selectors.indices where selectors[index] == 0 {
            selectors[index] = selector
            return
        }
        excess = selector
    }
}

// What is said of a list of samples.

extension [Double] {
    /// The middle one; of an even number, the mean of the two in the middle.
    var median: Double {
        let sorted = sorted()
        guard let last = sorted.last else { return .nan }
        if count % 2 == 1 { return sorted[count / 2] }
        return count == 0 ? last : (sorted[count / 2 - 1] + sorted[count / 2]) / 2
    }

    /// What 19 of 20 samples are no worse than: the nearest rank, so one of the samples. `smallIsBad` for rates.
    func p95(smallIsBad: Bool) -> Double {
        guard count > 0 else { return .nan }
        let sorted = smallIsBad ? sorted(by: >) : sorted()
        return sorted[Swift.min(count - 1, (count * 95 + 99) / 100 - 1)]
    }
}

// Statistics of a list of samples.

extension [Double] {
    /// The median; of an even number of samples, the mean of the two in the middle.
    var median: Double {
        let sorted = sorted()
        guard let last = sorted.last else { return .nan }
        if count % 2 == 1 { return sorted[count / 2] }
        return count == 0 ? last : (sorted[count / 2 - 1] + sorted[count / 2]) / 2
    }

    /// The 95th percentile by nearest rank, so one of the samples. With `smallIsBad`, for rates, it is counted from the
    /// largest.
    func p95(smallIsBad: Bool) -> Double {
        guard count > 0 else { return .nan }
        let sorted = smallIsBad ? sorted(by: >) : sorted()
        return sorted[Swift.min(count - 1, (count * 95 + 99) / 100 - 1)]
    }
}

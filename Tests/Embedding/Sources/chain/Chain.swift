// The benchmark's chain loop in a host outside the package, for Tests/bench/chain.py. `ChainLoop.swift` is that of
// vmm-bench.
//
// usage: chain REQUESTS [packed] [indirect] [conform-off]

@main enum Chain {
    static func main() {
        let words = CommandLine.arguments
        let form = ChainForm(
            isPacked: words.contains("packed"), isIndirect: words.contains("indirect"), inFlight: 8,
            isChecked: !words.contains("conform-off"))
        guard words.count > 1, let requests = Int(words[1]), ChainLoop.run(form, requests: requests) != nil
        else { fatalError("requests were not completed") }
    }
}

extension Machine {
    /// The version of this program and of the package's libraries (Semantic Versioning 2.0.0).
    public static let version = "0.2.0"
}

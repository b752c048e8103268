// A client's session of QEMU's machine protocol: greeting, negotiation, then answers to its requests. It does no I/O.

/// The session of one client.
struct QMPSession {
    private unowned let machine: Machine
    /// The client has negotiated: other commands than `qmp_capabilities` are accepted, and it is told of events.
    private(set) var isNegotiated = false
    /// The run is to end, once the client has its answer.
    private(set) var isQuitting = false

    init(_ machine: Machine) { self.machine = machine }

    /// What a client is told first.
    static let greeting: JSON = ["QMP": ["version": version, "capabilities": .array([])]]

    /// QEMU's clients read the member `qemu`; it has this program's version.
    private static let version: JSON = {
        let numbers = Machine.version.split(separator: ".").compactMap { Int($0) }
        return [
            "qemu": ["major": .number(numbers[0]), "minor": .number(numbers[1]), "micro": .number(numbers[2])],
            "package": .string("vmm \(Machine.version)"),
        ]
    }()

    /// Carries out what a client sent; returns the answer.
    mutating func handle(_ entry: JSONSplitter.Entry) -> JSON {
        let object: [UInt8]
        switch entry {
        case .object(let bytes): object = bytes
        case .rubbish: return Self.answer(.failure(.generic("JSON parse error, expecting value: send an object")), nil)
        case .tooLong: return Self.answer(.failure(.generic("this object is too long")), nil)
        }
        let (read, id) = QMPRequest.read(object)
        do throws(QMPError) {
            return Self.answer(.success(try execute(try read.get())), id)
        } catch { return Self.answer(.failure(error), id) }
    }

    private static func answer(_ result: Result<JSON, QMPError>, _ id: JSON?) -> JSON {
        let member =
            switch result {
            case .success(let value): JSON.Member(name: "return", value: value)
            case .failure(let error): JSON.Member(name: "error", value: error.json)
            }
        return .object([member] + (id.map { [JSON.Member(name: "id", value: $0)] } ?? []))
    }

    private mutating func execute(_ request: QMPRequest) throws(QMPError) -> JSON {
        let name = request.command
        guard name != "qmp_capabilities" else {
            if isNegotiated {
                throw .notFound("Capabilities negotiation is already complete, command 'qmp_capabilities' ignored")
            }
            // The one capability that QEMU has, `oob`, is not offered, so none can be enabled.
            try request.arguments.check(["enable"])
            isNegotiated = true
            return [:]
        }
        guard isNegotiated else { throw .notFound("Expecting capabilities negotiation with 'qmp_capabilities'") }
        switch name {
        case "query-version":
            try request.arguments.check([])
            return Self.version
        case "quit":
            try request.arguments.check([])
            isQuitting = true
            return [:]
        case "query-commands":
            try request.arguments.check([])
            let names = ["qmp_capabilities", "query-version", "query-commands", "quit"] + QMPCommand.all.map(\.name)
            return .array(names.map { ["name": .string($0)] })
        default:
            guard let command = QMPCommand.all.first(where: { $0.name == name }) else {
                throw .notFound("The command \(name) has not been found; query-commands lists those there are")
            }
            try request.arguments.check(command.parameters)
            return try command.perform(machine, request.arguments)
        }
    }
}

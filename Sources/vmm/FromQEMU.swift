// Options of QEMU on this command line: they begin with one hyphen, so that the parser reads letters in them.

/// What `vmm` has for an option of QEMU.
enum FromQEMU {
    /// Options of QEMU, and what to write here.
    private static let options = [
        "-kernel": "KERNEL, or --kernel", "-append": "--append", "-initrd": "--initrd", "-smp": "--cpus",
        "-drive": "--disk PATH", "-hda": "--disk PATH", "-device": "--disk, --console, --rng or --net",
        "-netdev": "--net", "-nic": "--net", "-chardev": "--console or --serial", "-serial": "--serial",
        "-monitor": "--qmp unix=PATH, and vmm ctl", "-qmp": "--qmp unix=PATH", "-gdb": "--gdb", "-qtest": "--qtest",
        "-snapshot": "--disk PATH,overlay", "-nographic": "nothing: the console is at the terminal",
        "-machine": "nothing: there is one machine", "-cpu": "nothing: there is one, the host's",
        "-enable-kvm": "nothing: there is no other way", "-no-reboot": "nothing: a reset ends vmm, with exit code 32",
    ]

    /// The sentence about the first of them among `arguments`; nil if there is none. The text of -a, and what is sent by `vmm ctl`, may
    /// contain them.
    static func sentence(_ arguments: [String]) -> String? {
        guard arguments.first != "ctl" else { return nil }
        var isText = false
        for argument in arguments {
            if argument == "--" { return nil }
            if !isText, let here = options[argument] { return "\(argument) is an option of QEMU; here it is \(here)." }
            isText = ["-a", "--append"].contains(argument)
        }
        return nil
    }
}

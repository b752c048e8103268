// The target description: the names, types and numbers of the registers, in XML. GDB manual, appendix G, "Target Descriptions"; the bits of
// the control registers: Intel SDM volume 3, 2.5, and AMD APM volume 2, 3.1.7 for EFER.

extension RegisterFile {
    /// The description of a processor with or without AVX.
    static func description(hasAVX: Bool) -> String {
        var features = ""
        for feature in Feature.allCases where hasAVX || feature != .avx {
            features += "<feature name=\"\(feature.rawValue)\">\(types(of: feature))"
            for (number, register) in registers(hasAVX: hasAVX).enumerated() where register.feature == feature {
                features += "<reg name=\"\(register.name)\" bitsize=\"\(8 * register.width)\" type=\"\(register.type)\""
                features += " regnum=\"\(number)\"/>"
            }
            features += "</feature>"
        }
        return "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
            + "<architecture>i386:x86-64</architecture>\(features)</target>"
    }

    /// The types that only the registers of a feature have.
    private static func types(of feature: Feature) -> String {
        switch feature {
        case .core: flags("i386_eflags", 4, "CF _ PF 4:AF 6:ZF SF TF IF DF OF 14:NT 16:RF VM AC VIF VIP ID")
        case .system:
            flags("vmm_cr0", 8, cr0) + flags("vmm_cr4", 8, cr4) + flags("vmm_efer", 8, "SCE 8:LME 10:LMA NXE SVME")
        case .sse: vectors
        case .segments, .avx: ""
        }
    }

    private static let cr0 = "PE MP EM TS ET NE 16:WP 18:AM 29:NW CD PG"
    private static let cr4 = """
        VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP LA57 16:FSGSBASE PCIDE OSXSAVE 20:SMEP SMAP PKE
        """

    /// A type of bits, from bit 0 on; a number and a colon are the bit at which they go on, `_` has no name.
    private static func flags(_ id: String, _ width: Int, _ names: String) -> String {
        var fields = ""
        var bit = 0
        for word in names.split(separator: " ") {
            let parts = word.split(separator: ":")
            if parts.count == 2 { bit = Int(parts[0]) ?? bit }
            let name = parts[parts.count - 1]
            fields += "<field name=\"\(name == "_" ? "" : name)\" start=\"\(bit)\" end=\"\(bit)\"/>"
            bit += 1
        }
        return "<flags id=\"\(id)\" size=\"\(width)\">\(fields)</flags>"
    }

    private static let vectors = """
        <vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>\
        <vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>\
        <vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>\
        <union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>\
        <field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>\
        <field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>\
        <field name="uint128" type="uint128"/></union>
        """
}

# Reads a trace: how many suspensions each device had, and what it did in them that it must not: no access of guest memory, no chain, no
# new interrupt, between the acknowledgement and the end of the resume. Resets are counted, but for those before the first DRIVER_OK. And
# what a driver does to suspend and resume a device, by SUSPEND or by a reset: its register accesses, and the time it takes, which is
# that between accesses less than 20 ms apart, so that the sleep is not counted.
function field(name, text) {
    text = $0
    if (!sub(".*\"" name "\":", "", text)) return ""
    sub("[,}].*", "", text)
    gsub("\"", "", text)
    return text
}
/"ev":"(read|write)"/ {
    device = field("dev")
    value = field("value")
    now = field("t") / 1000
    if (/"ev":"write","reg":"Status"/ && live[device] && (value == "0x0" || value == "0x1f" && !moving[device])) {
        if (!moving[device]) { moves++; last[device] = now }
        moving[device] = 1
        if (value == "0x0") resets++
    }
    if (moving[device]) {
        accesses++
        if (now - last[device] < 20000) micros += now - last[device]
        last[device] = now
    }
}
/"ev":"lifecycle"/ {
    device = field("dev")
    phase = field("phase")
    if (phase == "suspended") { frozen[device] = 1; suspensions++ }
    if (phase == "running" || phase == "not live" || phase ~ /^dead/) frozen[device] = 0
    if (phase == "running") { live[device] = 1; moving[device] = 0 }
}
/"ev":"ready"/ { frozen[field("dev")] = 0 }
/"ev":"(load|available|used|request)"/ { if (frozen[field("dev")]) bad = bad "\n#   " $0 }
/"ev":"interrupt"/ {
    device = field("dev")
    if (frozen[device] && field("value") != "0x0" && field("value") != shown[device]) bad = bad "\n#   " $0
    shown[device] = field("value")
}
END {
    printf "%d suspensions, %d resets, %.1f accesses and %d us a device and suspend%s\n", suspensions, resets, accesses / moves,
        micros / moves, bad
    exit bad != ""
}

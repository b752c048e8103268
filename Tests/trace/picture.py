#!/usr/bin/env python3
# Draws one device's timeline, from vmm trace-view's output, around its first suspend. usage: picture.py TIMELINE DEVICE > PICTURE.svg
import json, sys

events = json.load(open(sys.argv[1]))["traceEvents"]
device = next(e["pid"] for e in events if e["ph"] == "M" and e["name"] == "process_name" and e["args"]["name"] == sys.argv[2])
events = [e for e in events if e["pid"] == device and e["ph"] != "M"]
life = [e for e in events if e["ph"] in "BE" and e["tid"] == 1]
begin = next(e["ts"] for e in life if e["ph"] == "B" and e["name"] == "suspending")
end = next(e["ts"] for e in life if e["ph"] == "B" and e["name"] == "running" and e["ts"] > begin)
# Pauses longer than `gap` are drawn with the length of `gap`.
start, stop, gap = begin - 150, end + 620, 100
inside = [e for e in events if start <= e["ts"] <= stop]
# For a driver that polls Status, the first read of each value, with the number of reads.
polls = []
for e in [e for e in inside if e["name"].startswith("read Status")]:
    if polls and polls[-1]["name"] == e["name"]: polls[-1]["count"] += 1
    else: polls.append({"name": e["name"], "ts": e["ts"], "count": 1})
inside = [e for e in inside if not e["name"].startswith("read Status")]
times = sorted({start, stop} | {e["ts"] for e in inside + polls})
places, at = {}, 0
for before, now in zip([start] + times, times):
    at += min(now - before, gap)
    places[now] = at
width, left = 940, 130
scale = (width - left - 20) / at
x = lambda time: left + places[min(times, key=lambda t: abs(t - min(max(time, start), stop)))] * scale
rows = {"lifecycle": 40, "request": 90, "queue": 140, "interrupt": 190, "Status, read": 240, "Status, written": 290}
colours = {"running": "#9cc5a1", "suspending": "#f2d388", "suspended": "#98a8c8", "resuming": "#f2d388", "not live": "#ddd"}
out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 330" font-family="sans-serif" font-size="12">',
       f'<rect width="{width}" height="330" fill="white"/>']
def text(px, py, words, **style):
    more = "".join(f' {key}="{value}"' for key, value in style.items())
    out.append(f'<text x="{px:.1f}" y="{py}"{more}>{words}</text>')
def bar(a, b, y, colour, words):
    out.append(f'<rect x="{x(a):.1f}" y="{y}" width="{max(x(b) - x(a), 1):.1f}" height="26" fill="{colour}" stroke="#555"/>')
    if x(b) - x(a) > 7 * len(words): text(x(a) + 4, y + 17, words)
def mark(time, y, words=""):
    out.append(f'<line x1="{x(time):.1f}" y1="{y}" x2="{x(time):.1f}" y2="{y + 26}" stroke="#333"/>')
    if words: text(x(time) + 3, y + 17, words)
for name, y in rows.items(): text(8, y + 17, name)
for tid, row in ((1, "lifecycle"), (3, "interrupt")):
    open_at = None
    for e in sorted((e for e in events if e["ph"] in "BE" and e["tid"] == tid), key=lambda e: e["ts"]):
        if e["ph"] == "B": open_at = e
        elif open_at and e["ts"] > start and open_at["ts"] < stop:
            bar(open_at["ts"], e["ts"], rows[row], colours.get(open_at["name"], "#d99"), open_at["name"] if tid == 1 else "up")
for e in inside:
    if e["ph"] == "b":
        done = next(f["ts"] for f in events if f["ph"] == "e" and f["id"] == e["id"])
        bar(e["ts"], done, rows["request"], "#c9b3d9", f'{e["name"]} {e["args"]["bytes"]}')
for e in events:
    if e["ph"] == "b" and e["ts"] < start and any(f["ph"] == "e" and f["id"] == e["id"] and f["ts"] > start for f in events):
        done = next(f["ts"] for f in events if f["ph"] == "e" and f["id"] == e["id"])
        bar(start, done, rows["request"], "#c9b3d9", f'{e["name"]} {e["args"]["bytes"]}: since {(start - e["ts"]):.0f} us before')
for e in inside:
    if e["ph"] != "i": continue
    if e["name"] in ("available", "used", "kick"): mark(e["ts"], rows["queue"], e["name"])
    if e["name"].startswith("write Status"): mark(e["ts"], rows["Status, written"], e["name"].split()[-1])
for e in polls:
    mark(e["ts"], rows["Status, read"], e["name"].split()[-1] + (f', {e["count"]} times' if e["count"] > 1 else ""))
text(left, 22, f"{sys.argv[2]}: {stop - start:.0f} us in all; waits of more than {gap} us are drawn as {gap}", fill="#555")
out.append("</svg>")
print("\n".join(out))

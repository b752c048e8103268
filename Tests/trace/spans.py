#!/usr/bin/env python3
# Holds the timeline that vmm trace-view made of a trace against the trace: each request is one span, from `request` to the `used` of
# its own chain or to the `ended` of its queue, under the name of its own queue, epoch and token. usage: spans.py TRACE TIMELINE
import json, sys
from collections import Counter

def spans_of_trace(lines):
    """(id, kind, begin, end, whether it was used; None if the trace ends before that) of every request."""
    spans, requests, chain, last = [], {}, {}, 0
    def end(key, time, used):
        _, kind, begin, _ = requests.pop(key)
        spans.append((".".join(map(str, key)), kind, begin, time, used))
    for line in lines:
        if "dev" not in line: continue
        device, what, last = line["dev"], line["ev"], max(last, line["t"])
        token = (device, line.get("queue"), line.get("epoch"), line.get("name"))
        if what == "available": chain[device] = line["queue"], line["id"]
        if what == "request":
            assert token not in requests, f"{token} is in flight twice: {line}"
            requests[token] = [chain[device], line["kind"], line["t"], False]
        if what == "finish" and token in requests: requests[token][3] = True
        if what == "used":
            own = [key for key, (of, _, _, done) in requests.items()
                   if key[0] == device and of == (line["queue"], line["id"]) and done]
            assert len(own) < 2, f"two requests are in flight in one chain: {line}"
            if own: end(own[0], line["t"], True)
        if what == "ended":
            for key in [key for key in requests if key[:3] == token[:3]]: end(key, line["t"], False)
    for key in list(requests): end(key, last, None)
    return spans

def spans_of_timeline(events):
    spans, open_spans, rows = [], {}, {}
    for event in events:
        row = rows.setdefault((event["pid"], event.get("tid")), [])
        if event["ph"] == "B": row.append(event["name"])
        if event["ph"] == "E": assert row.pop() == event["name"], f"closes another's: {event}"
        if event["ph"] == "b":
            assert event["id"] not in open_spans, f"begins twice: {event}"
            open_spans[event["id"]] = event
        if event["ph"] == "n": assert open_spans[event["id"]]["name"] == event["name"], f"is another's: {event}"
        if event["ph"] == "e":
            begin = open_spans.pop(event["id"])
            assert (begin["name"], begin["pid"]) == (event["name"], event["pid"]), f"closes another's: {event}"
            used = None if "unfinished" in event["args"] else event["args"].get("used", True)
            spans.append((event["id"], event["name"], round(begin["ts"] * 1000), round(event["ts"] * 1000), used))
    assert not open_spans and not any(rows.values()), f"have no end: {open_spans} {rows}"
    return spans

wanted = Counter(spans_of_trace([json.loads(line) for line in open(sys.argv[1])]))
got = Counter(spans_of_timeline(json.load(open(sys.argv[2]))["traceEvents"]))
wrong = sorted((wanted - got) + (got - wanted), key=str)
for span in wrong[:20]: print("in the trace" if span in wanted else "in the timeline", *span)
ends = Counter(span[4] for span in wanted)
print(f"{len(wrong)} spans differ; {ends[True]} requests were used, {ends[False]} were taken away, {ends[None]} unfinished")
sys.exit(1 if wrong or not wanted else 0)

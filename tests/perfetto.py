#!/usr/bin/python3
"""Reads a trace of perfetto by its schema and checks it.

    perfetto.py FILE    prints "track UUID name", "slice TRACK NAME", "instant TRACK NAME", "flow ID", "counter NAME VALUE" lines;
                        ends with 1 where the file is not as the schema says, or slices, tracks, flows or times do not fit

The schema is that of protos/perfetto/trace/ in github.com/google/perfetto: numbers, names and types of the fields that may occur.
"""
import sys

VARINT, FIXED64, STRING = "varint", "fixed64", "string"
SCHEMA = {
    "Trace": {1: ("packet", "TracePacket")},
    "TracePacket": {8: ("timestamp", VARINT), 10: ("trusted_packet_sequence_id", VARINT), 11: ("track_event", "TrackEvent"),
                    13: ("sequence_flags", VARINT), 60: ("track_descriptor", "TrackDescriptor")},
    "TrackDescriptor": {1: ("uuid", VARINT), 2: ("name", STRING), 3: ("process", "ProcessDescriptor"), 4: ("thread", "ThreadDescriptor"),
                        5: ("parent_uuid", VARINT), 8: ("counter", "CounterDescriptor")},
    "ProcessDescriptor": {1: ("pid", VARINT), 6: ("process_name", STRING)},
    "ThreadDescriptor": {1: ("pid", VARINT), 2: ("tid", VARINT), 5: ("thread_name", STRING)},
    "CounterDescriptor": {3: ("unit", VARINT)},
    "TrackEvent": {4: ("debug_annotations", "DebugAnnotation"), 9: ("type", VARINT), 11: ("track_uuid", VARINT), 22: ("categories", STRING),
                   23: ("name", STRING), 30: ("counter_value", VARINT), 47: ("flow_ids", FIXED64), 48: ("terminating_flow_ids", FIXED64)},
    "DebugAnnotation": {3: ("uint_value", VARINT), 6: ("string_value", STRING), 10: ("name", STRING)},
}
WIRE = {VARINT: 0, FIXED64: 1}  # every other type has a length: 2
BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4


def bad(what):
    sys.exit(f"perfetto.py: {what}")


def varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            bad(f"a varint has no end at {at}")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7


def message(data, kind):
    """A message as name -> list of values."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number not in SCHEMA[kind]:
            bad(f"{kind} has no field {number}")
        name, type_ = SCHEMA[kind][number]
        if wire != WIRE.get(type_, 2):
            bad(f"{kind}.{name} has the wire type {wire}")
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = int.from_bytes(data[at:at + 8], "little"), at + 8
        else:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                bad(f"{kind}.{name} is cut off")
            value = value.decode("utf-8") if type_ == STRING else message(value, type_)
        fields.setdefault(name, []).append(value)
    return fields


def check(trace):
    tracks, counters, opened, begun, ended, last = {}, {}, {}, set(), set(), 0
    for packet in trace["packet"]:
        if packet["trusted_packet_sequence_id"] != [1]:
            bad("a packet is of no sequence")
        if "track_descriptor" in packet:
            track = packet["track_descriptor"][0]
            uuid = track["uuid"][0]
            if uuid in tracks:
                bad(f"track {uuid} is described twice")
            if "parent_uuid" in track and track["parent_uuid"][0] not in tracks:
                bad(f"the parent of track {uuid} is not described before it")
            names = track.get("name", []) + [n for part in ("process", "thread") for n in track.get(part, [{}])[0].get(part + "_name", [])]
            tracks[uuid] = names[0] if names else ""
            if "counter" in track:
                counters[uuid] = tracks[uuid]
            kind = "process" if "process" in track else "thread" if "thread" in track else "counter" if "counter" in track else "lock"
            print(f"track {uuid} {kind} {tracks[uuid]}")
            continue
        time, event = packet["timestamp"][0], packet["track_event"][0]
        type_, track = event["type"][0], event["track_uuid"][0]
        if track not in tracks:
            bad(f"an event on track {track}, which is not described before it")
        if (type_ == COUNTER) != (track in counters):
            bad(f"an event of type {type_} on track {track}")
        if type_ != END and time < last:
            bad(f"time goes back from {last} to {time}")
        last = max(last, time) if type_ != END else last
        name = event.get("name", [""])[0]
        if type_ == BEGIN:
            opened.setdefault(track, []).append((time, name))
            call = [a["string_value"][0] for a in event.get("debug_annotations", []) if a["name"] == ["call"]]
            print(f"slice {track} {name} {''.join(call)}")
        elif type_ == END:
            if not opened.get(track):
                bad(f"a slice ends on track {track} and none is open")
            begin, name = opened[track].pop()
            if time < begin:
                bad(f"the slice '{name}' ends before it begins")
        elif type_ == INSTANT:
            print(f"instant {track} {name}")
        else:
            print(f"counter {counters[track]} {event['counter_value'][0]}")
        for flow in event.get("flow_ids", []):
            if flow in begun:
                bad(f"flow {flow} begins twice")
            begun.add(flow)
        for flow in event.get("terminating_flow_ids", []):
            if flow not in begun or flow in ended:
                bad(f"flow {flow} ends without a begin, or twice")
            ended.add(flow)
            print(f"flow {flow} ends on {track}")
    if any(opened.values()):
        bad(f"slices are left open: {opened}")


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        check(message(file.read(), "Trace"))

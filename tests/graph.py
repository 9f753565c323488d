#!/usr/bin/python3
"""The plan of the house, and whether the code keeps to it.

    graph.py BUILD              checks; prints what is wrong and ends with 1
    graph.py BUILD --groups     only the groups of files that call each other in circles, with the calls that close them
    graph.py BUILD --needs FILE what FILE (as recorder/log.c) calls in other files, and who calls it
    graph.py BUILD --dot        the files and their calls, for graphviz
    graph.py BUILD --dot-rooms  the folders and their order, for graphviz

Calls are read off the objects in BUILD (nm: who defines a symbol, who needs it), so nothing that compiles is
overlooked and no promise is believed. A table of function pointers counts as calling what stands in it.
"""
import collections
import html
import os
import re
import subprocess
import sys

# A folder may include and call what stands behind it, whatever that may, and itself. A file that has a row of its own
# (without its ending) stands where that says instead.
ORDER = {
    "core/cpu": [],
    "core": ["core/cpu"],
    "core/elf": ["core"],
    "core/calls": ["core"],
    "core/decode": ["core/elf", "core/calls"],
    "core/trace": ["core/decode"],
    "recorder/plan/schedule": ["core/trace"],
    "recorder": ["recorder/plan/schedule"],
    "recorder/waits": ["recorder/end"],
    "recorder/plan": ["recorder/waits", "recorder/end"],
    "recorder/end": ["recorder"],
    "recorder/launch": ["recorder"],
    "recorder/calls": ["recorder"],
    "recorder/emulate": ["recorder"],
    "recorder/record": ["recorder/plan", "recorder/end", "recorder/launch", "recorder/calls", "recorder/emulate"],
    "recorder/doctor": ["core/trace"],
    "replayer/engine": ["core/trace"],
    "replayer/names": ["core/trace"],
    "replayer": ["replayer/engine", "replayer/names"],
    "replayer/core": ["replayer"],
    "replayer/calls": ["replayer"],
    "replayer/locks": ["replayer"],
    "replayer/verdict": ["replayer/locks"],
    "replayer/session": ["replayer/verdict"],
    "replayer/diagnose": ["replayer/verdict"],
    "replayer/lint": ["replayer/verdict"],
    "replayer/strip": ["replayer"],
    "replayer/report": ["replayer/session", "replayer/diagnose", "replayer/lint"],
    "replayer/compare": ["replayer/report"],
    "replayer/watch": ["replayer/report"],
    "search": ["recorder/record", "replayer/watch"],
    "search/minimize": ["search"],
    "search/learn": ["search"],
    "tui": ["replayer/report"],
    "tui/pair": ["tui"],
    "tui/terminal": ["tui/pair"],
    "tui/recording": ["tui/pair", "replayer/compare", "replayer/rr"],
    "tui/export": ["tui"],
    "tui/learn": ["tui/terminal", "tui/recording", "search/learn"],
    "replayer/gdb": ["replayer/report", "replayer/core"],
    "replayer/rr": ["replayer/gdb"],
    "cli": ["replayer/rr", "search/minimize", "search/learn", "replayer/compare", "replayer/strip", "replayer/core", "replayer/calls", "recorder/doctor", "replayer/gdb", "tui/terminal",
            "tui/recording", "tui/export", "tui/learn"],
}
MOST_LINES, MOST_SOURCES = 800, 30
PICTURE = "docs/house.svg"
# These count lines as well: what is not built into refork.
LINES_TOO = ("samples", "tests")


def reach(folder, into=None):
    into = set() if into is None else into
    if folder not in into:
        into.add(folder)
        for other in ORDER[folder]:
            reach(other, into)
    return into


MAY = {folder: reach(folder) for folder in ORDER}


def room(path):
    """Where a file stands in ORDER."""
    stem = os.path.splitext(path)[0]
    return stem if stem in ORDER else os.path.dirname(path)


def sources():
    """Every source and header of refork, by folder."""
    for floor in sorted({folder.split("/")[0] for folder in ORDER}):
        for top, _, names in os.walk(floor):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.join(top, name)


def includes(path):
    with open(path) as file:
        return re.findall(r'^#include "([^"]+)"', file.read(), re.M)


def objects(build, files):
    """defined: symbol -> file; needed: file -> symbols."""
    defined, needed, twice = {}, {}, []
    for path in files:
        if not path.endswith(".c"):
            continue
        run = subprocess.run(["nm", "-g", os.path.join(build, path[:-2] + ".o")], capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"graph.py: {path} is not built in {build}: {run.stderr.strip()}")
        needed[path] = set()
        for line in run.stdout.splitlines():
            kind, name = line.split()[-2:]
            if kind in "UwvV":
                needed[path].add(name)
            elif defined.setdefault(name, path) != path:
                twice.append(f"{name} is defined by {defined[name]} and by {path}")
    return defined, needed, twice


def calls(defined, needed):
    """file -> file -> the symbols that join them."""
    graph = {path: collections.defaultdict(set) for path in needed}
    for path, names in needed.items():
        for name in names:
            if name in defined and defined[name] != path:
                graph[path][defined[name]].add(name)
    return graph


def groups(graph):
    """Strongly connected groups of more than one node (Tarjan), the largest first."""
    order, low, stack, on, found = {}, {}, [], set(), []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        on.add(node)
        for other in graph.get(node, ()):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            group = stack[stack.index(node):]
            del stack[stack.index(node):]
            on.difference_update(group)
            if len(group) > 1:
                found.append(sorted(group))

    sys.setrecursionlimit(10000)
    for node in graph:
        if node not in order:
            visit(node)
    return sorted(found, key=len, reverse=True)


def print_groups(graph, out=print):
    for group in groups(graph):
        out(f"{len(group)} files call each other in a circle: {' '.join(group)}")
        for path in group:
            for other in sorted(set(graph[path]) & set(group)):
                out(f"    {path} -> {other}: {' '.join(sorted(graph[path][other]))}")


def outside(text):
    """A header without comments, preprocessor lines, and what stands in braces and parentheses."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", " ", text, flags=re.M)
    depth, kept = 0, []
    for char in text:
        depth -= char in "})"
        kept.append(char if depth == 0 else " ")
        depth += char in "{("
    return "".join(kept)


def declared(path, defined):
    """Which files define what this header declares: file -> symbols."""
    by = collections.defaultdict(set)
    with open(path) as file:
        for tag, name in re.findall(r"(\b(?:struct|enum|union)\s+)?\b([A-Za-z_]\w*)", outside(file.read())):
            if name in defined and not tag:
                by[defined[name]].add(name)
    return by


def check(files, graph, defined, twice):
    bad = list(twice)
    print_groups(graph, bad.append)
    headers = {path: {other: () for other in includes(path)} for path in files if path.endswith(".h")}
    for group in groups(headers):
        bad.append(f"headers include each other in a circle: {' '.join(group)}")

    seen = 0
    for path in files:
        folder = room(path)
        if folder not in ORDER:
            bad.append(f"{path}: tests/graph.py does not know the folder {folder}: give it its place in ORDER")
            continue
        for other in includes(path):
            seen += 1
            if room(other) not in MAY[folder]:
                bad.append(f"{path}: {folder} must not include {other}" if "/" in other else
                           f"{path}: \"{other}\" is without its folder")
        for other, names in graph.get(path, {}).items():
            if room(other) not in MAY[folder]:
                bad.append(f"{path}: {folder} must not call {other}: {' '.join(sorted(names))}")
    if seen < 50 or len(defined) < 100:
        bad.append(f"only {seen} includes and {len(defined)} symbols found: this check is broken")

    for path in headers:
        by = declared(path, defined)
        if len(by) > 1:
            which = "; ".join(f"{other}: {' '.join(sorted(by[other]))}" for other in sorted(by))
            bad.append(f"{path} is implemented by {len(by)} files: {which}")

    sizes = list(files)
    for floor in LINES_TOO:
        sizes += [os.path.join(top, name) for top, _, names in os.walk(floor) for name in names
                  if name.endswith((".c", ".h", ".cc", ".sh", ".py", ".def"))]
    for path in sizes:
        with open(path) as file:
            lines = sum(1 for _ in file)
        if lines > MOST_LINES:
            bad.append(f"{path} has {lines} lines, more than {MOST_LINES}")
    for folder, count in collections.Counter(os.path.dirname(path) for path in files if path.endswith(".c")).items():
        if count > MOST_SOURCES:
            bad.append(f"{folder} has {count} sources, more than {MOST_SOURCES}")
    bad += check_picture()
    return bad


def dot(graph):
    yield "digraph files { rankdir=LR; node [shape=box fontname=sans fontsize=10 height=0.2]; edge [color=gray40];"
    for i, folder in enumerate(ORDER):
        yield f'subgraph cluster_{i} {{ label="{folder}"; fontname=sans; color=gray60;'
        yield from (f'"{path}" [label="{os.path.basename(path)[:-2]}"];' for path in graph if room(path) == folder)
        yield "}"
    yield from (f'"{path}" -> "{other}";' for path in graph for other in sorted(graph[path]))
    yield "}"


def rooms():
    """Who stands on whom: the arrows of ORDER that do not follow from others."""
    for folder, below in ORDER.items():
        for other in below:
            if not any(other in MAY[third] for third in set(below) - {other}):
                yield folder, other


def dot_rooms():
    yield 'digraph house { rankdir=BT; node [shape=box style=filled fillcolor=white fontname=sans]; bgcolor=white;'
    yield from (f'"{folder}";' for folder in ORDER)
    yield from (f'"{other}" -> "{folder}" [dir=back];' for folder, other in rooms())
    yield "}"


def check_picture():
    """Whether PICTURE shows ORDER: graphviz keeps the names of nodes and arrows as titles."""
    with open(PICTURE) as file:
        shown = set(re.findall("<title>(.*?)</title>", file.read())) - {"house"}
    wanted = set(ORDER) | {f"{other}&#45;&gt;{folder}" for folder, other in rooms()}
    for what in sorted(shown ^ wanted):
        yield f"{PICTURE} {'lacks' if what in wanted else 'still has'} {html.unescape(what)}: 'make graph' draws it anew"


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    build, what = os.path.abspath(sys.argv[1]), (sys.argv[2:3] or [""])[0]
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    files = list(sources())
    defined, needed, twice = objects(build, files)
    graph = calls(defined, needed)
    if what == "--groups":
        print_groups(graph)
    elif what == "--needs":
        for path in sys.argv[3:]:
            for other in sorted(graph[path]):
                print(f"{path} -> {other}: {' '.join(sorted(graph[path][other]))}")
            for other in sorted(graph):
                if path in graph[other]:
                    print(f"{other} -> {path}: {' '.join(sorted(graph[other][path]))}")
    elif what == "--dot":
        print("\n".join(dot(graph)))
    elif what == "--dot-rooms":
        print("\n".join(dot_rooms()))
    elif what == "":
        bad = check(files, graph, defined, twice)
        print("\n".join(bad))
        sys.exit(1 if bad else 0)
    else:
        sys.exit(__doc__)


main()

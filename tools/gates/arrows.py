#!/usr/bin/env python3
"""arrows.py BUILD [--print]: which file uses which, read from the symbols of the objects in a build directory (`nm`), against
the order of the folders: main.c of a role -> the table of applications -> applications -> what the role offers to them ->
cache, config -> lib; in the loader admin, upstream -> commit -> document, store.
Inside a folder, files may use each other in pairs, but three or more must not form a circle.

arrows.list beside this file has the exceptions of today. It can only shrink: an exception that is gone is an error, too,
until its line is deleted. --print writes what the list would have to be. Exit 1 when something is wrong."""
import collections
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIST = os.path.join(HERE, "arrows.list")

# What each folder may use besides itself. Folders that are not named here belong to the nearest one above them.
LIBS = {"lib/base", "lib/diameter", "lib/auth", "lib/ipc", "lib/document", "lib/sip", "lib/ng", "lib/ims"}
BELOW = LIBS | {"cache", "config"}
ROLE_HALF = "supervisor/role"  # role.c and sandbox.c: what every role links of the supervisor's folder
DOCUMENTS = "apps/documents"  # documents.c: what is known of documents without any code of an application
SHARED = {"apps/ims"}  # below the applications: what several of them read and decide alike
ROLE = BELOW | {ROLE_HALF}
LOADER_ROOMS = {"loader/store", "loader/document", "loader/commit", "loader/upstream", "loader/admin"}
MAY_USE = {
    **{folder: {"lib/base"} for folder in LIBS},
    "lib/base": set(),
    "config": LIBS,
    "cache": LIBS,
    DOCUMENTS: BELOW,
    "apps": BELOW | LOADER_ROOMS | {"worker"},  # an application's part of a role is written against the role's own parts
    ROLE_HALF: BELOW,
    "frontend": ROLE,
    "worker": ROLE,
    "supervisor": ROLE,
    "admin": ROLE,
    "admin/cli": BELOW | {"admin", DOCUMENTS},
    "loader/store": BELOW | {DOCUMENTS},
    "loader/document": BELOW | {DOCUMENTS},
    "loader/commit": BELOW | {DOCUMENTS, "loader/document", "loader/store"},
    "loader/upstream": BELOW | {DOCUMENTS, "loader/commit", "loader/document", "loader/store"},
    "loader/admin": BELOW | {DOCUMENTS, "loader/commit", "loader/document", "loader/store"},
    "loader": ROLE | LOADER_ROOMS | {DOCUMENTS},
}
OF_ROLE_HALF = {"supervisor/role.c", "supervisor/sandbox.c"}
TOP = {folder.split("/")[0] for folder in MAY_USE}


def folder_of(source):
    if source in OF_ROLE_HALF:
        return ROLE_HALF
    if source == DOCUMENTS + ".c":
        return DOCUMENTS
    folder = os.path.dirname(source)
    if folder.startswith("apps/"):
        return folder  # an application is a folder of its own: it uses no other one
    while folder and folder not in MAY_USE:
        folder = os.path.dirname(folder)
    if not folder:
        sys.exit(f"arrows: {source}: say in tools/gates/arrows.py what its folder may use")
    return folder


def may_use(source, target):
    a, b = folder_of(source), folder_of(target)
    if a == b:
        return True
    if a in SHARED:
        return b in BELOW
    if a.startswith("apps/"):
        return b in MAY_USE["apps"] | {"apps"} | SHARED
    if b == "apps":  # main.c hands the table down
        return os.path.basename(source) == "main.c"
    if b.startswith("apps/") and b != DOCUMENTS:  # the table names the applications; nobody else does
        return a == "apps"
    return b in MAY_USE[a]


def objects(build):
    """{source: object} of the product."""
    found = {}
    for at, _, names in os.walk(build):
        relative = os.path.relpath(at, build)
        match = re.match(r"(.*?)/CMakeFiles/[^/]+\.dir(/.*)?$", relative)
        if not match or match[1].split("/")[0] not in TOP:
            continue
        for name in names:
            if name.endswith(".c.o"):
                found[os.path.normpath(match[1] + (match[2] or "") + "/" + name[:-2])] = os.path.join(at, name)
    return found


def uses_of(found):
    """{source: {source that it uses: a symbol}}"""
    defines, wants = collections.defaultdict(set), {source: set() for source in found}
    source_of = {path: source for source, path in found.items()}
    out = subprocess.run(["nm", "-A", "-P", "-g", *source_of], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        path, symbol, kind = line.split()[:3]
        source = source_of[path[:-1]]
        if kind == "U":
            wants[source].add(symbol)
        elif kind.isupper() and symbol != "main":
            defines[symbol].add(source)
    uses = {source: {} for source in found}
    for source, symbols in wants.items():
        for symbol in sorted(symbols):
            for target in defines.get(symbol, ()):
                if target != source:
                    uses[source].setdefault(target, symbol)
    return uses


def circles(uses):
    """Tarjan: the strongly connected sets of more than two files of one folder."""
    index, low, stack, on, out = {}, {}, [], set(), []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        on.add(v)
        for w in uses[v]:
            if folder_of(w) != folder_of(v):
                continue
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            part = []
            while not part or part[-1] != v:
                part.append(stack.pop())
                on.discard(part[-1])
            if len(part) > 2:
                out.append(sorted(part))
    for v in sorted(uses):
        if v not in index:
            visit(v)
    return sorted(out)


def read_list():
    arrows, rings = set(), []
    with open(LIST) as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line.startswith("circle:"):
                rings.append(sorted(line[7:].split()))
            elif line:
                arrows.add(tuple(part.strip() for part in line.split("->")))
    return arrows, rings


def main():
    build = sys.argv[1]
    found = objects(build)
    root = os.path.dirname(os.path.dirname(HERE))
    found = {source: path for source, path in found.items() if os.path.exists(os.path.join(root, source))}
    if len(found) < 100:
        sys.exit(f"arrows: only {len(found)} objects below {build}: build it first")
    uses = uses_of(found)
    if not any(uses.values()):
        sys.exit(f"arrows: nm finds no symbols below {build} (link-time optimisation hides them)")
    wrong = {(a, b): symbol for a in uses for b, symbol in uses[a].items() if not may_use(a, b)}
    rings = circles(uses)
    if "--print" in sys.argv:
        for a, b in sorted(wrong):
            print(f"{a} -> {b}")
        for ring in rings:
            print("circle:", *ring)
        return 0
    listed, listed_rings = read_list()
    bad = [f"{a} uses {b} ({symbol}): {folder_of(a)} must not use {folder_of(b)}"
           for (a, b), symbol in sorted(wrong.items()) if (a, b) not in listed]
    bad += [f"{a} -> {b}: is gone; delete the line from tools/gates/arrows.list" for a, b in sorted(listed - set(wrong))]
    for ring in rings:
        if not any(set(ring) <= set(known) for known in listed_rings):
            bad.append("these files use each other in a circle: " + " ".join(ring))
    for known in listed_rings:
        if known not in rings:
            smaller = [" ".join(ring) for ring in rings if set(ring) <= set(known)]
            bad.append("circle: " + " ".join(known) + ": is gone or smaller; write in tools/gates/arrows.list " +
                       (" and ".join(smaller) or "nothing"))
    for line in bad:
        print(line)
    print(f"arrows: {len(found)} files, {sum(map(len, uses.values()))} arrows, {len(wrong)} against the order, "
          f"{len(rings)} circles of more than two files")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

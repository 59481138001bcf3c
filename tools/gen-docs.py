#!/usr/bin/env python3
"""Writes docs/configuration.md from the rows of config/options.def.

gen-docs.py          write it
gen-docs.py --check  exit 1 when it is not up to date
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "config" / "options.def"
HEADER = ROOT / "config" / "config.h"
TARGET = ROOT / "docs" / "configuration.md"
WORDS = {
    "TRANSPORT": "`tcp`, `sctp`, `tls`",
    "STORE": "`sqlite`, `mongodb`, `csv`",
    "ACCEPT": "`any`, `listed`",
    "VIA": "`any`, `tcp`, `sctp`, `tls`",
    "APPLICATION": "`s6a`",
    "VERIFY": "`required`, `optional`",
    "LEVEL": "`error`, `warn`, `info`, `debug`",
    "FORMAT": "`text`, `json`",
    "BOOL": "`true`, `false`",
}
TYPES = {
    "NAME": "DiameterIdentity",
    "TEXT": "text",
    "URI": "URI",
    "PATH": "absolute path",
    "ADDRESS": "numeric IPv4 or IPv6 address",
}
ROW = re.compile(r'^(OPTION|LIST)\((.*?)\)$', re.M | re.S)
FIELD = re.compile(r'((?:\s*"(?:[^"\\]|\\.)*")+|[^,"]+)(?:,|$)', re.S)


def fields(text):
    """One row's arguments; adjacent string literals are joined, as the compiler does."""
    out = []
    for found in FIELD.finditer(text):
        raw = found.group(1).strip()
        pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', raw)
        out.append("".join(pieces).replace('\\"', '"') if pieces else raw)
    return out


def rows():
    limits = dict(re.findall(r"#define (CONFIG_\w+)\s+(\d+)", HEADER.read_text()))
    for macro, text in ROW.findall(SOURCE.read_text()):
        f = fields(text)
        if macro == "LIST":
            path, _, _, most, reload, help_text = f
            yield path, f"list of at most {limits.get(most, most)}", "empty", reload, help_text
            continue
        path, _, kind, least, most, default, reload, unit, help_text = f
        if kind in WORDS:
            what = WORDS[kind]
        elif kind in TYPES:
            what = f"{TYPES[kind]}, at most {most} octets"
        else:
            what = f"{least} to {most} {unit}".strip()
        shown = "required" if default == "NULL" else f"`{default}`" if default else "empty"
        yield path, what, shown, reload, help_text


def page():
    lines = [
        "# Configuration",
        "",
        "One YAML file, read by `hssd --config FILE`. `hssd --check --config FILE` checks it and says file, line and",
        "what was expected. Unknown and repeated options are errors. Anchors, aliases and tags are not used.",
        "`SIGHUP` applies what is marked *live*; a change of anything else is refused and needs a restart.",
        "",
        "This page is made from `config/options.def` by `tools/gen-docs.py`.",
        "",
    ]
    section = None
    for path, what, default, reload, help_text in rows():
        head = re.split(r"[.\[]", path)[0]
        if head != section:
            lines += [f"## {head}", ""]
            section = head
        change = "live" if reload == "LIVE" else "restart"
        lines += [f"### `{path}`", "", f"{what}. Default: {default}. Change: *{change}*.", "", help_text, ""]
    return "\n".join(lines[:-1]) + "\n"


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            print(f"{TARGET.relative_to(ROOT)} is not up to date: run tools/gen-docs.py", file=sys.stderr)
            return 1
        return 0
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

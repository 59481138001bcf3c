#!/usr/bin/env python3
"""Writes docs/configuration.md and the man page hss.yaml(5) from the rows of config/options.def.

gen-docs.py          write them
gen-docs.py --check  exit 1 when one is not up to date
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "config" / "options.def"
HEADER = ROOT / "config" / "config.h"
PAGE = ROOT / "docs" / "configuration.md"
MAN = ROOT / "packaging" / "man" / "hss.yaml.5"
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


MAN_HEAD = r""".\" made from config/options.def by tools/gen-docs.py
.TH HSS.YAML 5 "December 2026" corehss "corehss"
.SH NAME
hss.yaml \- configuration of corehss
.SH DESCRIPTION
.I /etc/corehss/hss.yaml
is the configuration that
.BR hssd (8)
reads at its start and at SIGHUP.
.B hssd \-\-check
checks it and says file, line and what was expected.
Unknown and repeated options are errors.
Anchors, aliases and tags are not used.
.P
An option that is
.I live
is applied by SIGHUP
.RB ( "systemctl reload corehss" );
a change of any other needs a restart.
.SH EXAMPLE
A smallest configuration:
.P
.nf
identity:
  host: hss01.epc.mnc001.mcc001.3gppnetwork.org
  realm: epc.mnc001.mcc001.3gppnetwork.org
listen:
  \- { transport: tcp, address: 192.0.2.10, port: 3868 }
.fi
.P
More are in
.IR /usr/share/doc/corehss/examples .
"""
MAN_TAIL = r""".SH FILES
.TP
.I /etc/corehss/hss.yaml
The configuration.
.TP
.I /usr/share/doc/corehss/examples/
Commented examples.
.SH SEE ALSO
.BR hssd (8),
.BR hssctl (1)
"""


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return "\\&" + text if text[:1] in ".'" else text


def man():
    lines = [MAN_HEAD.rstrip("\n")]
    section = None
    for path, what, default, reload, help_text in rows():
        head = re.split(r"[.\[]", path)[0]
        if head != section:
            lines.append(f".SH {head.upper()}")
            section = head
        change = "live" if reload == "LIVE" else "restart"
        lines += [".TP", f".B {roff(path)}", f"{roff(what[:1].upper() + what[1:])}. Default: {roff(default)}. "
                  f"Change: {change}.", ".br", roff(help_text)]
    return "\n".join(lines) + "\n" + MAN_TAIL


def main():
    for target, text in ((PAGE, page()), (MAN, man())):
        if "--check" not in sys.argv[1:]:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            print(f"{target.relative_to(ROOT)} is not up to date: run tools/gen-docs.py", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

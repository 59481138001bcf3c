#!/usr/bin/env python3
"""Writes docs/configuration.md and the man page hss.yaml(5) from the rows of config/options.def, and docs/subscriber.md from
those of lib/document/core.def and apps/*/document.def, and the manual's part about alarms from admin/alarms.def.

gen-docs.py          write them
gen-docs.py --check  exit 1 when one is not up to date
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = [ROOT / "config" / "options.def", *sorted((ROOT / "apps").glob("*/options.def"))]
HEADERS = [ROOT / "config" / "config.h", *sorted((ROOT / "apps").glob("*/options.h"))]
APPS_FILE = ROOT / "apps" / "apps.def"
WORDS_FILE = ROOT / "apps" / "options_words.def"
PAGE = ROOT / "docs" / "configuration.md"
MAN = ROOT / "packaging" / "man" / "hss.yaml.5"
MEMBERS_PAGE = ROOT / "docs" / "subscriber.md"
WORDS = {
    "TRANSPORT": "`tcp`, `sctp`, `tls`",
    "STORE": "`sqlite`, `mongodb`, `csv`",
    "ACCEPT": "`any`, `listed`",
    "VIA": "`any`, `tcp`, `sctp`, `tls`",
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
    "HOST": "IPv4 or IPv6 address, or host name",
    "PATTERN": "DiameterIdentity, or `*.` and one",
    "PLMN": "digits of MCC and MNC",
}
WORDS["APPLICATION"] = ", ".join(f"`{name}`" for name in re.findall(r"^APP\(\d+, (\w+),", APPS_FILE.read_text(), re.M))
for kind, words in re.findall(r"^WORDS\((\w+), (.*?)\)$", WORDS_FILE.read_text(), re.M | re.S):
    WORDS[kind] = ", ".join(f"`{word}`" for word in re.findall(r'"([^"]*)"', words))
ROW = re.compile(r'^(OPTION|LIST|LIST_AT)\((.*?)\)$', re.M | re.S)
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
    limits = dict(re.findall(r"#define (\w+_MAX)\s+(\d+)", "\n".join(h.read_text() for h in HEADERS)))
    for macro, text in ROW.findall("\n".join(s.read_text() for s in SOURCES)):
        f = fields(text)
        if macro.startswith("LIST"):
            path, most, reload, help_text = f[0], f[3], *f[-2:]
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
        "`SIGHUP` applies what is marked *live*. A changed option of the others keeps its old value until a restart, and the log",
        "names it (`reload_needs_restart`).",
        "",
        "Every value may hold `${NAME}`, an environment variable of hssd, or `${NAME:-text}`, with what is taken where it is not",
        "set or empty. `$${` stands for `${`.",
        "",
        "This page is made from `config/options.def` and the applications' `options.def` by `tools/gen-docs.py`.",
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


MEMBER_TABLES = (ROOT / "lib" / "document" / "core.def", *sorted((ROOT / "apps").glob("*/document.def"), reverse=True))
MEMBER_ROW = re.compile(r"^MEMBER\((.*?)\)$", re.M | re.S)
PARTS = {"NAME": "name", "SUBSCRIBER": "subscriber", "PROFILE": "profile", "STATE": "state", "OTHERS": "others"}


def member_value(kind, least, most):
    number = {"INT32_MAX": "2147483647", "UINT32_MAX": "4294967295", "UINT32_MAX / 60": "71582788", "INT64_MAX": "2^63 - 1", "(1ll << 48) - 1": "2^48 - 1"}
    return {
        "ANY": "not looked at", "OBJECT": "object", "BOOL": "true, false", "IPV4": "IPv4 address", "IPV6": "IPv6 address",
        "LIST": f"list of at most {most}" if most != "0" else "list", "RATE": "bit rate",
        "TEXT": f"text, at most {most} octets", "NUMBER": f"{least} to {number.get(most, most)}",
    }.get(kind) or f"{int(most) * 2} hex digits"


def members():
    lines = [
        "# A subscriber's document",
        "",
        "The members that corehss knows, in the shape of Open5GS's `subscribers` collection. `[]` is an element of a list;",
        "`hssctl subscriber set` writes its number there (`slice.0.session.0.name`). Members that are not in this table are kept",
        "and not looked at. *Whose*: the `subscriber`'s own; the `profile`, which subscribers share; the `state`, which changes by",
        "itself; of `others`, that is, read by other programs only. *Wrong*: what happens to a value that is not as it should be.",
        "",
        "This page is made from `lib/document/core.def` and the applications' `document.def` by `tools/gen-docs.py`.",
    ]
    for table in MEMBER_TABLES:
        owner = "core" if table.name == "core.def" else table.parent.name
        lines += ["", f"## {owner}", "", "| member | value | whose | wrong | |", "|---|---|---|---|---|"]
        for text in MEMBER_ROW.findall(table.read_text()):
            _, path, kind, least, most, part, flags, help_text = fields(text)
            wrong = "" if kind in ("ANY",) else "ignored" if "QUIET" in flags else "left out, named" if "DROP" in flags else "refused"
            help_text = help_text + (" (secret)" if "SECRET" in flags else "")
            help_text = help_text.replace("|", "\\|")
            lines.append(f"| `{path}` | {member_value(kind, least, most)} | {PARTS[part]} | {wrong} | {help_text} |")
    return "\n".join(lines) + "\n"


ALARMS = ROOT / "admin" / "alarms.def"
MANUAL = ROOT / "docs" / "manual.md"
ALARM_ROW = re.compile(r"^ALARM\((.*?)\)$", re.M | re.S)
ALARMS_BEGIN, ALARMS_END = "<!-- made from admin/alarms.def by tools/gen-docs.py -->", "<!-- end of alarms.def -->"


def alarms():
    lines = []
    for text in ALARM_ROW.findall(ALARMS.read_text()):
        _, name, severity, seconds, subject, meaning, effect, action = fields(text)
        about = f", of each {subject}" if subject else ""
        after = f", after {seconds} s" if seconds != "0" else ""
        lines += [f"#### `{name}`", "", f"*{severity.lower()}{about}{after}*", "", meaning, "", f"- Effect: {effect}", f"- Do: {action}", ""]
    return "\n".join(lines)


def manual():
    """The manual as it is, with the part between the two marks made anew."""
    head, rest = MANUAL.read_text().split(ALARMS_BEGIN)
    return head + ALARMS_BEGIN + "\n\n" + alarms() + "\n" + ALARMS_END + rest.split(ALARMS_END)[1]


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
    for target, text in ((PAGE, page()), (MAN, man()), (MEMBERS_PAGE, members()), (MANUAL, manual())):
        if "--check" not in sys.argv[1:]:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            print(f"{target.relative_to(ROOT)} is not up to date: run tools/gen-docs.py", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

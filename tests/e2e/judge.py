"""tshark as judge of what the HSS sends: nothing malformed, no code that its dictionary doesn't know, nothing that it has
to remark on."""
import os
import subprocess

REMARKS = ('(_ws.malformed || _ws.expert.severity >= "Note" || diameter.avp.code.unknown || diameter.cmd.code.unknown'
           ' || diameter.applicationId.unknown)')

# Remarks that are not about Diameter. SCTP: on a busy machine more is lost than one of them, and buffers get full. TLS 1.3:
# tshark 4.4 reminds its reader of what each ClientHello is like.
OF_TRANSPORT = ("This TSN was retransmitted more than 2 times.", "Retransmitted TSN", "Zero Advertised Receiver Window Credit",
                "This legacy_version field MUST be ignored.")


def of_diameter(said):
    """Of tshark's remarks, a list, those that are about Diameter."""
    return [each for each in said if not each.strip().startswith(OF_TRANSPORT)]


def tshark(path, rule, *fields, decode=(), keys=None):
    """What matches this display filter, a list of the fields' texts each; without fields, tshark's own lines. decode: of
    "tcp.port==1" that are Diameter, too. keys: file with those of TLS sessions."""
    wanted = [x for f in fields for x in ("-e", f)]
    ports = [x for port in decode for x in ("-d", f"{port},diameter")]
    if keys:
        # what begins like Diameter may look like a remote desktop to it
        ports += ["-o", f"tls.keylog_file:{keys}", "--disable-protocol", "rdpmt"]
    done = subprocess.run(["tshark", "-2", "-r", path, *ports, "-Y", rule,
                           *(["-T", "fields", "-E", "occurrence=a", *wanted] if wanted else [])],
                          capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    lines = done.stdout.splitlines()
    return [line.split("\t") for line in lines] if wanted else lines


def remarks(path, ours, decode=()):
    """[frame, command, remark] of each packet of ours that tshark has something to say about."""
    return tshark(path, f"{ours} && {REMARKS}", "frame.number", "diameter.cmd.code", "_ws.expert.message", decode=decode)


def commands(path, rule, decode=()):
    """{(command, whether it is a request): how many} in what matches."""
    seen = {}
    for codes, flags in tshark(path, rule, "diameter.cmd.code", "diameter.flags.request", decode=decode):
        for code, flag in zip(codes.split(","), flags.split(",")):
            key = int(code), flag in ("1", "True")
            seen[key] = seen.get(key, 0) + 1
    return seen

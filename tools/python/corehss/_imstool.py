"""How the modules rtp, rtpengine and sip_digest run imstool: $COREHSS_IMSTOOL, or imstool of the PATH."""
import json
import os
import subprocess

from corehss import Error


def program():
    return os.environ.get("COREHSS_IMSTOOL") or "imstool"


def run(words, input=b""):
    """Runs imstool with --json. (status, what it printed, as a list of JSON values); Error for status 2, and for 1 when
    nothing was printed."""
    command = [program(), words[0], "--json", *words[1:]]
    try:
        done = subprocess.run(command, input=input, capture_output=True, check=False)
    except OSError as error:
        raise Error(f"{command[0]}: {error.strerror or error} (is corehss-tools installed?)") from error
    values = [json.loads(line) for line in done.stdout.splitlines() if line]
    if done.returncode not in (0, 1) or (done.returncode == 1 and not values):
        lines = done.stderr.decode(errors="replace").splitlines() or [f"ended with status {done.returncode}"]
        raise Error(lines[0], done.returncode if done.returncode in (1, 2) else None)
    return done.returncode, values

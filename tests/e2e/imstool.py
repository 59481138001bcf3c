"""imstool as a user has it: started with words, its output and exit status."""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("HSS_BIN", os.path.join(ROOT, "build", "dev", "bin"))
PROGRAM = os.path.join(BIN, "imstool")
TIMEOUT = float(os.environ.get("HSS_TEST_TIMEOUT", "60"))

sys.path.insert(0, os.path.join(ROOT, "tools", "python"))
os.environ["COREHSS_IMSTOOL"] = PROGRAM


def run(*words, input=None):
    """CompletedProcess with text; input may be text or octets."""
    if isinstance(input, str):
        input = input.encode()
    done = subprocess.run([PROGRAM, *words], input=input, capture_output=True, check=False, timeout=TIMEOUT)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    if "Sanitizer" in done.stderr or "runtime error" in done.stderr:
        raise AssertionError(done.stderr)
    return done


def rows(*words, input=None, status=0):
    """The JSON values that it prints with --json."""
    done = run(words[0], "--json", *words[1:], input=input)
    if done.returncode != status:
        raise AssertionError((words, done))
    return [json.loads(line) for line in done.stdout.splitlines()]

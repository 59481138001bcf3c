"""How the modules rtp, rtpengine and sip_digest run imstool: $COREHSS_IMSTOOL, or imstool of the PATH."""
import atexit
import json
import os
import subprocess
import threading

from corehss import Error


def program():
    return os.environ.get("COREHSS_IMSTOOL") or "imstool"


def _failed(error):
    return Error(f"{program()}: {error.strerror or error} (is corehss-tools installed?)")


def line(value):
    """A value as one line of JSON."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Error(f"not JSON: {error}", 2) from None


def run(words, input=b"", empty_is_no=False):
    """Runs imstool with --json. (status, what it printed, as a list of JSON values); Error for status 2, and for 1 when
    nothing was printed but a reason, or empty_is_no is not set."""
    try:
        done = subprocess.run([program(), words[0], "--json", *words[1:]], input=input, capture_output=True, check=False)
    except OSError as error:
        raise _failed(error) from error
    values = [json.loads(row) for row in done.stdout.splitlines() if row]
    reasons = done.stderr.decode(errors="replace").splitlines()
    said_no = done.returncode == 1 and (values or (empty_is_no and not reasons))
    if done.returncode != 0 and not said_no:
        raise Error(reasons[0] if reasons else f"imstool ended with status {done.returncode}",
                    done.returncode if done.returncode in (1, 2) else None)
    return done.returncode, values


class Helper:
    """An imstool that stays and answers each line with a line. Threads take turns; a forked process gets its own."""

    def __init__(self, words):
        self.words, self.process, self.owner = words, None, None
        self.lock = threading.Lock()
        atexit.register(self.close)

    def _start(self):
        if self.process and self.owner == os.getpid() and self.process.poll() is None:
            return
        self._end()
        try:
            self.process = subprocess.Popen([program(), *self.words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL)
        except OSError as error:
            raise _failed(error) from error
        self.owner = os.getpid()

    def ask(self, text):
        """The answer to one line. Error when imstool has ended."""
        with self.lock:
            self._start()
            try:
                self.process.stdin.write(text.encode() + b"\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline()
            except OSError:
                answer = b""
            if not answer.endswith(b"\n"):
                self._end()
                raise Error("imstool ended without an answer")
            return json.loads(answer)

    def _end(self):
        process, self.process = self.process, None
        if not process:
            return
        try:
            process.stdin.close()
        except OSError:
            pass  # it is gone already
        process.stdout.close()
        if self.owner == os.getpid():
            process.wait()
        else:
            process.returncode = 0  # another process's child: not ours to wait for

    def close(self):
        with self.lock:
            self._end()

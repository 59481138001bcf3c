"""RTPengine from Python, by its ng protocol: imstool ng as calls.

    from corehss.rtpengine import RTPengine
    engine = RTPengine("192.0.2.7", 2223)
    engine.ping()                                       # True
    for call_id in engine.list(limit=100):
        print(engine.query(call_id)["created"])
    answer = engine.offer("call-1", "from-tag-1", sdp, ICE="remove", flags=["trust-address"])
    print(answer["sdp"])
    engine.delete("call-1", "from-tag-1")

Answers are dicts as RTPengine sends them. An error of RTPengine's, and no answer, is a corehss.Error that says why.
"""
import json

from corehss import Error, _imstool

__all__ = ["RTPengine"]


class RTPengine:
    """One RTPengine. transport: udp, tcp or ws; format: bencode or json; timeout in seconds."""

    def __init__(self, host="127.0.0.1", port=2223, *, transport="udp", format="bencode", timeout=5):
        server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._words = ["ng", "--server", server, "--transport", transport, "--format", format, "--timeout-ms",
                       str(max(1, int(timeout * 1000)))]

    def command(self, command, **members):
        """Any command with any members; _ in a name stands for - (call_id, from_tag). Returns the answer."""
        words = [f"{name.replace('_', '-')}={self._text(value)}" for name, value in members.items() if value is not None]
        status, values = _imstool.run([*self._words, "--", command, *words])
        if status or not values:
            answer = values[0] if values else {}
            raise Error(f"{command}: {answer.get('error-reason') or answer.get('result') or 'no answer'}", status)
        return values[0]

    @staticmethod
    def _text(value):
        return json.dumps(value) if not isinstance(value, bytes) else json.dumps(value.decode())

    def ping(self):
        """True; Error when there is no answer."""
        return self.command("ping")["result"] == "pong"

    def list(self, limit=None):
        """The ids of the calls, at most `limit` (32)."""
        limits = ["--limit", str(limit)] if limit else []
        return [row["call-id"] for row in _imstool.run([*self._words, *limits, "list"])[1]]

    def query(self, call_id, from_tag=None, to_tag=None):
        """What RTPengine knows about a call. Error: there is none."""
        return self.command("query", call_id=call_id, from_tag=from_tag, to_tag=to_tag)

    def offer(self, call_id, from_tag, sdp, **members):
        """The answer, whose member sdp is what goes to the other side."""
        return self.command("offer", call_id=call_id, from_tag=from_tag, sdp=sdp, **members)

    def answer(self, call_id, from_tag, to_tag, sdp, **members):
        return self.command("answer", call_id=call_id, from_tag=from_tag, to_tag=to_tag, sdp=sdp, **members)

    def delete(self, call_id, from_tag=None, to_tag=None, **members):
        return self.command("delete", call_id=call_id, from_tag=from_tag, to_tag=to_tag, **members)

    def statistics(self):
        return self.command("statistics")["statistics"]

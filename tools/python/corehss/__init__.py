"""Subscribers of a running corehss, from Python: the operations of the library that came with NextEPC and Open5GS.

    from corehss import Open5GS                 # or NextEPC: the same class
    hss = Open5GS("127.0.0.1", 27017)           # accepted as that library had them; the admin socket is what counts
    hss.AddSubscriber({"imsi": "001010000000001", "security": {...}, "slice": [...]})
    for subscriber in hss.GetSubscribers():
        print(subscriber["imsi"])

The admin socket: the keyword socket=, or $COREHSS_SOCKET, or /run/corehss/admin.sock. Who may use hssctl may use this.
Documents are plain dicts of either generation of the schema (slice[].session[], or pdn[] of NextEPC). What was reported
as done is durable, in MongoDB too where that is the store. Errors are exceptions (Error) that say why.

Standard library only; Python 3.9 and later.
"""
import json
import os
import socket as _socket

__all__ = ["Error", "NextEPC", "ObjectId", "Open5GS"]

SOCKET = "/run/corehss/admin.sock"
REQUEST_MAX = 64 << 10  # octets of a request, as the HSS takes them


class Error(Exception):
    """The HSS refuses, or can't be reached: str() says why. status: 1 refused, 2 the request is wrong, None no answer."""

    def __init__(self, reason, status=None):
        super().__init__(reason)
        self.status = status


class ObjectId(str):
    """An _id of MongoDB as its 24 hex digits; written back as what it was."""


def _plain(value):
    """Extended JSON as Python values."""
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (kind, inner), = value.items()
        if isinstance(inner, str):
            if kind in ("$numberInt", "$numberLong"):
                return int(inner)
            if kind == "$numberDouble":
                return float(inner)
            if kind == "$oid":
                return ObjectId(inner)
    return {name: _plain(member) for name, member in value.items()}


def _extended(value):
    """Python values as JSON has them; also those of the bson package, which such scripts may use."""
    if isinstance(value, dict):
        return {str(name): _extended(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_extended(member) for member in value]
    if type(value).__name__ == "ObjectId":
        return {"$oid": str(value)}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise Error(f"a document can't hold {type(value).__name__}", 2)


def _id_of(document):
    """The document's _id. A store without MongoDB has none: then it is made of the IMSI, in the same 24 digits."""
    return document.get("_id") or ObjectId(document["imsi"].zfill(24))


class Open5GS:
    """The subscribers of one HSS. Each call is a connection of its own; objects may be shared between threads."""

    def __init__(self, host=None, port=None, *, socket=None, timeout=30):
        """host and port are those of the old library's database, and not looked at. timeout: seconds of silence."""
        self.host, self.port = host, port
        self.socket = socket or os.environ.get("COREHSS_SOCKET") or SOCKET
        self.timeout = timeout

    def AddSubscriber(self, sub_data):
        """Adds a subscriber; returns its _id. Error when it exists, or when something in the document is wrong."""
        document = _extended(sub_data)
        imsi = self._imsi(document.get("imsi"))
        document["imsi"] = imsi
        self._call("subscriber add", {"imsi": imsi, "document": document})
        return _id_of(self.GetSubscriber(imsi) or document)

    def GetSubscriber(self, imsi):
        """The document with its keys, and with the current SQN and location. None: there is no such subscriber."""
        try:
            rows = self._call("subscriber show", {"imsi": self._imsi(imsi), "secrets": True})
        except Error as error:
            if error.status == 1 and "no such subscriber" in str(error):
                return None
            raise
        return rows[0] if rows else None

    def GetSubscribers(self):
        """All documents, as GetSubscriber returns them."""
        return self._call("subscriber export", {})

    def UpdateSubscriber(self, imsi, sub_data):
        """Sets the given members of the document, each as a whole ("ambr"), or by a path ("ambr.downlink.value"); None
        removes a member. Returns True. Error when there is no such subscriber."""
        imsi = self._imsi(imsi)
        fields = _extended(sub_data)
        fields.pop("_id", None)
        if self._imsi(fields.pop("imsi", imsi)) != imsi:
            raise Error("imsi: a subscriber keeps it; add another one", 2)
        if fields:
            self._call("subscriber set", {"imsi": imsi, "fields": fields, "force": True})
        elif self.GetSubscriber(imsi) is None:
            raise Error("subscriber set: no such subscriber", 1)
        return True

    def DeleteSubscriber(self, imsi):
        """Deletes a subscriber; returns how many that were: 1, or 0 when there is none."""
        try:
            self._call("subscriber delete", {"imsi": self._imsi(imsi)})
        except Error as error:
            if error.status == 1 and "no such subscriber" in str(error):
                return 0
            raise
        return 1

    # --- the admin socket

    @staticmethod
    def _imsi(imsi):
        text = str(imsi) if isinstance(imsi, (str, int)) and not isinstance(imsi, bool) else ""
        if not text.isascii() or not text.isdigit() or not 5 <= len(text) <= 15:
            raise Error("imsi: expected 5 to 15 digits", 2)
        return text

    def _call(self, command, args):
        """The rows of the answer as plain Python values."""
        try:
            request = json.dumps({"cmd": command, "args": args}, allow_nan=False).encode() + b"\n"
        except ValueError as error:
            raise Error(f"{command}: {error}", 2) from None
        if len(request) > REQUEST_MAX:
            raise Error(f"{command}: a document above {REQUEST_MAX} octets", 2)
        try:
            with _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM) as connection:
                connection.settimeout(self.timeout)
                connection.connect(self.socket)
                connection.sendall(request)
                with connection.makefile("rb") as answer:
                    return self._rows(command, answer)
        except _socket.timeout:
            raise Error(f"{self.socket}: {command}: no answer for {self.timeout} s; it may have been done or not") from None
        except OSError as error:
            hint = " (is corehss running?)" if isinstance(error, (FileNotFoundError, ConnectionRefusedError)) else ""
            raise Error(f"{self.socket}: {error.strerror or error}{hint}") from error

    def _rows(self, command, answer):
        rows = []
        for line in answer:
            try:
                message = json.loads(line)
            except ValueError:
                raise Error(f"{self.socket}: {command}: an answer that can't be read") from None
            if "row" in message:
                row = _plain(message["row"])
                if isinstance(row, dict) and "imsi" in row:
                    row["_id"] = _id_of(row)
                rows.append(row)
                continue
            end = message.get("end", {})
            if end.get("status") != 0:
                raise Error(f"{command}: {end.get('error', 'refused')}", end.get("status"))
            return rows
        raise Error(f"{self.socket}: {command}: the connection was lost; it may have been done or not")


NextEPC = Open5GS  # its name before

"""MongoDB for end-to-end tests: servers, ways to break the connection, and documents as others write them.

    with MongoServer(oplog=True) as server:           # change streams; oplog=False: a standalone server
        server.collection().insert_one(webui(1))
        with Hss(config={"store": server.store()}) as hss:
            wait_live(hss)

MongoServer runs $MONGOD, or a mongod on PATH (alone, or as a replica set of one), else mongo-java-server, which
tests/mongo/get-server fetched; it says so. Proxy stands between and cuts, stalls or delays. ScriptedServer is our own,
for what no server does on demand: it keeps documents, and answers what a test tells it. Needs pymongo (and its bson).
"""
import copy
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import bson
import pymongo
from bson.int64 import Int64

import hss
from hss import K, OPC, ROOT

if os.environ.get("HSS_NO_MONGODB"):
    print("NOT RUN: no MongoDB server could be fetched, and there is no mongod")
    sys.exit(77)

JARS = os.path.join(ROOT, "build", "mongo-java-server")
DATABASE, COLLECTION = "open5gs", "subscribers"
SPACED_K = " ".join(K[i:i + 8] for i in range(0, 32, 8))
SPACED_OPC = " ".join(OPC[i:i + 8] for i in range(0, 32, 8))
TIMEOUT = hss.TIMEOUT


def mongod():
    """The real server to test with, or None."""
    return os.environ.get("MONGOD") or shutil.which("mongod")


def store_section(port, **more):
    return {"type": "mongodb", "uri": f"mongodb://127.0.0.1:{port}", "database": DATABASE, "collection": COLLECTION, **more}


def patient(store):
    """A configuration in which only a server that is away makes a 3004, not a machine that is busy."""
    wait_ms = 20000
    options = f"/?connectTimeoutMS={wait_ms}&socketTimeoutMS={wait_ms}"
    return {"store": {**store, "uri": store["uri"] + options}, "limits": {"request_timeout_ms": wait_ms}}


def client(port):
    return pymongo.MongoClient("127.0.0.1", port, retryWrites=False, serverSelectionTimeoutMS=int(TIMEOUT * 1000),
                               directConnection=True)


# --- servers


class MongoServer:
    """oplog: with change streams. file: what it acknowledged is there again after kill and restart (a mongod: always)."""
    told = set()

    def __init__(self, oplog=True, file=False, start=True):
        self.oplog = oplog
        self.dir = tempfile.mkdtemp(prefix="hss-mongo-")
        self.file = os.path.join(self.dir, "data.mv") if file else None
        self.port = hss.free_port()
        self.process = None
        self.pymongo = None
        kind = f"{mongod() or 'mongo-java-server'}, {'change streams' if oplog else 'standalone'}"
        if kind not in self.told:
            self.told.add(kind)
            print(f"MongoDB server: {kind}", flush=True)
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    def store(self, **more):
        """The section of the configuration."""
        return store_section(self.port, **more)

    def start(self):
        assert self.process is None
        with open(os.path.join(self.dir, "log"), "ab") as log:
            if mongod():
                args = [mongod(), "--dbpath", self.dir, "--port", str(self.port), "--bind_ip", "127.0.0.1",
                        *(["--replSet", "rs0"] if self.oplog else [])]
                self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                self._mongod_ready()
                return self
            if not os.path.exists(os.path.join(JARS, "TestServer.class")):
                raise hss.Failed("no mongod and no mongo-java-server: run tests/mongo/get-server")
            args = ["java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JARS}/*:{JARS}",
                    "TestServer", str(self.port), *(["--file", self.file] if self.file else []),
                    *(["--oplog"] if self.oplog else [])]
            self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        ready = select.select([self.process.stdout], [], [], TIMEOUT)[0] and self.process.stdout.readline()
        if not ready:
            raise hss.Failed(f"the MongoDB server does not start\n{self.log()}")
        return self

    def _mongod_ready(self):
        admin = self.client().admin
        admin.command("ping")
        if not self.oplog:
            return
        try:
            admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]})
        except pymongo.errors.OperationFailure as e:
            if e.code != 23:  # AlreadyInitialized
                raise
        deadline = time.monotonic() + TIMEOUT
        while not admin.command("isMaster")["ismaster"]:
            if time.monotonic() > deadline:
                raise hss.Failed(f"mongod does not become primary\n{self.log()}")
            select.select([], [], [], 0.05)

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()[-4000:]

    def client(self):
        if not self.pymongo:
            self.pymongo = client(self.port)
        return self.pymongo

    def collection(self, name=COLLECTION):
        return self.client()[DATABASE][name]

    def _end(self):
        if self.pymongo:
            self.pymongo.close()
            self.pymongo = None
        if self.process.stdin:
            self.process.stdin.close()
        if self.process.stdout:
            self.process.stdout.close()
        self.process.wait(TIMEOUT)
        self.process = None

    def stop(self):
        if self.process.stdin is None:
            self.process.terminate()
        self._end()

    def kill(self):
        """kill -9."""
        self.process.kill()
        self._end()

    def restart(self):
        if self.process:
            self.kill()
        return self.start()

    def close(self):
        if self.process:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


class Proxy:
    """A TCP proxy to 127.0.0.1:target. What it does can change at any time:

    delay_ms    each piece waits so long, each way          stall()      accepts, and forwards nothing any more
    cut()       every connection breaks, none is accepted   cut_after(n) breaks one connection after n more octets of
    resume()    as at the beginning                                      replies (requests=True: of requests), once
    """

    def __init__(self, target):
        self.target = target
        self.port = hss.free_port()
        self.lock = threading.Lock()
        self.pairs = set()
        self.stalled = False
        self.delay_ms = 0
        self.left = {"reply": None, "request": None}
        self.cuts = 0  # by cut_after
        self.accepted = 0
        self.forwarded = 0  # octets of replies
        self.listener = None
        self._listen()

    def store(self, **more):
        return store_section(self.port, **more)

    def _listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.accepted += 1
                pair = (near, far)
                self.pairs.add(pair)
                cut = self.listener is not listener  # meanwhile
            if cut:
                self._break(pair)
                continue
            for args in ((near, far, "request", pair), (far, near, "reply", pair)):
                threading.Thread(target=self._pump, args=args, daemon=True).start()

    def _pump(self, source, sink, what, pair):
        try:
            while True:
                some = source.recv(65536)
                if not some:
                    break
                if self.delay_ms:
                    time.sleep(self.delay_ms / 1000)
                while self.stalled:
                    time.sleep(0.01)
                with self.lock:
                    left = self.left[what]
                    if left is not None:
                        if len(some) >= left:
                            self.left[what] = None
                            self.cuts += 1
                            some, ending = some[:left], True
                        else:
                            self.left[what] = left - len(some)
                            ending = False
                    else:
                        ending = False
                sink.sendall(some)
                if what == "reply":
                    self.forwarded += len(some)
                if ending:
                    break
        except OSError:
            pass
        self._break(pair)

    def _break(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def cut(self, refuse=True):
        """refuse=False: those who connect again are let through."""
        if refuse and self.listener:
            with self.lock:
                listener, self.listener = self.listener, None
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self._break(pair)

    def cut_after(self, octets, requests=False):
        with self.lock:
            self.left["request" if requests else "reply"] = octets

    def stall(self):
        self.stalled = True

    def resume(self):
        self.stalled = False
        self.delay_ms = 0
        self.left = {"reply": None, "request": None}
        if not self.listener:
            self._listen()

    def close(self):
        self.cut()
        self.stalled = False

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


# --- a server of our own


def error(code, text="", **more):
    """The reply of a command that failed."""
    return {"ok": 0.0, "code": code, "errmsg": text or f"error {code} on demand", "codeName": f"Code{code}", **more}


def write_error(code, text="", n=0, index=0):
    """That of a bulk of which one operation failed."""
    return {"ok": 1.0, "n": n, "nModified": n, "writeErrors": [{"index": index, "code": code,
                                                              "errmsg": text or f"error {code} on demand"}]}


def concern_error(code, text="", n=1):
    return {"ok": 1.0, "n": n, "nModified": n, "writeConcernError": {"code": code, "errmsg": text or f"error {code}"}}


class Rule:
    def __init__(self, command, reply, times, when):
        self.command, self.reply, self.times, self.when = command, reply, times, when
        self.used = 0


class Slow:
    """A reply that waits for an event; other connections are answered meanwhile."""
    def __init__(self, until, reply):
        self.until, self.reply = until, reply


class ScriptedServer:
    """Keeps documents (`documents`, a list), answers find, aggregate, getMore, insert, update, delete, findAndModify well
    enough for our loader, and what it is told to: `on("update", error(10107), times=3)`. The reply may be a function of
    the command (None: as usual), a document, or CUT, which closes the connection. `emit` puts an event on the change
    streams. `seen` lists the commands."""
    CUT = object()

    def __init__(self, replica_set=True, streams=True):
        self.replica_set, self.streams = replica_set, streams
        self.documents = []
        self.events = []  # of the change stream; an event's token is its place
        self.first = 0  # events before this are forgotten
        self.rules = []
        self.seen = []
        self.cursors = {}
        self.next_cursor = 1000
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def store(self, **more):
        return store_section(self.port, **more)

    def on(self, command, reply, times=None, when=None):
        rule = Rule(command, reply, times, when)
        with self.changed:
            self.rules.append(rule)
        return rule

    def off(self, rule=None):
        with self.changed:
            self.rules = [r for r in self.rules if rule and r is not rule]

    def count(self, command):
        return sum(next(iter(c)) == command for c in list(self.seen))

    def document(self, imsi):
        with self.changed:
            return copy.deepcopy(next((d for d in self.documents if d.get("imsi") == imsi), None))

    # changes, each with its event, as a real server makes them

    def insert(self, document):
        document = {"_id": bson.ObjectId(), **document}
        with self.changed:
            self.documents.append(document)
        self.emit("insert", document)
        return document["_id"]

    def change(self, imsi, operation="update", **fields):
        """$set of top-level or dotted fields."""
        with self.changed:
            document = next(d for d in self.documents if d.get("imsi") == imsi)
            for path, value in fields.items():
                put(document, path, value)
        self.emit(operation, document, fields)

    def remove(self, imsi):
        with self.changed:
            document = next(d for d in self.documents if d.get("imsi") == imsi)
            self.documents.remove(document)
        self.emit("delete", document)

    def emit(self, operation, document=None, fields=None, **more):
        event = {"operationType": operation, "clusterTime": bson.Timestamp(1700000000, len(self.events) + 1),
                 "ns": {"db": DATABASE, "coll": COLLECTION}, **more}
        if document is not None:
            event["documentKey"] = {"_id": document["_id"]}
        if operation in ("insert", "replace", "update"):
            event.setdefault("fullDocument", copy.deepcopy(document))
        if operation == "update":
            event["updateDescription"] = {"updatedFields": fields or {}, "removedFields": []}
        with self.changed:
            event["_id"] = self._token(len(self.events) + 1)
            self.events.append(event)
            self.changed.notify_all()

    def lose_history(self):
        with self.changed:
            self.first = len(self.events)

    @staticmethod
    def _token(place):
        return {"_data": f"82{place:08X}"}

    # the wire

    def _accept(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except OSError:
                return
            self.sockets.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    @staticmethod
    def _read(s, n):
        out = b""
        while len(out) < n:
            some = s.recv(n - len(out))
            if not some:
                raise ConnectionError
            out += some
        return out

    def _serve(self, s):
        try:
            while True:
                length, number, _, opcode = struct.unpack("<iiii", self._read(s, 16))
                body = self._read(s, length - 16)
                if opcode == 2004:  # OP_QUERY, only for isMaster
                    at = body.index(b"\0", 4) + 1 + 8
                    reply = self._answer(bson.decode(body[at:at + struct.unpack_from("<i", body, at)[0]]))
                    data = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(reply)
                    s.sendall(struct.pack("<iiii", 16 + len(data), 0, number, 1) + data)
                    continue
                flags, command = self._op_msg(body)
                reply = self._answer(command)
                if reply is self.CUT:
                    break
                if not flags & 2:  # moreToCome: no answer is wanted
                    data = struct.pack("<iB", 0, 0) + bson.encode(reply)
                    s.sendall(struct.pack("<iiii", 16 + len(data), 0, number, 2013) + data)
        except (OSError, ValueError):
            pass
        self.sockets.discard(s)
        s.close()

    @staticmethod
    def _op_msg(body):
        flags = struct.unpack_from("<I", body)[0]
        end = len(body) - (4 if flags & 1 else 0)
        at, command, sequences = 4, {}, {}
        while at < end:
            kind = body[at]
            size = struct.unpack_from("<i", body, at + 1)[0]
            piece = body[at + 1:at + 1 + size]
            at += 1 + size
            if kind == 0:
                command = bson.decode(piece)
                continue
            name_end = piece.index(b"\0", 4)
            documents, p = [], name_end + 1
            while p < size:
                n = struct.unpack_from("<i", piece, p)[0]
                documents.append(bson.decode(piece[p:p + n]))
                p += n
            sequences[piece[4:name_end].decode()] = documents
        return flags, {**command, **sequences}

    def _answer(self, command):
        name = next(iter(command))
        with self.changed:
            self.seen.append(command)
            for rule in self.rules:
                if rule.command == name and (rule.times is None or rule.used < rule.times) and \
                        (rule.when is None or rule.when(command)):
                    reply = rule.reply(command) if callable(rule.reply) else rule.reply
                    if reply is not None:
                        rule.used += 1
                        break
            else:
                reply = None
        if reply is not None:
            if isinstance(reply, Slow):
                reply.until.wait(TIMEOUT)
                reply = reply.reply
            return reply
        handler = getattr(self, "do_" + name.lower(), None)
        if not handler:
            return error(59, f"no such command: '{name}'")
        reply = handler(command)
        reply.setdefault("ok", 1.0)
        if self.replica_set:
            reply.setdefault("operationTime", bson.Timestamp(1700000000, len(self.events)))
        return reply

    def do_ismaster(self, _command):
        me = f"127.0.0.1:{self.port}"
        reply = {"ismaster": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
                 "localTime": bson.datetime.datetime.now(), "minWireVersion": 0, "maxWireVersion": 9, "readOnly": False}
        if self.replica_set:
            reply.update(setName="rs0", setVersion=1, hosts=[me], primary=me, me=me, secondary=False)
        return reply

    do_hello = do_ismaster

    def do_ping(self, _command):
        return {}

    do_endsessions = do_ping

    def do_killcursors(self, command):
        for number in command["cursors"]:
            self.cursors.pop(number, None)
        return {"cursorsKilled": command["cursors"]}

    def do_buildinfo(self, _command):
        return {"version": "4.4.0", "versionArray": [4, 4, 0, 0]}

    def do_listindexes(self, command):
        return self._cursor(command, [{"v": 2, "key": {"_id": 1}, "name": "_id_"},
                                      {"v": 2, "key": {"imsi": 1}, "name": "imsi_1", "unique": True}])

    def do_listcollections(self, command):
        return self._cursor(command, [{"name": COLLECTION, "type": "collection"}])

    def do_count(self, command):
        with self.changed:
            return {"n": sum(matches(d, command.get("query", {})) for d in self.documents)}

    def _cursor(self, command, documents):
        size = command.get("batchSize") or command.get("cursor", {}).get("batchSize") or 101
        number = 0
        if len(documents) > size and not command.get("singleBatch"):
            number = self.next_cursor = self.next_cursor + 1
            self.cursors[number] = documents[size:]
        return {"cursor": {"id": Int64(number), "ns": f"{DATABASE}.{COLLECTION}", "firstBatch": documents[:size]}}

    def do_find(self, command):
        with self.changed:
            found = [copy.deepcopy(d) for d in self.documents if matches(d, command.get("filter", {}))]
            if command.get("sort"):
                key = next(iter(command["sort"]))
                found.sort(key=lambda d: d.get(key))
            found = found[:command.get("limit") or None]
            wanted = [k for k, v in command.get("projection", {}).items() if v]
            if wanted:
                found = [{k: v for k, v in d.items() if k in wanted or k == "_id"} for d in found]
            return self._cursor(command, found)

    def do_aggregate(self, command):
        stage = command["pipeline"][0] if command["pipeline"] else {}
        if "$changeStream" not in stage:
            with self.changed:
                if stage.get("$group") or any("$group" in s or "$count" in s for s in command["pipeline"]):
                    return self._cursor(command, [{"_id": 1, "n": len(self.documents)}])
                return self._cursor(command, copy.deepcopy(self.documents))
        if not self.streams:
            return error(40573, "The $changeStream stage is only supported on replica sets")
        options = stage["$changeStream"]
        with self.changed:
            place = len(self.events)
            token = options.get("resumeAfter") or options.get("startAfter")
            if token:
                place = int(token["_data"][2:], 16)
                if place < self.first:
                    return error(286, "Resume of change stream was not possible, as the resume point may no longer be in "
                                      "the oplog.", errorLabels=["NonResumableChangeStreamError"])
            elif options.get("startAtOperationTime"):
                place = min(place, max(options["startAtOperationTime"].inc, self.first))
            number = self.next_cursor = self.next_cursor + 1
            self.cursors[number] = place
            return {"cursor": {"id": Int64(number), "ns": f"{DATABASE}.{COLLECTION}", "firstBatch": [],
                               "postBatchResumeToken": self._token(place)}}

    def do_getmore(self, command):
        number = command["getMore"]
        with self.changed:
            if number not in self.cursors:
                return error(43, f"cursor id {number} not found")
            state = self.cursors[number]
            if isinstance(state, list):
                size = command.get("batchSize") or 1000
                batch, rest = state[:size], state[size:]
                self.cursors[number] = rest
                if not rest:
                    del self.cursors[number]
                return {"cursor": {"id": Int64(number if rest else 0), "ns": f"{DATABASE}.{COLLECTION}", "nextBatch": batch}}
            self.changed.wait_for(lambda: len(self.events) > state, command.get("maxTimeMS", 1000) / 1000)
            batch = self.events[state:state + 1000]
            self.cursors[number] = state + len(batch)
            closed = any(e["operationType"] == "invalidate" for e in batch)
            if closed:
                del self.cursors[number]
            return {"cursor": {"id": Int64(0 if closed else number), "ns": f"{DATABASE}.{COLLECTION}", "nextBatch": batch,
                               "postBatchResumeToken": self._token(state + len(batch))}}

    def do_insert(self, command):
        for document in command["documents"]:
            self.insert(document)
        return {"n": len(command["documents"])}

    def do_update(self, command):
        found = changed = 0
        upserted = []
        for index, update in enumerate(command["updates"]):
            with self.changed:
                document = next((d for d in self.documents if matches(d, update["q"])), None)
            if document is None:
                if update.get("upsert"):
                    document = {k: v for k, v in update["q"].items() if not k.startswith("$") and not isinstance(v, dict)}
                    apply(document, update["u"], inserting=True)
                    upserted.append({"index": index, "_id": self.insert(document)})
                    found += 1
                continue
            found += 1
            with self.changed:
                before = copy.deepcopy(document)
                apply(document, update["u"])
            if document != before:
                changed += 1
                self.emit("update", document, {"changed": True})
        reply = {"n": found, "nModified": changed}
        return {**reply, "upserted": upserted} if upserted else reply

    def do_delete(self, command):
        count = 0
        for delete in command["deletes"]:
            with self.changed:
                found = [d for d in self.documents if matches(d, delete["q"])]
            for document in found[:1] if delete.get("limit") else found:
                self.remove(document["imsi"])
                count += 1
        return {"n": count}

    def do_findandmodify(self, command):
        with self.changed:
            document = next((d for d in self.documents if matches(d, command["query"])), None)
            before = copy.deepcopy(document)
        if command.get("remove"):
            if document:
                self.remove(document["imsi"])
        elif document:
            with self.changed:
                apply(document, command["update"])
            if document != before:
                self.emit("update", document, {"changed": True})
        elif command.get("upsert"):
            document = {k: v for k, v in command["query"].items() if not isinstance(v, dict)}
            apply(document, command["update"], inserting=True)
            self.insert(document)
            document = self.document(document["imsi"])
            return {"value": document if command.get("new") else None,
                    "lastErrorObject": {"n": 1, "updatedExisting": False, "upserted": document["_id"]}}
        return {"value": copy.deepcopy(document) if command.get("new") else before,
                "lastErrorObject": {"n": int(document is not None), "updatedExisting": document is not None}}

    def cut(self):
        """Every connection breaks; new ones are welcome."""
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


MISSING = object()


def get(document, path):
    for name in path.split("."):
        if not isinstance(document, dict) or name not in document:
            return MISSING
        document = document[name]
    return document


def put(document, path, value):
    *parents, last = path.split(".")
    for name in parents:
        document = document.setdefault(name, {})
    document[last] = value


def unset(document, path):
    *parents, last = path.split(".")
    for name in parents:
        document = document.get(name, {})
    document.pop(last, None)


TYPES = {"double": float, "int": int, "long": Int64, "string": str, "bool": bool, "array": list, "object": dict,
         1: float, 2: str, 3: dict, 4: list, 8: bool, 16: int, 18: Int64}


def type_is(value, names):
    names = names if isinstance(names, list) else [names]
    if "number" in names and isinstance(value, (int, float)) and not isinstance(value, bool):
        return True
    return any(n in TYPES and type(value) is TYPES[n] for n in names)


def compares(value, operator, operand):
    if operator == "$exists":
        return (value is not MISSING) == bool(operand)
    if operator == "$type":
        return value is not MISSING and type_is(value, operand)
    if operator == "$ne":
        return value is MISSING or value != operand
    if operator == "$in":
        return (None if value is MISSING else value) in operand
    if operator == "$nin":
        return (None if value is MISSING else value) not in operand
    if operator == "$not":
        return not all(compares(value, *one) for one in operand.items())
    if value is MISSING or isinstance(value, (list, dict)) or type_is(value, "number") != type_is(operand, "number"):
        return False
    return {"$eq": value == operand, "$gt": value > operand, "$gte": value >= operand, "$lt": value < operand,
            "$lte": value <= operand}[operator]


def matches(document, query):
    for path, wanted in query.items():
        if path == "$or":
            ok = any(matches(document, q) for q in wanted)
        elif path == "$and":
            ok = all(matches(document, q) for q in wanted)
        elif isinstance(wanted, dict) and wanted and next(iter(wanted)).startswith("$"):
            ok = all(compares(get(document, path), *one) for one in wanted.items())
        else:
            value = get(document, path)
            ok = value == wanted or (value is MISSING and wanted is None)
        if not ok:
            return False
    return True


def apply(document, update, inserting=False):
    for operator, fields in update.items():
        for path, value in fields.items():
            old = get(document, path)
            if operator == "$set" or (operator == "$setOnInsert" and inserting):
                put(document, path, value)
            elif operator == "$unset":
                unset(document, path)
            elif operator == "$max" and (old is MISSING or old < value):
                put(document, path, value)
            elif operator == "$inc":
                put(document, path, value if old is MISSING else type(value)(old + value))
            elif operator not in ("$setOnInsert", "$max"):
                raise AssertionError(f"the scripted server knows no {operator}")


# --- documents


def rate(value=1, unit=3):
    return {"downlink": {"value": value, "unit": unit}, "uplink": {"value": value, "unit": unit}}


def webui(n, **more):
    """As the WebUI inserts subscriber n (hss.imsi): no SQN, empty arrays where hssd writes scalars, _id everywhere."""
    session = {"qos": {"arp": {"priority_level": 8, "pre_emption_capability": 1, "pre_emption_vulnerability": 1}, "index": 9},
               "ambr": rate(), "_id": bson.ObjectId(), "name": "internet", "type": 3, "pcc_rule": []}
    return {"ambr": rate(), "schema_version": 1, "msisdn": [], "imeisv": [], "mme_host": [], "mme_realm": [],
            "purge_flag": [], "access_restriction_data": 32, "subscriber_status": 0, "operator_determined_barring": 0,
            "network_access_mode": 0, "subscribed_rau_tau_timer": 12, "imsi": hss.imsi(n),
            "security": {"k": SPACED_K, "amf": "8000", "op": None, "opc": SPACED_OPC},
            "slice": [{"_id": bson.ObjectId(), "sst": 1, "default_indicator": True, "session": [session]}], "__v": 0, **more}


def dbctl(n, number=int, **more):
    """As open5gs-dbctl does; number=float: by way of the legacy shell, whose numbers are doubles."""
    speed = {"downlink": {"value": number(1000000000), "unit": number(0)},
             "uplink": {"value": number(1000000000), "unit": number(0)}}
    session = {"name": "internet", "type": number(3),
               "qos": {"index": number(9), "arp": {"priority_level": number(8), "pre_emption_capability": number(1),
                                                   "pre_emption_vulnerability": number(2)}},
               "ambr": copy.deepcopy(speed), "_id": bson.ObjectId(), "pcc_rule": []}
    return {"schema_version": number(1), "imsi": hss.imsi(n), "msisdn": [], "imeisv": [], "mme_host": [], "mm_realm": [],
            "purge_flag": [], "slice": [{"_id": bson.ObjectId(), "sst": number(1), "default_indicator": True,
                                         "session": [session]}],
            "security": {"k": K.lower(), "op": None, "opc": OPC.lower(), "amf": "8000"},
            "ambr": speed, "access_restriction_data": number(32), "network_access_mode": number(0),
            "subscriber_status": number(0), "operator_determined_barring": number(0),
            "subscribed_rau_tau_timer": number(12), "__v": number(0), **more}


def nextepc(n, **more):
    """Of the first generation of the schema, as its Python library's example has it."""
    return {"imsi": hss.imsi(n), "subscribed_rau_tau_timer": 12, "network_access_mode": 2, "subscriber_status": 0,
            "access_restriction_data": 32, "__v": 0, "ambr": {"downlink": 1024000, "uplink": 1024001},
            "security": {"k": SPACED_K, "amf": "8000", "op": None, "opc": SPACED_OPC},
            "pdn": [{"apn": "internet", "pcc_rule": [], "ambr": {"downlink": 1234, "uplink": 1234}, "type": 2,
                     "qos": {"qci": 9, "arp": {"priority_level": 8, "pre_emption_vulnerability": 1,
                                               "pre_emption_capability": 1}}}], **more}


def with_sqn(document, sqn):
    """None: as it is; an int becomes an int64, a float stays one."""
    if sqn is not None:
        document["security"]["sqn"] = Int64(sqn) if type(sqn) is int else sqn
    return document


# --- what the HSS says


def upstream(h):
    """What it says of MongoDB."""
    return h.ctl_json("store", "status")["upstream"]


def wait_upstream(h, condition, what, timeout=TIMEOUT):
    last = {}

    def look():
        last.clear()  # a member that is gone is gone
        last.update(upstream(h))
        return condition(last)
    try:
        h.until(look, what, timeout)
    except hss.Failed as e:
        raise hss.Failed(f"{last}\n{e}") from None
    return last


def wait_live(h, documents=None, timeout=TIMEOUT):
    """Until the feed is level with MongoDB (and knows so many documents)."""
    return wait_upstream(h, lambda u: u["state"] == "live" and documents in (None, u["documents"]),
                         f"live with {documents} documents", timeout)


def two_nodes(test, count, **server):
    """Two HSSs on one MongoDB with `count` subscribers, each behind a proxy of its own (`proxy`), live; closed
    when the test ends. Returns the server and the nodes."""
    database = MongoServer(**server)
    test.addCleanup(database.close)
    c = database.collection()
    c.create_index("imsi", unique=True)
    c.insert_many([with_sqn(webui(n), 65) for n in range(1, count + 1)])
    nodes = []
    for node in range(2):
        proxy = Proxy(database.port)
        test.addCleanup(proxy.close)
        h = hss.Hss(config={**patient(proxy.store(poll_interval_ms=200)),
                            "identity": {"host": f"hss0{node}.test", "realm": hss.REALM, "node_id": node}})
        h.proxy = proxy
        test.addCleanup(h.close)
        nodes.append(h)
    for h in nodes:
        wait_live(h, count)
    return database, nodes


def wait_written(h, timeout=TIMEOUT):
    """Until MongoDB has every location."""
    return wait_upstream(h, lambda u: u["outbox"] == 0, "the outbox is empty", timeout)


def served(h, n, case="attach", **options):
    """hss-load's report of one AIR (and ULR) of subscriber n."""
    return h.load(case, imsi=hss.imsi(n), subscribers=1, requests=1, k=K, opc=OPC, **options)

#!/usr/bin/env python3
"""A reward written in Python, served to Aha: `python3 reward_service.py --bind ipc:///tmp/my-rewards`.

It needs pyzmq and protobuf (Debian: python3-zmq, python3-protobuf) and protoc, which makes the messages
from proto/rewards.proto at the start. The contract is docs/reward_service.md: heartbeats are answered at
once, a request that comes again is answered again and scored once, and what goes wrong is a typed failure,
never a score.

Write your own by adding a function to REWARDS: completion, item and config in, a number out (or a pair of
number and reason). An exception is a CRASH failure; raise BadReference for a reference that cannot be read.
"""

import argparse
import collections
import importlib
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

import zmq

WIRE_VERSION = 1
MOST_REPLIES = 1024
MOST_REPLY_BYTES = 64 << 20
MOST_REQUESTS = 256


class BadReference(Exception):
    """The item's reference cannot be read: no fault of the completion."""


def vowels(completion, item, config):
    """Share of vowels among the letters of the completion."""
    letters = [c for c in completion.decode("utf-8", "replace").lower() if c.isalpha()]
    if not letters:
        return 0.0, "no_letters"
    return sum(c in "aeiou" for c in letters) / len(letters)


def length_near(completion, item, config):
    """1 at `reference` characters, less with every character away from it."""
    try:
        wanted = int(item.reference)
    except ValueError:
        raise BadReference(f"{item.reference!r} is no number") from None
    return 1.0 / (1 + abs(len(completion.decode("utf-8", "replace")) - wanted))


REWARDS = {"vowels": vowels, "length_near": length_near}


def load_messages():
    """Runs protoc on proto/rewards.proto beside this folder."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
    out = tempfile.mkdtemp(prefix="aha-reward-")
    subprocess.run(["protoc", f"--python_out={out}", f"-I{root}", "proto/rewards.proto"], check=True)
    sys.path.insert(0, out)
    return importlib.import_module("proto.rewards_pb2")


class Service:
    def __init__(self, socket, messages):
        self.socket = socket
        self.pb = messages
        self.open = {}  # request id: (fingerprint, routes)
        self.replies = collections.OrderedDict()  # request id: (fingerprint, bytes)
        self.reply_bytes = 0
        self.scored = self.failed = 0
        self.work = queue.Queue()
        self.done = queue.Queue()
        self.stopping = False

    # The thread that scores; the socket is never kept waiting.
    def score_all(self):
        while True:
            request, deadline = self.work.get()
            reply = self.pb.Envelope(wire_version=WIRE_VERSION)
            reply.score_reply.request_id = request.request_id
            for item in request.items:
                out = reply.score_reply.items.add(id=item.id)
                for spec in request.rewards:
                    self.score_one(spec, item, deadline, out.outcomes.add())
            self.done.put(reply)

    def score_one(self, spec, item, deadline, outcome):
        kinds = self.pb.Failure
        start = time.monotonic()

        def fail(kind, detail):
            outcome.failure.kind = kind
            outcome.failure.detail = detail

        reward = REWARDS.get(spec.name)
        if reward is None:
            fail(kinds.NO_SUCH_REWARD, f"no reward is named '{spec.name}'; known: {', '.join(sorted(REWARDS))}")
        elif spec.config:
            fail(kinds.BAD_CONFIG, f"{spec.name}: has no keys")
        elif start > deadline:
            fail(kinds.TIMEOUT, f"{spec.name}: not reached before the request's deadline")
        else:
            try:
                result = reward(item.completion, item, spec.config)
                score, reason = result if isinstance(result, tuple) else (result, "")
                if not math.isfinite(score):
                    fail(kinds.NOT_FINITE, f"{spec.name}: returned {score}")
                else:
                    outcome.score = score
                    if reason:
                        outcome.reason = reason
            except BadReference as error:
                fail(kinds.BAD_REFERENCE, str(error))
            except Exception as error:  # the edge of the service: a verifier's fault is a failure
                fail(kinds.CRASH, f"{spec.name}: {type(error).__name__}: {error}")
        outcome.ms = (time.monotonic() - start) * 1000

    def send(self, route, message):
        self.socket.send_multipart([*route, message if isinstance(message, bytes) else message.SerializeToString()])

    def refuse(self, route, kind, detail, request_id=None):
        envelope = self.pb.Envelope(wire_version=WIRE_VERSION)
        envelope.error.kind = kind
        envelope.error.detail = detail
        if request_id:
            envelope.error.request_id = request_id
        self.send(route, envelope)

    def handle(self, frames):
        errors = self.pb.ServiceError
        delimiter = len(frames) == 3 and not frames[1]
        route = frames[:2] if delimiter else frames[:1]
        if len(frames) != 2 and not delimiter:
            return self.refuse(route, errors.MALFORMED, f"a message is one frame, not {len(frames) - 1}")
        envelope = self.pb.Envelope()
        try:
            envelope.ParseFromString(frames[-1])
        except Exception:  # DecodeError, or text that is no UTF-8
            return self.refuse(route, errors.MALFORMED, "no Envelope of proto/rewards.proto")
        if envelope.wire_version != WIRE_VERSION:
            return self.refuse(route, errors.WRONG_VERSION, f"wire version {envelope.wire_version} was sent, this service speaks version {WIRE_VERSION}")
        body = envelope.WhichOneof("body")
        if body == "heartbeat":
            answer = self.pb.Envelope(wire_version=WIRE_VERSION)
            answer.heartbeat.sequence = envelope.heartbeat.sequence
            answer.heartbeat.queued = self.work.qsize()
            answer.heartbeat.scored = self.scored
            answer.heartbeat.failed = self.failed
            return self.send(route, answer)
        if body != "score_request":
            return self.refuse(route, errors.BAD_REQUEST, "only a score_request or a heartbeat can be answered")
        if self.stopping:
            return self.refuse(route, errors.STOPPING, "the service is stopping", envelope.score_request.request_id)
        self.accept(route, envelope.score_request)

    def accept(self, route, request):
        errors = self.pb.ServiceError
        name = request.request_id
        if not name or len(name.encode()) > 256:
            return self.refuse(route, errors.BAD_REQUEST, "request_id is missing or too long")
        asked = self.pb.ScoreRequest()
        asked.CopyFrom(request)
        asked.ClearField("deadline_ms")
        fingerprint = hash(asked.SerializeToString(deterministic=True))
        known = self.replies.get(name) or self.open.get(name)
        if known and known[0] != fingerprint:
            return self.refuse(route, errors.REUSED_ID, "this request_id was used for another request", name)
        if name in self.replies:
            return self.send(route, known[1])
        if name in self.open:
            if route not in known[1]:
                known[1].append(route)
            return
        if len(self.open) >= MOST_REQUESTS:
            return self.refuse(route, errors.BUSY, "the queue is full; send it again later", name)
        self.open[name] = (fingerprint, [route])
        self.work.put((request, time.monotonic() + (request.deadline_ms or 60000) / 1000))

    def reply(self, envelope):
        name = envelope.score_reply.request_id
        fingerprint, routes = self.open.pop(name)
        for item in envelope.score_reply.items:
            self.scored += 1
            self.failed += sum(outcome.HasField("failure") for outcome in item.outcomes)
        message = envelope.SerializeToString()
        for route in routes:
            self.send(route, message)
        self.replies[name] = (fingerprint, message)
        self.reply_bytes += len(message)
        while len(self.replies) > MOST_REPLIES or self.reply_bytes > MOST_REPLY_BYTES:
            self.reply_bytes -= len(self.replies.popitem(last=False)[1][1])

    def run(self):
        thread = threading.Thread(target=self.score_all, daemon=True)
        thread.start()
        while not self.stopping or self.open:
            while not self.done.empty():
                self.reply(self.done.get())
            if self.socket.poll(5):
                self.handle(self.socket.recv_multipart())


def main():
    parser = argparse.ArgumentParser(description="Serves Python rewards to Aha.")
    parser.add_argument("--bind", required=True, help="ipc://PATH or tcp://127.0.0.1:PORT")
    options = parser.parse_args()
    if options.bind.startswith("tcp://") and not options.bind.startswith(("tcp://127.", "tcp://[::1]")):
        parser.error("beyond this machine messages need CURVE keys, which this example does not set")
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.LINGER, 200)
    socket.setsockopt(zmq.MAXMSGSIZE, 256 << 20)
    socket.bind(options.bind)
    service = Service(socket, load_messages())

    def stop(signum, frame):
        service.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"rewards {', '.join(sorted(REWARDS))} at {options.bind}", flush=True)
    service.run()
    socket.close()
    context.term()


if __name__ == "__main__":
    main()

"""Writes corpus/wire: one message of each kind, and texts that the markup rules look at.

python3 tests/fuzz/make_wire_corpus.py (python3-protobuf 3.21, protoc 3.21; no random numbers)
"""

import os
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, os.pardir, os.pardir)
out = tempfile.mkdtemp()
subprocess.run(["protoc", f"--python_out={out}", f"-I{root}", "proto/rewards.proto"], check=True)
sys.path.insert(0, out)
from proto import rewards_pb2 as pb  # noqa: E402

folder = os.path.join(here, "corpus", "wire")
os.makedirs(folder, exist_ok=True)


def write(name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.SerializeToString(deterministic=True))


request = pb.Envelope(wire_version=1)
request.score_request.request_id = "a1b2-0-1"
for reward, config in (("format", ""), ("language", "no_words_score: 0.5"), ("overlength", "max_length: 100"), ("nothing", "")):
    request.score_request.rewards.add(name=reward, config=config)
request.score_request.items.add(id="7/0", prompt=b"What is 6 * 7?", completion="<think>six 是 42</think><answer>42</answer>".encode(), reference="42", language="en", tokens=21, truncated=False)
request.score_request.items.add(id="7/1", completion=b"\xff\xfe", reference='[{"kind":"punctuation:no_comma"}]', language="zh")
request.score_request.deadline_ms = 300
write("request", request)

reply = pb.Envelope(wire_version=1)
reply.score_reply.request_id = "a1b2-0-1"
item = reply.score_reply.items.add(id="7/0")
item.outcomes.add(score=1, ms=0.25, reason="x")
item.outcomes.add(failure=pb.Failure(kind=pb.Failure.TIMEOUT, detail="late"))
write("reply", reply)

write("heartbeat", pb.Envelope(wire_version=1, heartbeat=pb.Heartbeat(sequence=7)))
write("status", pb.Envelope(wire_version=1, status_request=pb.StatusRequest()))
write("error", pb.Envelope(wire_version=1, error=pb.ServiceError(request_id="x", detail="no", kind=1)))
write("version2", pb.Envelope(wire_version=2, heartbeat=pb.Heartbeat(sequence=7)))
write("prose", "<think>so $x^2$ and `code` and \\text{words}, https://a.example/b\n```python\nprint(1)\n```\n\\[ a \\] 然后</think>\n<answer>\\boxed{1\\,234}</answer>".encode())
write("open_fence", "Nous devons calculer.\n```\nthe rest is code $$ \\begin{align} x".encode())
write("kana", "まず、二つの数字を足します。ﾊﾝｶｸ ｆｕｌｌ \u0301\u0316".encode())

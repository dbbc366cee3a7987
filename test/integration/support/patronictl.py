"""Runs the real patronictl many times: Python starts and imports it once, and forks for each call.

Reads one JSON object per line ({"argv", "input", "env"}), answers with one per line ({"code",
"out", "err"}).
"""
import json
import os
import signal
import sys
import tempfile
import traceback

import patroni.config  # noqa: F401
import patroni.dcs.etcd3  # noqa: F401
import patroni.psycopg  # noqa: F401
from patroni.ctl import ctl
from patroni.version import __version__

DEADLINE_SECONDS = 20


def child(job, files):
    signal.alarm(DEADLINE_SECONDS)
    for number, file in enumerate(files):
        os.dup2(file.fileno(), number)
    os.lseek(0, 0, os.SEEK_SET)
    sys.stdin = open(0, closefd=False)
    os.environ.update(job["env"])
    sys.argv = ["/usr/bin/patronictl"] + job["argv"]
    code = 1
    try:
        ctl()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(job):
    files = [tempfile.TemporaryFile() for _ in range(3)]
    files[0].write(job["input"].encode())
    files[0].flush()
    pid = os.fork()
    if pid == 0:
        child(job, files)
    status = os.waitpid(pid, 0)[1]
    texts = []
    for file in files[1:]:
        file.seek(0)
        texts.append(file.read().decode("utf-8", "replace"))
        file.close()
    return {"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


print(json.dumps({"version": __version__}), flush=True)
while True:
    line = sys.stdin.readline()
    if not line:
        break
    print(json.dumps(run(json.loads(line))), flush=True)

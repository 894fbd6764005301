"""Listens at a path as systemd does for a socket unit: starts a program at a call, and again at one after it has ended.
usage: activate.py PATH PROGRAM [WORD]..."""
import os
import select
import socket
import sys

FIRST_PASSED = 3

path, words = sys.argv[1], sys.argv[2:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
os.chmod(path, 0o600)
listener.listen(4096)
print("listens", file=sys.stderr, flush=True)
while True:
    select.select([listener], [], [])
    child = os.fork()
    if child == 0:
        listener.set_inheritable(True)  # it may have that number already
        os.dup2(listener.fileno(), FIRST_PASSED)
        os.execvpe(words[0], words, {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
    print(f"has started {child}", file=sys.stderr, flush=True)
    _, status = os.waitpid(child, 0)
    print(f"{child} has ended with {os.waitstatus_to_exitcode(status)}", file=sys.stderr, flush=True)

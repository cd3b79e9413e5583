"""The floor: asks for the logs of a range as any client does, and throws the answers away.

python -m tests.benchmarks.pipeline.receive URL FIRST LAST BLOCKS
"""

import json
import socket
import sys
from urllib.parse import urlsplit

BUFFER = 1 << 20


def main() -> None:
    """Print how many bytes came."""
    url, first, last, blocks = urlsplit(sys.argv[1]), *map(int, sys.argv[2:5])
    buffer, received = memoryview(bytearray(BUFFER)), 0
    with socket.create_connection((url.hostname, url.port)) as connection:
        for start in range(first, last + 1, blocks):
            query = {"fromBlock": hex(start), "toBlock": hex(min(start + blocks - 1, last))}
            asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query]}
            body = json.dumps(asked).encode()
            connection.sendall(
                b"POST / HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (url.netloc.encode(), len(body), body)
            )
            received += answer(connection, buffer)
    sys.stdout.write(f"{received}\n")


def answer(connection: socket.socket, buffer: memoryview) -> int:
    """Read one response; the length of its body."""
    head = b""
    while (end := head.find(b"\r\n\r\n")) < 0:
        head += connection.recv(BUFFER)
    fields = head[:end].lower().split(b"content-length:")
    length = int(fields[1].split(b"\r\n")[0])
    left = length - (len(head) - end - 4)
    while left > 0:
        got = connection.recv_into(buffer, min(left, BUFFER))
        if not got:
            raise ConnectionError("the answer ended early")
        left -= got
    return length


if __name__ == "__main__":
    main()

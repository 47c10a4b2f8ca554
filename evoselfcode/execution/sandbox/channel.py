"""Messages between two processes: JSON, each with its length before it, one at a time."""
import json, os, select, struct, time
from kinds import MAX_MESSAGE, Malformed

MAX_PARTS = 5 << 20  # of a message: values and containers, each of which takes some fifty bytes once it is read


class Late(Exception):
    "Say that a message did not come in time."


class TooLarge(Exception):
    "Say that a message is more than the other side would take."


LENGTH = struct.Struct('>I')
SCAN = json.JSONDecoder().scan_once
QUOTE = json.encoder.encode_basestring_ascii
WRITE = json.encoder.c_make_encoder(None, None, QUOTE, None, ': ', ', ', False, False, True)


def too_many_parts(data: bytes) -> bool:
    "Whether a message would take too much memory once it is read."
    return len(data) > MAX_PARTS and sum(map(data.count, (b',', b'[', b'{'))) > MAX_PARTS


def framed(message: dict | list | str | bytes, dumps=WRITE, pack=LENGTH.pack) -> bytes:
    "A message as bytes: its length in four bytes, and JSON; or a text, as `as_bytes` gives it, if that is expected."
    data = message if type(message) is bytes else ''.join(dumps(message, 0)).encode()
    if len(data) > MAX_MESSAGE: raise TooLarge(f'{len(data):,} bytes, of {MAX_MESSAGE:,} that can cross')
    if type(message) is not bytes and too_many_parts(data): raise TooLarge(f'more than {MAX_PARTS:,} parts')
    return pack(len(data)) + data


class Channel:
    "Exchange messages over a stream socket, one at a time: who has asked waits for the answer."
    def __init__(self, fd: int, trusted: bool = False):  # trusted: what comes may have any number of parts
        self.fd = fd
        self.inbox = b''
        self.framed = framed
        self.trusted = trusted
        self.parse = SCAN
        self.read = os.read
        self.write = os.write
        self.unpack = LENGTH.unpack

    def send(self, message: dict | list | str | bytes) -> None:
        "Send a message. Raises TooLarge, and EOFError when the other side has hung up."
        data = self.framed(message)
        try:
            while (sent := self.write(self.fd, data)) < len(data): data = memoryview(data)[sent:]
        except (BrokenPipeError, ConnectionResetError): raise EOFError from None

    def receive(self, text: bool = False, until: float | None = None) -> object:
        """Wait for a message, JSON or a `text`; `until`: a time of the monotonic clock.

        Raises EOFError when the other side has hung up, `Malformed` for no message, `Late` for one that is not whole
        by then."""
        data = self.inbox
        while len(data) < 4: data = self.more(data, until)
        size, = self.unpack(data[:4])
        if size > MAX_MESSAGE: raise Malformed(f'a message of {size:,} bytes')
        if len(data) < 4 + size:
            data = bytearray(data)  # grows in place
            while len(data) < 4 + size: data = self.more(data, until)
        body, self.inbox = bytes(data[4:4 + size]), bytes(data[4 + size:])
        if text: return body.decode('utf-8', 'surrogatepass')
        if not self.trusted and too_many_parts(body): raise Malformed(f'a message of more than {MAX_PARTS:,} parts')
        try: message, end = self.parse(said := body.decode(), 0)
        except (ValueError, StopIteration, RecursionError): raise Malformed('a message that is not JSON') from None
        if end != len(said): raise Malformed('a message that is more than JSON')
        return message

    def more(self, data: bytes | bytearray, until: float | None) -> bytes | bytearray:
        "Read what has come, after what is there; raises `Late` and EOFError."
        if until is not None:
            (waiting := select.poll()).register(self.fd, select.POLLIN)
            if not waiting.poll(max(0, 1000 * (until - time.monotonic()))): raise Late
        try: part = self.read(self.fd, 1 << 16)
        except ConnectionResetError: raise EOFError from None
        if not part: raise EOFError
        data += part
        return data

"""Read one HTTP/1.1 answer from bytes, however they are cut. No I/O: a connection feeds it."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from farthing.gateway.upstream import Lost, TimedOut

HEAD_BYTES_MAX = 65_536


class AnswerReader:
    """One answer while it arrives.

    Whoever waits looks at head_complete, buffered_bytes, complete and failure, in that order: what came
    before a failure is still worth reading. A method named on_… is called by the parser.

    reusable: whether the connection may carry another request once the answer is complete.
    """

    __slots__ = (
        "_bytes_without_body",
        "_informational",
        "_parser",
        "_pieces",
        "_until_end_of_input",
        "buffered_bytes",
        "complete",
        "failure",
        "head_complete",
        "headers",
        "reusable",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.head_complete = False
        self.buffered_bytes = 0
        self.complete = False
        self.failure: Lost | TimedOut | None = None
        self.reusable = False
        self._pieces: list[bytes] = []
        self._informational = False
        self._until_end_of_input = False
        self._bytes_without_body = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        parser = self._parser
        if parser is None:
            return
        self._bytes_without_body += len(data)
        try:
            parser.feed_data(data)
        except HttpParserError as error:
            self._unreadable(str(error))
        except HttpParserUpgrade:
            self._unreadable("it switches to another protocol")
        if self.complete:
            self._parser = None  # parser and reader know each other: nothing else would free them soon
        elif self._bytes_without_body > HEAD_BYTES_MAX:
            # A head, trailers or chunk extensions without end.
            self._unreadable(f"more than {HEAD_BYTES_MAX} bytes came without any of the body")

    def feed_end(self) -> None:
        """Take note that the provider has closed its side in an orderly way."""
        if self._until_end_of_input and self.failure is None:
            self.complete = True
            self._parser = None
        elif self.head_complete:
            self.fail(Lost("the answer broke off before its end"))
        else:
            self.fail(Lost("the connection was closed before an answer"))

    def fail(self, failure: Lost | TimedOut) -> None:
        """Give up what is not complete; the first reason counts."""
        if not self.complete and self.failure is None:
            self.failure = failure
            self._parser = None

    def take(self) -> bytes:
        """Hand over all of the body that has arrived and was not yet taken."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered_bytes = 0
        return data

    def header(self, name: bytes) -> str:
        """The value of a header by its name in small letters; empty where there is none."""
        return next((value.decode("latin-1") for known, value in self.headers if known == name), "")

    def _unreadable(self, reason: str) -> None:
        if self.complete:
            self.reusable = False  # the answer is whole; what follows it is not to be trusted
        else:
            self.fail(Lost(f"the provider's answer cannot be read: {reason}"))

    # ── what the parser says ────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        """Notice a message that nobody asked for."""
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are passed over."""
        if not self.head_complete:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Learn the status, and how the body's end will be known."""
        if self.head_complete or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._informational = True
            self.headers.clear()
            return
        self.status = status
        if self._bytes_without_body > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX:
            self._unreadable(f"its head is longer than {HEAD_BYTES_MAX} bytes")
            return
        encodings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if encodings and (len(encodings) > 1 or encodings[0].lower() != b"chunked"):
            self._unreadable("it has a transfer-encoding that nobody asked for")
            return
        framed = encodings or any(name == b"content-length" for name, _ in self.headers)
        self._until_end_of_input = not framed and status not in (204, 304)
        self.reusable = self._parser.should_keep_alive()
        self.head_complete = True

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if self.failure is None and not self.complete:
            self._bytes_without_body = 0
            self._pieces.append(data)
            self.buffered_bytes += len(data)

    def on_message_complete(self) -> None:
        """Know the end, unless it was the end of an informational answer before the real one."""
        if self._informational:
            self._informational = False
        elif self.failure is None:
            self.complete = True

    def _head_bytes(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers)

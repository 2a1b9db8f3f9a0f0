"""A TCP proxy that misbehaves on request: cuts, tears, delays, falls silent, turns callers away, and
stops at a word of the conversation. Of ZeroMQ's conversations it can also lose a whole message.

One event loop in a thread of its own; the methods may be called from any thread."""
import asyncio
import threading


class Messages:
    """One direction of a ZMTP 3 connection, cut into whole messages: a greeting of 64 bytes, which
    either side says piece by piece as the other answers, then frames. A message is every frame up
    to one that says there is no more of it."""

    GREETING = 64
    MORE, LONG, COMMAND = 1, 2, 4

    def __init__(self):
        self.bytes = bytearray()
        self.greeting = self.GREETING  # bytes of it to come
        self.needed = 1                # bytes, before the next look is worth while

    def _end(self):
        """Where the first message ends, and whether it is a command; None when it is not all here."""
        at, more = 0, True
        while more:
            header = 9 if at < len(self.bytes) and self.bytes[at] & self.LONG else 2
            if len(self.bytes) < at + header:
                self.needed = at + header
                return None
            flags = self.bytes[at]
            more = flags & self.MORE
            at += header + int.from_bytes(self.bytes[at + 1:at + header], "big")
        self.needed = at
        return (at, flags & self.COMMAND) if len(self.bytes) >= at else None

    def feed(self, piece):
        """Pairs of bytes to pass on and whether they are a message that could be lost."""
        said, piece = piece[:self.greeting], piece[self.greeting:]
        self.greeting -= len(said)
        yield said, False
        self.bytes += piece
        while len(self.bytes) >= self.needed and (end := self._end()):
            yield bytes(self.bytes[:end[0]]), not end[1]
            del self.bytes[:end[0]]
            self.needed = 1


class Proxy:
    """Passes what comes to `port` on to `target`, both on the loopback."""

    def __init__(self, port, target, messages=False):
        """messages: the conversation is ZeroMQ's."""
        self.port, self.target = port, target
        self.links = []          # pairs of writers, one pair a connection, oldest first
        self.delay = 0.0         # seconds that each piece is held back
        self.silent = False      # pieces are held back until this ends
        self.refusing = False    # new connections are closed at once
        self.tear = False        # the next piece is passed on in half, then its link is cut
        self.messages = messages
        self.lose = {True: 0, False: 0}  # that many messages of the callers, of the far side
        self.deaf = False        # what the far side says is held back until this ends
        self.words = []          # of callers, one a piece and in this order; with the last one
        self.held = "silent"     # begins this, or "deaf", which that piece still passes
        self.lost = 0            # messages so far
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._call(self._listen())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=10)

    async def _listen(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader, writer):
        if self.refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        link = (writer, far_writer)
        self.links.append(link)
        await asyncio.gather(self._pass_on(reader, far_writer, link, called=True),
                             self._pass_on(far_reader, writer, link, called=False))

    def _listen_for_words(self, piece):
        if self.words and self.words[0] in piece:
            del self.words[0]
            if not self.words:
                setattr(self, self.held, True)

    def _kept(self, messages, piece, called):
        """What is left of a piece when messages are lost."""
        kept = bytearray()
        for part, losable in messages.feed(piece):
            if losable and self.lose[called]:
                self.lose[called] -= 1
                self.lost += 1
            else:
                kept += part
        return bytes(kept)

    async def _pass_on(self, reader, writer, link, called):
        messages = Messages() if self.messages else None
        try:
            while piece := await reader.read(1 << 16):
                if messages:
                    piece = self._kept(messages, piece, called)
                if called:
                    self._listen_for_words(piece)
                if self.delay:
                    await asyncio.sleep(self.delay)
                while self.silent or (self.deaf and not called):
                    await asyncio.sleep(0.02)
                if self.tear and len(piece) > 1:
                    self.tear = False
                    writer.write(piece[:len(piece) // 2])
                    break
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        await asyncio.sleep(0.01)  # what was written goes out
        self._abort(link)

    def _abort(self, link):
        if link in self.links:
            self.links.remove(link)
        for writer in link:
            writer.transport.abort()

    async def _cut(self, which):
        links = list(self.links) if which is None else \
            [self.links[which % len(self.links)]] if self.links else []
        for link in links:
            self._abort(link)
        return len(links)

    def cut(self, which=None):
        """Ends one connection, by number, or all of them; how many that were."""
        return self._call(self._cut(which))

    def stop_at(self, held, *words):
        self.held, self.words = held, [word.encode() for word in words]

    def heal(self):
        self.words = []
        self.lose = {True: 0, False: 0}
        self.delay, self.silent, self.refusing, self.tear, self.deaf = 0.0, False, False, False, False

    async def _stop(self):
        self.server.close()
        self.heal()
        await self._cut(None)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=5)

    def close(self):
        self._call(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=10)

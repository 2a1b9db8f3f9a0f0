"""A TCP proxy that misbehaves on request: cuts, tears, delays, falls silent, turns callers away, and
stops at a word of the conversation.

One event loop in a thread of its own; the methods may be called from any thread."""
import asyncio
import threading


class Proxy:
    """Passes what comes to `port` on to `target`, both on the loopback."""

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.links = []          # pairs of writers, one pair a connection, oldest first
        self.delay = 0.0         # seconds that each piece is held back
        self.silent = False      # pieces are held back until this ends
        self.refusing = False    # new connections are closed at once
        self.tear = False        # the next piece is passed on in half, then its link is cut
        self.deaf = False        # what the far side says is held back until this ends
        self.words = []          # of callers, one a piece and in this order; with the last one
        self.held = "silent"     # begins this, or "deaf", which that piece still passes
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

    async def _pass_on(self, reader, writer, link, called):
        try:
            while piece := await reader.read(1 << 16):
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

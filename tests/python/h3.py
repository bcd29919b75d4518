"""A client of HTTP/3 on aioquic. It is told what to do by lines of JSON, and says in lines of JSON what came of it.

Every command has a number, `id`, which its answer has, too; commands run side by side. `connect` makes a connection that
later commands name by the number of that command, as `on`.
"""

import asyncio
import hashlib
import json
import os
import socket
import ssl
import sys

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import NEW_CONNECTION_ID_FRAME_CAPACITY, QuicConnection, QuicConnectionId
from aioquic.quic.packet import QuicFrameType

# Longer bodies are told by their length and digest alone.
SHOWN_BYTES_MAX = 1 << 16
# What is handed to the connection at a time.
PIECE_BYTES = 1 << 16


def pattern(length):
    """The pattern of the harness: byte i is i modulo 251."""
    period = bytes(range(251))
    return (period * (length // 251 + 1))[:length]


class Http(H3Connection):
    """As aioquic has it, but that an answer to HEAD has no body, whatever length it says (RFC 9110, section 8.6)."""

    heads = frozenset()

    def _check_content_length(self, stream):
        if stream.stream_id not in self.heads:
            super()._check_content_length(stream)


class Quic(QuicConnection):
    """As aioquic has it, but that each id of its own may retire all before it (RFC 9000, section 19.15)."""

    retires = False

    def _write_new_connection_id_frame(self, builder, connection_id):
        frame = builder.start_frame(QuicFrameType.NEW_CONNECTION_ID, capacity=NEW_CONNECTION_ID_FRAME_CAPACITY,
                                    handler=self._on_new_connection_id_delivery, handler_args=(connection_id,))
        frame.push_uint_var(connection_id.sequence_number)
        frame.push_uint_var(connection_id.sequence_number if self.retires else 0)
        frame.push_uint8(len(connection_id.cid))
        frame.push_bytes(connection_id.cid)
        frame.push_bytes(connection_id.stateless_reset_token)
        connection_id.was_sent = True


class Exchange:
    """A request's stream."""

    def __init__(self):
        self.answer = {"interim": [], "hints": [], "status": None, "headers": [], "trailers": [], "reset": None, "stopped": None}
        self.length = 0
        self.digest = hashlib.sha256()
        self.body = b""
        self.ended = asyncio.Event()
        self.grown = asyncio.Event()

    def headers(self, fields):
        fields = [[name.decode(), value.decode("latin-1")] for name, value in fields]
        if fields and fields[0][0] == ":status" and self.answer["status"] is None:
            status = int(fields[0][1])
            if status < 200:
                self.answer["interim"].append(status)
                self.answer["hints"].append(fields[1:])
            else:
                self.answer["status"] = status
                self.answer["headers"] = fields[1:]
        else:
            self.answer["trailers"] = fields
        self.grown.set()

    def data(self, data):
        self.length += len(data)
        self.digest.update(data)
        if self.length <= SHOWN_BYTES_MAX:
            self.body += data
        self.grown.set()

    def told(self):
        shown = self.body.hex() if self.length <= SHOWN_BYTES_MAX else None
        return {**self.answer, "length": self.length, "sha256": self.digest.hexdigest(), "body": shown,
                "ended": self.ended.is_set()}


class Client(QuicConnectionProtocol):
    """A connection."""

    def __init__(self, quic, address, raw):
        super().__init__(quic)
        self.address = address
        self.http = None if raw else Http(quic)
        self.exchanges = {}
        self.streams = {}
        self.closed = None
        self.is_done = False
        self.goaway = []
        self.changed = asyncio.Condition()
        self.control = {}
        self.is_deaf = False
        self.sent = []
        self.tickets = []
        self.tokens = []

    def datagram_received(self, data, addr):
        if not self.is_deaf:
            super().datagram_received(data, addr)

    def quic_event_received(self, event):
        if isinstance(event, events.ConnectionTerminated):
            self.closed = {"code": event.error_code, "reason": event.reason_phrase}
            for exchange in self.exchanges.values():
                exchange.ended.set()
                exchange.grown.set()
        elif isinstance(event, events.HandshakeCompleted):
            self.is_done = True
        elif isinstance(event, events.StreamReset):
            self.stream(event.stream_id)["reset"] = event.error_code
            if event.stream_id in self.exchanges:
                self.exchanges[event.stream_id].answer["reset"] = event.error_code
                self.exchanges[event.stream_id].ended.set()
                self.exchanges[event.stream_id].grown.set()
        elif isinstance(event, events.StopSendingReceived):
            self.stream(event.stream_id)["stopped"] = event.error_code
            if event.stream_id in self.exchanges:
                self.exchanges[event.stream_id].answer["stopped"] = event.error_code
                self.exchanges[event.stream_id].grown.set()
        elif isinstance(event, events.StreamDataReceived):
            stream = self.stream(event.stream_id)
            stream["data"] += event.data.hex()[: SHOWN_BYTES_MAX - len(stream["data"])]
            stream["fin"] |= event.end_stream
            if event.stream_id % 4 == 3:
                self.one_way(event.stream_id, event.data)
        if self.http is not None:
            for event in self.http.handle_event(event):
                self.http_event(event)
        asyncio.ensure_future(self.tell())

    def transmit(self):
        """As aioquic has it, but that nothing is forgotten as long as nothing is heard."""
        if self.is_deaf:
            plain = self._transport
            self._transport = Kept(plain, self.sent)
            super().transmit()
            self._transport = plain
        else:
            super().transmit()

    def keep(self, ticket):
        self.tickets.append(ticket)
        asyncio.ensure_future(self.tell())

    def keep_token(self, token):
        self.tokens.append(token)
        asyncio.ensure_future(self.tell())

    async def tell(self):
        async with self.changed:
            self.changed.notify_all()

    def stream(self, number):
        return self.streams.setdefault(str(number), {"data": "", "fin": False, "reset": None, "stopped": None})

    def one_way(self, number, data):
        """Reads GOAWAY frames of the control stream, which aioquic's own HTTP keeps to itself."""
        held = self.control.get(number, b"") + data
        if held[:1] == b"\x00":
            at = 1
            while True:
                kind, at_length = integer(held, at)
                length, at_payload = integer(held, at_length) if kind is not None else (None, 0)
                if length is None or at_payload + length > len(held):
                    break
                if kind == 0x7:
                    self.goaway.append(integer(held, at_payload)[0])
                at = at_payload + length
            held = b"\x00" + held[at:]
        self.control[number] = held

    def http_event(self, event):
        exchange = self.exchanges.get(getattr(event, "stream_id", None))
        if exchange is None:
            return
        if isinstance(event, HeadersReceived):
            exchange.headers(event.headers)
        elif isinstance(event, DataReceived):
            exchange.data(event.data)
        if event.stream_ended:
            exchange.ended.set()
            exchange.grown.set()

    async def rebind(self, source):
        """Goes on from another port, as behind a router that forgot this client, or from another address."""
        client = self

        class Other(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                client.datagram_received(data, addr)

        before = self._transport
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Other, sock=bound(self.address, source))
        self._transport = transport
        before.close()
        return transport.get_extra_info("sockname")[1]


class Kept:
    """Keeps what is sent."""

    def __init__(self, transport, sent):
        self.transport, self.sent = transport, sent

    def sendto(self, data, address=None):
        self.sent.append(data)
        self.transport.sendto(data, address)


def integer(data, at):
    if at is None or at >= len(data):
        return None, None
    length = 1 << (data[at] >> 6)
    if at + length > len(data):
        return None, None
    return int.from_bytes(data[at : at + length], "big") & ((1 << (8 * length - 2)) - 1), at + length


def bound(address, source=None):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((source or "127.0.0.1", 0))
    return sock


def configuration(command):
    made = QuicConfiguration(is_client=True, alpn_protocols=command.get("alpn", ["h3"]),
                             server_name=command.get("host", "www.example.test"))
    if "ca" in command:
        made.load_verify_locations(cafile=command["ca"])
    else:
        made.verify_mode = ssl.CERT_NONE
    if "certificate" in command:
        made.load_cert_chain(command["certificate"], command["key"])
    for name in ("max_data", "max_stream_data", "idle_timeout"):
        if name in command:
            setattr(made, name, command[name])
    return made


class Commands:
    def __init__(self):
        self.clients = {}

    def client(self, command):
        return self.clients[command["on"]]

    async def connect(self, command):
        """With `resume` goes on with a session of another connection, without waiting for anything: what is asked goes out at
        once, and nothing is read until `hear`."""
        address = ("127.0.0.1", command["port"])
        made = configuration(command)
        if "resume" in command:
            before = self.clients[command["resume"]]
            async with before.changed:
                await before.changed.wait_for(lambda: before.closed or before.tickets)
            made.session_ticket = before.tickets.pop(0)
            if command.get("token", True):
                async with before.changed:
                    await before.changed.wait_for(lambda: before.closed or before.tokens)
                made.token = before.tokens.pop(0)
            if command.get("forge"):
                made.session_ticket.max_early_data_size = 0xFFFFFFFF
        client = None
        quic = Quic(configuration=made, session_ticket_handler=lambda ticket: client.keep(ticket),
                              token_handler=lambda token: client.keep_token(token))
        loop = asyncio.get_running_loop()
        sock = bound(address, command.get("source"))
        _, client = await loop.create_datagram_endpoint(
            lambda: Client(quic, address, command.get("raw", False)), sock=sock)
        self.clients[command["id"]] = client
        client.is_deaf = "resume" in command
        client.connect(address)
        if client.is_deaf:
            return {"connected": None, "closed": None}
        return await self.connected({"on": command["id"]})

    async def connected(self, command):
        """Waits for the end of the handshake."""
        client = self.client(command)
        async with client.changed:
            await client.changed.wait_for(lambda: client.closed or client.is_done)
        if not client.is_done:
            return {"connected": False, "closed": client.closed}
        quic = client._quic
        return {"connected": True, "closed": None, "retried": bool(quic._retry_source_connection_id),
                "early": quic.tls.early_data_accepted}

    async def hear(self, command):
        """From now on reads what comes."""
        self.client(command).is_deaf = False
        return {}

    async def replay(self, command):
        """Sends once more, as somebody else, all that a client has sent that heard nothing."""
        client = self.client(command)
        sock = bound(client.address)
        for data in client.sent:
            sock.sendto(data, client.address)
        sock.close()
        return {"count": len(client.sent)}

    async def request(self, command):
        """A whole request, or the beginning of one; waits for its end, for so much of its body, or for nothing."""
        client = self.client(command)
        number = client._quic.get_next_available_stream_id()
        exchange = client.exchanges[number] = Exchange()
        fields = [(name.encode(), value.encode("latin-1")) for name, value in command["fields"]]
        body = pattern(command["pattern"]) if "pattern" in command else bytes.fromhex(command.get("body", ""))
        trailers = [(name.encode(), value.encode()) for name, value in command.get("trailers", [])]
        goes_on = command.get("goes_on", False)
        if (b":method", b"HEAD") in fields:
            client.http.heads |= {number}
        client.http.send_headers(number, fields, end_stream=not body and not trailers and not goes_on)
        at = 0
        while at < len(body) and not exchange.ended.is_set() and exchange.answer["stopped"] is None:
            piece = body[at : at + PIECE_BYTES]
            at += len(piece)
            client.http.send_data(number, piece, at == len(body) and not trailers and not goes_on)
            client.transmit()
            # Not to have all of it in memory twice.
            await asyncio.sleep(0)
        if trailers:
            client.http.send_headers(number, trailers, end_stream=True)
        client.transmit()
        wait = command.get("wait", "end")
        if wait == "end":
            await exchange.ended.wait()
        elif wait is not None:
            while exchange.length < wait and not exchange.ended.is_set():
                exchange.grown.clear()
                await exchange.grown.wait()
        return {"stream": number, **exchange.told(), "closed": client.closed}

    async def send(self, command):
        client = self.client(command)
        body = pattern(command["pattern"]) if "pattern" in command else bytes.fromhex(command.get("body", ""))
        client.http.send_data(command["stream"], body, command.get("fin", False))
        client.transmit()
        return {}

    async def answer(self, command):
        client = self.client(command)
        exchange = client.exchanges[command["stream"]]
        await exchange.ended.wait()
        return {"stream": command["stream"], **exchange.told(), "closed": client.closed}

    async def interim(self, command):
        """Waits for an interim answer, or the end."""
        exchange = self.client(command).exchanges[command["stream"]]
        while not exchange.answer["interim"] and not exchange.ended.is_set():
            exchange.grown.clear()
            await exchange.grown.wait()
        return {"stream": command["stream"], **exchange.told()}

    async def until(self, command):
        """Waits for the head of an answer and so much of what follows it, or the end."""
        exchange = self.client(command).exchanges[command["stream"]]
        while not exchange.ended.is_set() and (
                exchange.answer["status"] is None or exchange.length < command.get("bytes", 0)):
            exchange.grown.clear()
            await exchange.grown.wait()
        return {"stream": command["stream"], **exchange.told()}

    async def settings(self, command):
        """Waits for the host's settings."""
        client = self.client(command)
        async with client.changed:
            await client.changed.wait_for(lambda: client.closed or client.http.received_settings is not None)
        return {"settings": {str(int(name)): value for name, value in client.http.received_settings.items()}}

    async def stopped(self, command):
        """Waits until the host asks to send no more of a stream, or the connection has ended."""
        client = self.client(command)
        async with client.changed:
            await client.changed.wait_for(
                lambda: client.closed or client.stream(command["stream"])["stopped"] is not None)
        return client.stream(command["stream"])

    async def cancel(self, command):
        client = self.client(command)
        client._quic.stop_stream(command["stream"], 0x10C)
        if command.get("reset", True):
            client._quic.reset_stream(command["stream"], 0x10C)
        client.transmit()
        return {}

    async def rebind(self, command):
        return {"port": await self.client(command).rebind(command.get("source"))}

    async def deaf(self, command):
        """From now on nothing is read, and nothing is taken."""
        self.client(command).is_deaf = True
        return {}

    async def ids(self, command):
        """Gives so many ids of its own, a few at a time, which may retire those before them."""
        client = self.client(command)
        quic = client._quic
        quic.retires = command.get("retire", False)
        # Whatever it hears, it goes on.
        quic._loss._cc.congestion_window = 1 << 30
        for number in range(command["count"]):
            quic._host_cids.append(QuicConnectionId(cid=os.urandom(8), sequence_number=quic._host_cid_seq,
                                                    stateless_reset_token=os.urandom(16), was_sent=False))
            quic._host_cid_seq += 1
            if number % 4 == 0:
                client.transmit()
                await asyncio.sleep(0)
        client.transmit()
        return {}

    async def ping(self, command):
        await self.client(command).ping()
        return {}

    async def goaway(self, command):
        client = self.client(command)
        async with client.changed:
            await client.changed.wait_for(lambda: client.closed or len(client.goaway) >= command["count"])
        return {"goaway": client.goaway, "closed": client.closed}

    async def closed(self, command):
        client = self.client(command)
        await client.wait_closed()
        return {"closed": client.closed, "goaway": client.goaway}

    async def close(self, command):
        client = self.client(command)
        client.close(error_code=0x100)
        await client.wait_closed()
        return {}

    async def bytes(self, command):
        """Sends bytes on streams as they are, and waits until the connection or one of these streams has ended."""
        client = self.client(command)
        for stream in command["streams"]:
            number = stream["stream"]
            client._quic.send_stream_data(number, bytes.fromhex(stream["bytes"]), stream.get("fin", False))
            if "reset" in stream:
                client.transmit()
                client._quic.reset_stream(number, stream["reset"])
        client.transmit()
        until = str(command.get("until", 0))

        def is_over():
            stream = client.stream(until)
            return client.closed or stream["fin"] or stream["reset"] is not None

        async with client.changed:
            await client.changed.wait_for(is_over)
        return {"closed": client.closed, **client.stream(until)}

    async def initials(self, command):
        """Sends the first packets of so many connections, from a port each, and never anything more. Says how many bytes
        went out and came back."""
        address = ("127.0.0.1", command["port"])
        loop = asyncio.get_running_loop()
        sent = came = retries = most = 0
        socks = []
        for _ in range(command["count"]):
            quic = QuicConnection(configuration=configuration(command))
            quic.connect(address, now=loop.time())
            sock = bound(address)
            mine = 0
            for data, _ in quic.datagrams_to_send(now=loop.time()):
                sock.sendto(data, address)
                mine += len(data)
            sent += mine
            socks.append((sock, mine))
            if len(socks) % 16 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(command.get("seconds", 1))
        for sock, mine in socks:
            own = 0
            while True:
                try:
                    data = sock.recv(65536)
                except BlockingIOError:
                    break
                own += len(data)
                # RFC 9000, section 17.2.5.
                retries += data[0] & 0xF0 == 0xF0
            came += own
            most = max(most, own / mine)
            sock.close()
        return {"sent": sent, "came": came, "retries": retries, "most": most}


async def main():
    commands = Commands()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks = set()

    async def run(command):
        try:
            answer = await getattr(commands, command["do"])(command)
        except Exception as error:  # The test is to say what went wrong, not this.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": command["id"], **answer}), flush=True)

    while line := await lines.readline():
        task = asyncio.ensure_future(run(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())

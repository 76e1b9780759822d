"""An HTTP/1.1 server on asyncio's streams that says what it got, and one of http.server that answers early and leaves.

Arguments: port, or `rude` port status.
"""

import asyncio
import hashlib
import http.server
import sys

OURS = ("traceparent:", "x-request-id:", "x-b3-")


async def read_body(reader, headers):
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    return body


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").split("\r\n")[:-2]
            lines = [line for line in lines if not line.lower().startswith(OURS)]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            if headers.get("expect") == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await read_body(reader, headers)
            shown = [line for line in lines if not line.lower().startswith("host:")]
            text = "\n".join([*shown, f"{len(body)} {hashlib.sha256(body).hexdigest()}", ""]).encode("latin-1")
            length = f"HTTP/1.1 200 OK\r\nX-Case: Kept\r\nContent-Length: {len(text)}\r\n\r\n".encode()
            writer.write(length if lines[0].startswith("HEAD") else length + text)
            await writer.drain()
            if headers.get("connection") == "close":
                break
    except asyncio.IncompleteReadError:
        pass
    finally:
        writer.close()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


class Rude(http.server.BaseHTTPRequestHandler):
    """Answers a PUT without reading its body and closes: what is unread then resets the connection."""

    def do_PUT(self):
        self.send_response(int(sys.argv[3]))
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"no\n")

    def log_message(self, *_):
        pass


if sys.argv[1] == "rude":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Rude).serve_forever()
else:
    asyncio.run(main(int(sys.argv[1])))

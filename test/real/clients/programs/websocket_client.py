"""Sends messages of all sizes to an echo server, one fragmented, a ping between, and closes with a code. Argument: port."""

import asyncio
import sys

import websockets


async def main():
    async with websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/echo", max_size=1 << 23) as socket:
        for size in (0, 1, 125, 126, 65535, 65536, 3 << 20):
            for message in ("x" * size, bytes(n & 255 for n in range(size))):
                await socket.send(message)
                assert await socket.recv() == message
            print(size, "bytes back")
            await (await socket.ping())
        await socket.send(["in ", "three ", "parts"])
        print(await socket.recv())
        await socket.close(4001, "enough")
        print("closed", socket.close_code, socket.close_reason)


asyncio.run(main())

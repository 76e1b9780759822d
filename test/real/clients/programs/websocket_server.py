"""A WebSocket server on 127.0.0.1 that sends back what it gets. Argument: port."""

import asyncio
import sys

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=1 << 23):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())

#!/usr/bin/env python3
"""An echo server as asyncio's documentation has it: server_asyncio.py PORT [uvloop]"""

import asyncio
import sys


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    except ConnectionError:
        writer.close()


async def main(port):
    server = await asyncio.start_server(echo, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    if "uvloop" in sys.argv[2:]:
        import uvloop
        uvloop.install()
    asyncio.run(main(int(sys.argv[1])))

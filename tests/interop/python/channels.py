"""Owns the checks of channels: binary and text, more than one frame, both directions."""

import asyncio

from iii.helpers import create_channel_async

from .kit import check, same

PATTERN = bytes(n % 251 for n in range(300_000))


def texts_of(reader):
    """The texts that come before the binary data."""
    texts = []
    reader.on_message(texts.append)
    return texts


@check("channels/read")
def _(kit):
    # The function reads what the caller writes.
    async def sink(data):
        texts = texts_of(data["from"])
        body = await data["from"].read_all()
        return {"bytes": len(body), "intact": body == PATTERN[:len(body)], "texts": texts}

    kit.serve("py::sink", sink)

    async def send(body, texts):
        channel = await create_channel_async(kit.two)
        answer = asyncio.ensure_future(kit.two.trigger_async({
            "function_id": "py::sink", "payload": {"from": channel.reader_ref.model_dump()}}))
        for text in texts:
            await channel.writer.send_message_async(text)
        await channel.writer.write(body)
        await channel.writer.close_async()
        return await answer

    same(asyncio.run(send(PATTERN[:10], [])), {"bytes": 10, "intact": True, "texts": []})
    same(asyncio.run(send(PATTERN, ["one", "zwei", "ü"])),
         {"bytes": 300_000, "intact": True, "texts": ["one", "zwei", "ü"]})


@check("channels/write")
def _(kit):
    # The caller reads what the function writes.
    async def source(data):
        await data["nested"]["into"].send_message_async("first")
        await data["nested"]["into"].write(PATTERN)
        await data["nested"]["into"].close_async()
        return "written"

    kit.serve("py::source", source)

    async def receive():
        channel = await create_channel_async(kit.two, 4)
        texts = texts_of(channel.reader)
        answer = asyncio.ensure_future(kit.two.trigger_async({
            "function_id": "py::source", "payload": {"nested": {"into": channel.writer_ref.model_dump()}}}))
        body = await channel.reader.read_all()
        return await answer, body == PATTERN, texts

    same(asyncio.run(receive()), ("written", True, ["first"]))


@check("channels/both-ways")
def _(kit):
    # One call with two channels: what comes in goes out again, chunk by chunk.
    async def pipe(data):
        async for chunk in data["from"]:
            await data["into"].write(chunk)
        await data["into"].close_async()

    kit.serve("py::pipe", pipe)

    async def through():
        there, back = await create_channel_async(kit.two), await create_channel_async(kit.two)
        answer = asyncio.ensure_future(kit.two.trigger_async({"function_id": "py::pipe", "payload": {
            "from": there.reader_ref.model_dump(), "into": back.writer_ref.model_dump()}}))

        async def write():
            for _ in range(10):
                await there.writer.write(PATTERN)
            await there.writer.close_async()

        body, _ = await asyncio.gather(back.reader.read_all(), write())
        await answer
        return body == PATTERN * 10

    same(asyncio.run(through()), True)

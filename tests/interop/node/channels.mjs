/** Owns the checks of channels: binary and text, more than one frame, both directions. */

import assert from 'node:assert/strict'
import { pipeline } from 'node:stream/promises'
import { check, createChannel, same } from './kit.mjs'

export const PATTERN = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, n) => n % 251))

/** Everything of a channel: the texts and the bytes. */
export async function readAll(reader) {
  const texts = []
  reader.onMessage((text) => texts.push(text))
  return [await reader.readAll(), texts]
}

check('channels/read', async (kit) => {
  // The function reads what the caller writes.
  await kit.serve('node::sink', async ({ from }) => {
    const [body, texts] = await readAll(from)
    return { bytes: body.length, intact: body.equals(PATTERN.subarray(0, body.length)), texts }
  })
  for (const [size, texts] of [[10, []], [300_000, ['one', 'zwei', 'ü']]]) {
    const { writer, readerRef } = await createChannel(kit.two)
    const answer = kit.call('node::sink', { from: readerRef })
    for (const text of texts) writer.sendMessage(text)
    writer.stream.end(PATTERN.subarray(0, size))
    same(await answer, { bytes: size, intact: true, texts })
  }
})

check('channels/write', async (kit) => {
  // The caller reads what the function writes.
  await kit.serve('node::source', async ({ nested: { into } }) => {
    into.sendMessage('first')
    into.stream.end(PATTERN)
    return 'written'
  })
  const { reader, writerRef } = await createChannel(kit.two, 4)
  const answer = kit.call('node::source', { nested: { into: writerRef } })
  const [body, texts] = await readAll(reader)
  assert(body.equals(PATTERN))
  same([await answer, texts], ['written', ['first']])
})

check('channels/both-ways', async (kit) => {
  // One call with two channels: what comes in goes out again, chunk by chunk.
  await kit.serve('node::pipe', async ({ from, into }) => {
    await pipeline(from.stream, into.stream)
  })
  const there = await createChannel(kit.two)
  const back = await createChannel(kit.two)
  const answer = kit.call('node::pipe', { from: there.readerRef, into: back.writerRef })
  for (let n = 0; n < 10; n++) there.writer.stream.write(PATTERN)
  there.writer.stream.end()
  const body = await back.reader.readAll()
  await answer
  assert(body.equals(Buffer.concat(Array(10).fill(PATTERN))))
})

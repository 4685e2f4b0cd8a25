/** Owns the server for the mixed run: what each of the four workers offers, here in Node. */

import { once } from 'node:events'
import { PATTERN, readAll } from './channels.mjs'
import { TriggerAction, call, connect, createStream } from './kit.mjs'
import { Shelf } from './stores.mjs'
import { Bell } from './triggers.mjs'

export async function serve() {
  const worker = connect('node-server')
  const heard = []

  /** A function that remembers what it gets, and what it is bound to. */
  function hears(function_id, kind, bindings = []) {
    worker.registerFunction(function_id, async (data) => void heard.push([kind, data]))
    for (const [type, config] of bindings) worker.registerTrigger({ type, function_id, config })
  }

  hears('note::node', 'job')
  hears('news::node', 'news', [['subscribe', { topic: 'mixed.news' }]])
  hears('order::node', 'order', [['durable:subscriber', { topic: 'mixed.orders' }]])
  hears('changed::node', 'state', [['state', { scope: 'mixed' }]])
  const streams = ['mixed', 'shelf-python', 'shelf-node', 'shelf-rust']
  hears('item::node', 'item', streams.map((stream_name) => ['stream', { stream_name }]))
  const bells = ['bell-python', 'bell-node', 'bell-rust']
  hears('rung::node', 'rung', bells.map((bell) => [bell, { tune: 'node' }]))
  worker.registerFunction('heard::node', async (wanted) =>
    heard.filter(([kind]) => kind === wanted.kind).map(([, data]) => data),
  )

  worker.registerFunction('relay::node', async ({ route: [next, ...route] }) => {
    if (next === undefined) return { by: ['node'] }
    return { by: ['node', ...(await call(worker, next, { route })).by] }
  })
  worker.registerFunction('do::node', ({ function_id, payload, queue }) =>
    call(worker, function_id, payload, { action: queue ? TriggerAction.Enqueue({ queue }) : undefined }),
  )

  worker.registerFunction('echo::node', async ({ text }) => ({ text }))

  worker.registerFunction('source::node', async ({ into, texts }) => {
    for (const text of texts) into.sendMessage(text)
    into.stream.end(PATTERN)
  })
  worker.registerFunction('pipe::node', async ({ from, into }) => {
    from.onMessage((text) => into.sendMessage(text))
    for await (const chunk of from.stream) {
      if (!into.stream.write(chunk)) await once(into.stream, 'drain')
    }
    into.stream.end()
  })
  worker.registerFunction('sink::node', async ({ from }) => {
    const [body, texts] = await readAll(from)
    return { intact: body.equals(PATTERN), texts }
  })

  const bell = new Bell(worker)
  worker.registerTriggerType({ id: 'bell-node', description: 'Rings.' }, bell)
  worker.registerFunction('ring::node', ({ data }) => bell.ring(data))
  createStream(worker, 'shelf-node', new Shelf())
  worker.registerFunction('alive::node', async () => ({ status_code: 200, body: 'node' }))
  worker.registerTrigger({ type: 'http', function_id: 'alive::node', config: { api_path: '/alive/node' } })
  console.log('serving node')
  await new Promise(() => setInterval(() => {}, 60_000))
}

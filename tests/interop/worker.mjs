// The official Node SDK against the embedded engine: `worker.mjs scenario` or `worker.mjs serve`.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import process from 'node:process'

// The package lives in the cache folder of run.sh, not beside this file.
const require = createRequire(`${process.env.INTEROP_NODE}/package.json`)
const { registerWorker, InvocationError } = await import(pathToFileURL(require.resolve('iii-sdk')))

const url = process.env.III_URL
const http = process.env.INTEROP_HTTP
const DEADLINE = 20_000

const connect = (workerName) => registerWorker(url, { workerName, otel: { enabled: false } })
const call = (worker, function_id, payload, more = {}) => worker.trigger({ function_id, payload, ...more })
const ok = (name) => console.log(`ok node ${name}`)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits for a condition; a function that is not there yet counts as no. */
async function until(what, condition) {
  const end = Date.now() + DEADLINE
  for (;;) {
    try {
      const found = await condition()
      if (found) return found
    } catch (error) {
      if (!(error instanceof InvocationError && error.code === 'function_not_found')) throw error
    }
    assert(Date.now() < end, `waited for ${what}`)
    await pause(20)
  }
}

async function refused(code, promise) {
  const error = await promise.then(
    (found) => assert.fail(`expected ${code}, got ${JSON.stringify(found)}`),
    (error) => error,
  )
  assert(error instanceof InvocationError, String(error))
  assert.equal(error.code, code)
  return error
}

async function scenario() {
  const one = connect('node-one')
  const two = connect('node-two')
  const heard = []
  const ticks = []
  const changes = []

  one.registerFunction('node::plain', async ({ a, b }) => ({ sum: a + b }), { description: 'Adds.' })
  one.registerFunction('node::later', async ({ n }) => {
    await pause(10)
    return { later: (await call(one, 'node::twice', { n })).n }
  })
  one.registerFunction('node::fails', async () => {
    throw new Error('no such thing')
  })
  one.registerFunction('node::item', async (request) => ({
    status_code: 201,
    headers: { 'x-from': 'node' },
    body: { id: request.path_params.id, q: request.query_params.q },
  }))
  one.registerFunction('node::heard', async (data) => void heard.push(data))
  one.registerFunction('node::tick', async (data) => void ticks.push(data))
  one.registerFunction('node::changed', async (data) => void changes.push(data))
  two.registerFunction('node::twice', async ({ n }) => ({ n: 2 * n }))

  assert.deepEqual(await until('the function', () => call(two, 'node::plain', { a: 1, b: 2 })), { sum: 3 })
  ok('a plain function')
  await until('the other function', () => call(one, 'node::twice', { n: 0 }))
  assert.deepEqual(await call(two, 'node::later', { n: 21 }), { later: 42 })
  ok('an async function that calls back')

  const order = await call(two, 'orders::create', { sku: 'tea', quantity: 2 })
  assert.deepEqual([order.sku, order.quantity], ['tea', 2])
  assert.deepEqual(await call(two, 'orders::get', { id: order.id }), order)
  await refused('orders/not-found', call(two, 'orders::get', { id: 999999 }))
  await refused('invalid_payload', call(two, 'orders::create', { sku: 'tea' }))
  await refused('function_not_found', call(two, 'node::nothing', {}))
  ok('functions of the quickstart and their error codes')

  const error = await refused('invocation_failed', call(two, 'node::fails', {}))
  assert.match(error.message, /no such thing/)
  ok('an error of a handler')

  // No payload at all: the field is missing on the wire.
  one.registerFunction('node::echo', async (data) => ({ got: data }))
  await until('the echo', () => call(two, 'node::echo', 1))
  assert.deepEqual(await call(two, 'node::echo', undefined), { got: null })
  ok('a call without data')

  one.registerTrigger({
    type: 'http',
    function_id: 'node::item',
    config: { api_path: '/node/items/:id', http_method: 'GET' },
  })
  const answer = await until('the route', async () => {
    const answer = await fetch(`${http}/node/items/7?q=x`)
    return answer.status !== 404 && answer
  })
  assert.deepEqual([answer.status, answer.headers.get('x-from')], [201, 'node'])
  assert.deepEqual(await answer.json(), { id: '7', q: 'x' })
  ok('an http trigger with a path parameter')

  one.registerTrigger({ type: 'subscribe', function_id: 'node::heard', config: { topic: 'node.news' } })
  await until('the message', async () => {
    await call(two, 'publish', { topic: 'node.news', data: { n: 1 } })
    return heard.length
  })
  assert.deepEqual(heard[0], { n: 1 })
  ok('subscribe and publish')

  one.registerTrigger({ type: 'state', function_id: 'node::changed', config: { scope: 'node' } })
  await until('the binding', async () => {
    await call(two, 'state::set', { scope: 'node', key: 'probe', value: Date.now() })
    return changes.length
  })
  const place = { scope: 'node', key: 'k' }
  assert.equal((await call(two, 'state::get', place)) ?? null, null)
  const set = await call(two, 'state::set', { ...place, value: { n: 1 } })
  assert.deepEqual(set, { old_value: null, new_value: { n: 1 } })
  const ops = [
    { type: 'increment', path: 'n', by: 4 },
    { type: 'set', path: 's', value: 'x' },
  ]
  const updated = await call(two, 'state::update', { ...place, ops })
  assert.deepEqual(updated.new_value, { n: 5, s: 'x' })
  assert.deepEqual(await call(two, 'state::get', place), { n: 5, s: 'x' })
  assert.deepEqual(await call(two, 'state::delete', place), { n: 5, s: 'x' })
  for (const kind of ['created', 'updated', 'deleted']) {
    const told = (event) => event.key === 'k' && event.event_type === `state:${kind}`
    await until(kind, () => changes.find(told))
  }
  ok('state and its trigger')

  const tick = one.registerTrigger({
    type: 'cron',
    function_id: 'node::tick',
    config: { expression: '* * * * * *' },
    metadata: { k: 1 },
  })
  await until('a tick', () => ticks.length)
  assert.equal(ticks[0].trigger, 'cron')
  tick.unregister()
  ok('cron')

  const bindings = new Map()
  two.registerTrigger({ type: 'node-bell', function_id: 'node::heard', config: { tune: 'ding' } })
  one.registerTriggerType(
    { id: 'node-bell', description: 'Rings.' },
    {
      registerTrigger: async (config) => void bindings.set(config.id, config),
      unregisterTrigger: async (config) => void bindings.delete(config.id),
    },
  )
  await until('the binding', () => bindings.size === 1)
  const [bound] = bindings.values()
  assert.deepEqual([bound.function_id, bound.config], ['node::heard', { tune: 'ding' }])
  await call(one, bound.function_id, { rang: 1 })
  await until('the ring', () => heard.some((item) => item.rang === 1))
  const second = two.registerTrigger({ type: 'node-bell', function_id: 'node::heard', config: { tune: 'dong' } })
  await until('a second binding', () => bindings.size === 2)
  second.unregister()
  await until('its end', () => bindings.size === 1)
  ok('a trigger type of its own')

  await two.shutdown()
  await one.shutdown()
  ok('a proper end')
}

async function serve() {
  const worker = connect('node-server')
  worker.registerFunction('relay::node', async ({ route: [next, ...route] }) => {
    if (next === undefined) {
      return { by: ['node'], order: await call(worker, 'orders::create', { sku: 'node', quantity: 1 }) }
    }
    const answer = await call(worker, next, { route })
    return { by: ['node', ...answer.by], order: answer.order }
  })
  worker.registerFunction('alive::node', async () => ({ status_code: 200, body: 'node' }))
  worker.registerTrigger({ type: 'http', function_id: 'alive::node', config: { api_path: '/alive/node' } })
  console.log('serving node')
  await new Promise(() => setInterval(() => {}, 60_000))
}

await { scenario, serve }[process.argv[2]]()
process.exit(0)

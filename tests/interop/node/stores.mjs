/** Owns the checks of state, streams with their WebSocket, and configuration. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { STREAMS, WebSocket, check, createStream, same } from './kit.mjs'

// Every operation, on a value with a number, a text, a list and an object; and what becomes of it.
const START = { n: 1, t: 'a', l: [1], o: { x: 1 }, gone: 1 }
const OPS = [
  { type: 'set', path: 's', value: 'x' },
  { type: 'increment', path: 'n', by: 4 },
  { type: 'decrement', path: 'n', by: 2 },
  { type: 'append', path: 't', value: 'b' },
  { type: 'append', path: ['l'], value: 2 },
  { type: 'merge', path: ['o', 'deep'], value: { y: 2 } },
  { type: 'merge', value: { top: true } },
  { type: 'remove', path: 'gone' },
]
const END = { n: 3, t: 'ab', l: [1, 2], o: { x: 1, deep: { y: 2 } }, s: 'x', top: true }
// Operations that cannot be done, around one that can.
const BAD_OPS = [
  { type: 'increment', path: 't', by: 1 },
  { type: 'merge', path: 'o', value: 7 },
  { type: 'set', path: 'fine', value: 1 },
  { type: 'append', path: 'o', value: 1 },
]
const ERRORS = [[0, 'increment.not_number'], [1, 'merge.value.not_an_object'], [3, 'append.type_mismatch']]

/** All operations through one function. */
async function checkUpdate(set, update) {
  await set(START)
  same(await update(OPS), { old_value: START, new_value: END })
  const { errors, new_value } = await update(BAD_OPS)
  same(errors.map(({ op_index, code }) => [op_index, code]), ERRORS)
  same(new_value, { ...END, fine: 1 })
}

check('state/values', async (kit) => {
  const place = { scope: 'node', key: 'k' }
  // No value is `undefined` here.
  assert((await kit.call('state::get', place)) == null)
  same(await kit.call('state::set', { ...place, value: { n: 1 } }), { old_value: null, new_value: { n: 1 } })
  same(await kit.call('state::set', { ...place, value: [2] }), { old_value: { n: 1 }, new_value: [2] })
  same(await kit.call('state::get', place), [2])
  same(await kit.call('state::delete', place), [2])
  assert((await kit.call('state::delete', place)) == null)
})

check('state/lists', async (kit) => {
  const scope = 'node-list'
  for (const key of ['a', 'b']) await kit.call('state::set', { scope, key, value: key })
  same(await kit.call('state::list', { scope }), ['a', 'b'])
  assert((await kit.call('state::list_groups', {})).groups.includes(scope))
})

check('state/update', async (kit) => {
  const place = { scope: 'node', key: 'ops' }
  await checkUpdate(
    (value) => kit.call('state::set', { ...place, value }),
    (ops) => kit.call('state::update', { ...place, ops }),
  )
  const ops = [{ type: 'increment', path: 'n', by: 2 }]
  same(await kit.call('state::update', { ...place, key: 'new', ops }), { old_value: null, new_value: { n: 2 } })
  await kit.refused('deserialization_error', 'state::update', { ...place, ops: [{ type: 'twist' }] })
})

check('streams/items', async (kit) => {
  const place = { stream_name: 'node', group_id: 'g', item_id: 'a' }
  assert((await kit.call('stream::get', place)) == null)
  same(await kit.call('stream::set', { ...place, data: { n: 1 } }), { old_value: null, new_value: { n: 1 } })
  same(await kit.call('stream::get', place), { n: 1 })
  same(await kit.call('stream::delete', place), { old_value: { n: 1 } })
  same(await kit.call('stream::delete', place), { old_value: null })
})

check('streams/lists', async (kit) => {
  const stream_name = 'node-list'
  for (const [group_id, item_id] of [['g', 'a'], ['g', 'b'], ['h', 'a']]) {
    await kit.call('stream::set', { stream_name, group_id, item_id, data: item_id })
  }
  same(await kit.call('stream::list', { stream_name, group_id: 'g' }), ['a', 'b'])
  same((await kit.call('stream::list_groups', { stream_name })).sort(), ['g', 'h'])
  const { stream, count } = await kit.call('stream::list_all', {})
  same(stream.find(({ id }) => id === stream_name), { id: stream_name, groups: ['g', 'h'] })
  same(count, stream.length)
})

check('streams/update', async (kit) => {
  const place = { stream_name: 'node', group_id: 'g', item_id: 'ops' }
  await checkUpdate(
    (data) => kit.call('stream::set', { ...place, data }),
    (ops) => kit.call('stream::update', { ...place, ops }),
  )
})

/** A client of the stream WebSocket (protocol section 8). */
class Subscriber {
  static async open() {
    const subscriber = new Subscriber()
    subscriber.socket = new WebSocket(STREAMS)
    subscriber.messages = []
    subscriber.socket.on('message', (data) => {
      subscriber.messages.push(JSON.parse(data))
      subscriber.socket.emit('heard')
    })
    await once(subscriber.socket, 'open')
    return subscriber
  }

  send(type, subscriptionId, streamName, groupId, id = null) {
    this.socket.send(JSON.stringify({ type, data: { subscriptionId, streamName, groupId, id } }))
  }

  /** The next message: its item and its event. */
  async next() {
    if (!this.messages.length) await once(this.socket, 'heard', { signal: AbortSignal.timeout(20_000) })
    const { type, id, event } = this.messages.shift()
    same(type, 'stream')
    return [id, event]
  }

  close() {
    this.socket.close()
  }
}

check('streams/socket', async (kit) => {
  const place = { stream_name: 'node-live', group_id: 'g' }
  await kit.call('stream::set', { ...place, item_id: 'a', data: { n: 1 } })
  const subscriber = await Subscriber.open()
  subscriber.send('join', 's1', 'node-live', 'g')
  same(await subscriber.next(), [null, { type: 'sync', data: [{ n: 1 }] }])
  await kit.call('stream::set', { ...place, item_id: 'b', data: { n: 2 } })
  same(await subscriber.next(), ['b', { type: 'create', data: { n: 2 } }])
  await kit.call('stream::update', { ...place, item_id: 'b', ops: [{ type: 'set', path: 'n', value: 3 }] })
  same(await subscriber.next(), ['b', { type: 'update', data: { n: 3 } }])
  await kit.call('stream::delete', { ...place, item_id: 'b' })
  same(await subscriber.next(), ['b', { type: 'delete', data: { n: 3 } }])
  await kit.call('stream::send', { ...place, id: 'a', type: 'typing', data: { u: 1 } })
  same(await subscriber.next(), ['a', { type: 'event', event: { type: 'typing', data: { u: 1 } } }])
  // After the end of the subscription only the other one, of a single item, gets anything.
  subscriber.send('leave', 's1', 'node-live', 'g')
  subscriber.send('join', 's2', 'node-live', 'g', 'a')
  same(await subscriber.next(), ['a', { type: 'sync', data: { n: 1 } }])
  await kit.call('stream::set', { ...place, item_id: 'b', data: { n: 4 } })
  await kit.call('stream::set', { ...place, item_id: 'a', data: { n: 5 } })
  same(await subscriber.next(), ['a', { type: 'update', data: { n: 5 } }])
  subscriber.close()
})

check('triggers/stream-join-leave', async (kit) => {
  const joined = []
  await kit.serve('node::join', async (data) => {
    if (data.stream_name !== 'node-live') return
    joined.push(data)
    return { unauthorized: data.group_id === 'secret' }
  })
  const left = await kit.hear('node::leave')
  const join = await kit.bind('stream:join', 'node::join', {})
  const leave = await kit.bind('stream:leave', 'node::leave', {})
  const subscriber = await Subscriber.open()
  subscriber.send('join', 's1', 'node-live', 'secret')
  same((await subscriber.next())[1], { type: 'unauthorized' })
  subscriber.send('join', 's2', 'node-live', 'g', 'a')
  same((await subscriber.next())[1], { type: 'sync', data: { n: 5 } })
  same(
    joined.map(({ subscription_id, group_id, id }) => [subscription_id, group_id, id]),
    [['s1', 'secret', null], ['s2', 'g', 'a']],
  )
  // A socket that closes leaves what it has joined.
  subscriber.close()
  same((await left.wait('the leave', ({ stream_name }) => stream_name === 'node-live')).subscription_id, 's2')
  await kit.unbind(join, 'stream:join', 'node::join')
  await kit.unbind(leave, 'stream:leave', 'node::leave')
})

/** A stream that a worker keeps. */
export class Shelf {
  groups = new Map()

  async get({ group_id, item_id }) {
    return this.groups.get(group_id)?.get(item_id)
  }

  async set({ group_id, item_id, data }) {
    if (!this.groups.has(group_id)) this.groups.set(group_id, new Map())
    const group = this.groups.get(group_id)
    const old_value = group.get(item_id)
    group.set(item_id, data)
    return { old_value, new_value: data }
  }

  async delete({ group_id, item_id }) {
    const old_value = this.groups.get(group_id)?.get(item_id)
    this.groups.get(group_id)?.delete(item_id)
    return { old_value }
  }

  async list({ group_id }) {
    return [...(this.groups.get(group_id)?.values() ?? [])]
  }

  async listGroups() {
    return [...this.groups.keys()].sort()
  }
}

check('streams/custom-store', async (kit) => {
  const shelf = new Shelf()
  createStream(kit.one, 'node-shelf', shelf)
  for (const name of ['get', 'set', 'delete', 'list', 'list_groups']) await kit.known(`stream::${name}(node-shelf)`)
  const changes = await kit.hear('node::shelf-changed')
  await kit.bind('stream', 'node::shelf-changed', { stream_name: 'node-shelf' })
  const place = { stream_name: 'node-shelf', group_id: 'g', item_id: 'a' }
  const first = await kit.call('stream::set', { ...place, data: 1 })
  same([first.old_value ?? null, first.new_value], [null, 1])
  same(await kit.call('stream::set', { ...place, data: 2 }), { old_value: 1, new_value: 2 })
  same(shelf.groups.get('g').get('a'), 2)
  same(await kit.call('stream::get', place), 2)
  same(await kit.call('stream::list', place), [2])
  same(await kit.call('stream::list_groups', place), ['g'])
  same(await kit.call('stream::delete', place), { old_value: 2 })
  same(shelf.groups.get('g').size, 0)
  same((await changes.all('the changes', 3)).map(({ event }) => event.type), ['create', 'update', 'delete'])
})

check('configuration/values', async (kit) => {
  const schema = { type: 'object', properties: { port: { type: 'integer' } }, required: ['port'] }
  const entry = { id: 'node', name: 'Node', description: 'd', schema, metadata: { m: 1 } }
  const value = { port: 1 }
  same(await kit.call('configuration::register', { ...entry, initial_value: value }), { ...entry, value })
  const raw = { port: '${INTEROP_UNSET:3111}' }
  same(await kit.call('configuration::set', { id: 'node', value: raw }), { old_value: value, new_value: raw })
  same(await kit.call('configuration::get', { id: 'node' }), { id: 'node', value: { port: 3111 } })
  same((await kit.call('configuration::get', { id: 'node', raw: true })).value, raw)
})

check('configuration/lists', async (kit) => {
  const entry = await kit.call('configuration::schema', { id: 'node' })
  same([entry.id, entry.schema.required], ['node', ['port']])
  const { configurations } = await kit.call('configuration::list', {})
  same(configurations.find(({ id }) => id === 'node'), entry)
})

check('configuration/errors', async (kit) => {
  await kit.refused('SCHEMA_INVALID', 'configuration::set', { id: 'node', value: {} })
  await kit.refused('NOT_REGISTERED', 'configuration::set', { id: 'node-none', value: {} })
  await kit.refused('NOT_FOUND', 'configuration::get', { id: 'node-none' })
  const entry = { id: 'No Id', name: 'n', description: 'd', schema: {} }
  await kit.refused('INVALID_ID', 'configuration::register', entry)
})

/** Owns the checks of the built-in trigger types except http and those of queues, and of trigger types of a worker. */

import assert from 'node:assert/strict'
import { call, check, connect, same, until } from './kit.mjs'

check('triggers/cron', async (kit) => {
  const ticks = await kit.hear('node::tick')
  const binding = await kit.bind('cron', 'node::tick', { expression: '* * * * * *' }, { metadata: { k: 1 } })
  const tick = await ticks.wait('a tick')
  same([tick.trigger, ticks.metadata[0]], ['cron', { k: 1 }])
  assert.match(tick.scheduled_time, /\+00:00$/)
  await kit.unbind(binding, 'cron', 'node::tick')
})

check('triggers/subscribe', async (kit) => {
  const first = await kit.hear('node::news')
  const second = await kit.hear('node::news-too')
  const binding = await kit.bind('subscribe', 'node::news', { topic: 'node.news' })
  await kit.bind('subscribe', 'node::news-too', { topic: 'node.news' })
  await kit.call('publish', { topic: 'node.news', data: { n: 1 } })
  same([await first.wait('the news'), await second.wait('the news')], [{ n: 1 }, { n: 1 }])
  await kit.unbind(binding, 'subscribe', 'node::news')
  await kit.call('publish', { topic: 'node.news', data: { n: 2 } })
  await second.wait('more news', (item) => item.n === 2)
  same(first.length, 1)
  await kit.refused('topic_not_set', 'publish', { topic: '', data: 1 })
})

check('triggers/state', async (kit) => {
  const scope = 'node-t'
  const changes = await kit.hear('node::changed')
  const oneKey = await kit.hear('node::changed-key')
  await kit.serve('node::even', async ({ new_value }) => (new_value ?? 0) % 2 === 0)
  const evens = await kit.hear('node::evens')
  await kit.bind('state', 'node::changed', { scope }, { metadata: { m: 1 } })
  await kit.bind('state', 'node::changed-key', { scope, key: 'b' })
  await kit.bind('state', 'node::evens', { scope, condition_function_id: 'node::even' })
  for (const [key, value] of [['a', 1], ['a', 2], ['b', 3]]) await kit.call('state::set', { scope, key, value })
  await kit.call('state::delete', { scope, key: 'a' })
  const events = (await changes.all('the changes', 4))
    .filter(({ key }) => key === 'a')
    .map(({ event_type, old_value, new_value }) => [event_type, old_value, new_value])
  same(events, [['state:created', null, 1], ['state:updated', 1, 2], ['state:deleted', 2, null]])
  same([changes[0].type, changes[0].scope, changes.metadata[0]], ['state', scope, { m: 1 }])
  same((await oneKey.wait('the key')).new_value, 3)
  same((await evens.all('the even ones', 2)).map(({ new_value }) => new_value), [2, null])
  same(oneKey.length, 1)
})

check('triggers/stream', async (kit) => {
  const changes = await kit.hear('node::item')
  const oneItem = await kit.hear('node::item-one')
  const place = { stream_name: 'node-ts', group_id: 'g' }
  await kit.bind('stream', 'node::item', place, { metadata: { m: 2 } })
  await kit.bind('stream', 'node::item-one', { stream_name: 'node-ts', item_id: 'b' })
  await kit.call('stream::set', { ...place, item_id: 'a', data: { n: 1 } })
  await kit.call('stream::update', { ...place, item_id: 'a', ops: [{ type: 'increment', path: 'n', by: 1 }] })
  await kit.call('stream::set', { ...place, group_id: 'h', item_id: 'a', data: {} })
  await kit.call('stream::delete', { ...place, item_id: 'a' })
  await kit.call('stream::send', { ...place, type: 'typing', data: { u: 1 } })
  await kit.call('stream::set', { ...place, item_id: 'b', data: { n: 9 } })
  const events = await changes.all('the changes', 5)
  same(
    events.slice(0, 3).map(({ event }) => [event.type, event.data]),
    [['create', { n: 1 }], ['update', { n: 2 }], ['delete', { n: 2 }]],
  )
  same(events[3].event, { type: 'event', event: { type: 'typing', data: { u: 1 } } })
  const { streamName, groupId, id } = events[0]
  same([streamName, groupId, id, changes.metadata[0]], ['node-ts', 'g', 'a', { m: 2 }])
  same((await oneItem.wait('the item')).id, 'b')
})

check('triggers/log', async (kit) => {
  const warnings = await kit.hear('node::warned')
  const binding = await kit.bind('log', 'node::warned', { level: 'warn' })
  await kit.call('engine::log::info', { message: 'quiet', service_name: 'node' })
  await kit.call('engine::log::warn', { message: 'loud', data: { a: 1 }, service_name: 'node' })
  const record = await warnings.wait('the record', ({ service_name }) => service_name === 'node')
  same([record.body, record.severity_text, record.attributes], ['loud', 'WARN', { a: 1 }])
  await kit.unbind(binding, 'log', 'node::warned')
})

check('triggers/configuration', async (kit) => {
  const events = await kit.hear('node::configured')
  await kit.bind('configuration', 'node::configured', {
    configuration_id: 'node-t',
    event_types: ['configuration:updated'],
  })
  const entry = { id: 'node-t', name: 'Node', description: 'd', schema: { type: 'object' } }
  await kit.call('configuration::register', { ...entry, initial_value: { a: 1 } })
  await kit.call('configuration::set', { id: 'node-t', value: { a: 2 } })
  const event = await events.wait('the event', ({ new_value }) => new_value.a === 2)
  same([event.type, event.event_type, event.id], ['configuration', 'configuration:updated', 'node-t'])
  same(event.old_value, { a: 1 })
})

check('triggers/functions-available', async (kit) => {
  const changes = await kit.hear('node::functions')
  await kit.bind('engine::functions-available', 'node::functions', {})
  await kit.serve('node::brand-new', async () => 1)
  const change = await changes.wait('the function', ({ functions }) =>
    functions.some(({ function_id }) => function_id === 'node::brand-new'),
  )
  same(change.event, 'functions_changed')
})

check('triggers/workers-available', async (kit) => {
  const events = await kit.hear('node::workers')
  await kit.bind('engine::workers-available', 'node::workers', {})
  const third = connect('node-third')
  const came = await events.wait('a worker', ({ event }) => event === 'worker_metadata_updated')
  await third.shutdown()
  await events.wait('its end', ({ event, worker_id }) =>
    event === 'worker_disconnected' && worker_id === came.worker_id,
  )
})

/** A trigger type of a worker: it keeps its bindings and fires them, if their condition allows. */
export class Bell {
  bindings = new Map()

  constructor(worker) {
    this.worker = worker
  }

  async registerTrigger(binding) {
    if (binding.config?.tune === undefined) throw new Error('a bell needs a tune')
    this.bindings.set(binding.id, binding)
  }

  async unregisterTrigger({ id }) {
    this.bindings.delete(id)
  }

  async ring(data) {
    for (const { function_id, config, metadata } of [...this.bindings.values()]) {
      const condition = config.condition_function_id
      if (condition && (await call(this.worker, condition, data)) === false) continue
      await call(this.worker, function_id, data, { metadata })
    }
  }
}

check('types/bind', async (kit) => {
  kit.bell = new Bell(kit.two)
  kit.two.registerTriggerType({ id: 'node-bell', description: 'Rings.' }, kit.bell)
  await until('the type', () => kit.call('engine::triggers::info', { id: 'node-bell' }))
  kit.rung = await kit.hear('node::rung')
  await kit.bind('node-bell', 'node::rung', { tune: 'ding' }, { metadata: { who: 'node' } })
  const [bound] = await until('the binding', () => kit.bell.bindings.size && [...kit.bell.bindings.values()])
  same([bound.function_id, bound.config, bound.metadata], ['node::rung', { tune: 'ding' }, { who: 'node' }])
  await kit.bell.ring({ rang: 1 })
  same([(await kit.rung.wait('the ring')).rang, kit.rung.metadata[0]], [1, { who: 'node' }])
})

check('types/unbind', async (kit) => {
  const heard = await kit.hear('node::rung-briefly')
  const binding = await kit.bind('node-bell', 'node::rung-briefly', { tune: 'dong' })
  await until('the binding', () => kit.bell.bindings.size === 2)
  await kit.unbind(binding, 'node-bell', 'node::rung-briefly')
  await until('its end', () => kit.bell.bindings.size === 1)
  await kit.bell.ring({ rang: 2 })
  await kit.rung.wait('the ring', ({ rang }) => rang === 2)
  same(heard.length, 0)
})

check('types/condition', async (kit) => {
  await kit.serve('node::loud', async ({ rang }) => rang > 10)
  const loud = await kit.hear('node::rung-loudly')
  const config = { tune: 'dong', condition_function_id: 'node::loud' }
  const binding = await kit.bind('node-bell', 'node::rung-loudly', config)
  await until('the binding', () => kit.bell.bindings.size === 2)
  for (const rang of [3, 30]) await kit.bell.ring({ rang })
  same((await loud.all('the loud ring', 1)).map(({ rang }) => rang), [30])
  await kit.unbind(binding, 'node-bell', 'node::rung-loudly')
})

check('types/refuse', async (kit) => {
  // `engine::register_trigger` tells what the provider said; the SDK only logs it.
  const error = await kit.refused('trigger_registration_failed', 'engine::register_trigger', {
    trigger_type: 'node-bell',
    function_id: 'node::rung',
    config: { volume: 1 },
  })
  assert.match(error.message, /a bell needs a tune/)
})

check('types/park', async (kit) => {
  // Bound before the type is there; its worker comes, goes, and comes back.
  const heard = await kit.hear('node::parked')
  kit.one.registerTrigger({ type: 'node-gong', function_id: 'node::parked', config: { tune: 'gong' } })
  for (const round of [1, 2]) {
    const provider = connect('node-provider')
    const gong = new Bell(provider)
    provider.registerTriggerType({ id: 'node-gong', description: 'Rings.' }, gong)
    await until('the parked binding', () => gong.bindings.size)
    await gong.ring({ rang: round })
    await heard.wait('the ring', ({ rang }) => rang === round)
    await provider.shutdown()
    await until('the end of the provider', async () => !(await kit.bindings('node-gong', 'node::parked')).length)
  }
})

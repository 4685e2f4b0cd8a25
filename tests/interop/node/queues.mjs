/** Owns the checks of durable topics: copies, order, retries, messages that were given up, and what lists tell. */

import assert from 'node:assert/strict'
import { check, same, until } from './kit.mjs'

const publish = (kit, topic, data) => kit.call('iii::durable::publish', { topic, data })
const numbers = (count) => [...Array(count).keys()]
const sorted = (items) => items.map(({ n }) => n).sort((a, b) => a - b)

check('queues/durable', async (kit) => {
  const functions = ['node::durable', 'node::durable-too']
  const both = await Promise.all(functions.map((id) => kit.hear(id)))
  for (const id of functions) await kit.bind('durable:subscriber', id, { topic: 'node.orders' })
  for (const n of numbers(50)) await publish(kit, 'node.orders', { n })
  for (const heard of both) same(sorted(await heard.all('all copies', 50)), numbers(50))
})

check('queues/fifo', async (kit) => {
  const done = []
  const tried = []
  await kit.serve('node::in-order', async ({ n }) => {
    tried.push(n)
    if (n === 3 && tried.filter((one) => one === 3).length === 1) throw new Error('again')
    done.push(n)
  })
  const queue_config = { type: 'fifo', maxRetries: 2, backoffDelayMs: 20 }
  await kit.bind('durable:subscriber', 'node::in-order', { topic: 'node.order', queue_config })
  for (const n of numbers(20)) await publish(kit, 'node.order', { n })
  await until('all of them', () => done.length === 20)
  same(done, numbers(20))
  same(tried.length, 21)
})

check('queues/dead-letter', async (kit) => {
  kit.tried = []
  kit.open = false
  await kit.serve('node::closed', async (data) => {
    kit.tried.push(data)
    if (!kit.open) throw new Error('closed')
  })
  const queue_config = { maxRetries: 1, backoffDelayMs: 10 }
  await kit.bind('durable:subscriber', 'node::closed', { topic: 'node.closed', queue_config })
  for (const n of numbers(3)) await publish(kit, 'node.closed', { n })
  const topic = { topic: 'node.closed' }
  await until('the dead letters', async () => (await kit.call('engine::queue::topic_stats', topic)).dlq_depth === 3)
  same(sorted(kit.tried), [0, 0, 1, 1, 2, 2])
  kit.letters = await kit.call('engine::queue::dlq_messages', topic)
  same(sorted(kit.letters.map(({ payload }) => payload)), [0, 1, 2])
  assert.match(kit.letters[0].error, /invocation_failed/)
})

check('queues/redrive', async (kit) => {
  kit.open = true
  const queue = 'node.closed'
  const [one, other] = kit.letters.map(({ id }) => ({ queue, message_id: id }))
  same((await kit.call('iii::queue::discard_message', one)).redriven, 1)
  same((await kit.call('iii::queue::redrive_message', other)).redriven, 1)
  same(await kit.call('iii::queue::redrive', { queue }), { queue, redriven: 1 })
  await until('the redriven', () => kit.tried.length === 8)
  same(await kit.call('engine::queue::dlq_messages', { topic: queue }), [])
})

check('queues/condition', async (kit) => {
  await kit.serve('node::wanted', async ({ n }) => n > 1)
  const heard = await kit.hear('node::if-wanted')
  await kit.bind('durable:subscriber', 'node::if-wanted', {
    topic: 'node.if',
    condition_function_id: 'node::wanted',
    queue_config: { type: 'fifo' },
  })
  for (const n of [1, 2]) await publish(kit, 'node.if', { n })
  same(await heard.all('the wanted one', 1), [{ n: 2 }])
})

check('queues/lists', async (kit) => {
  const topics = new Map((await kit.call('engine::queue::list_topics', {})).map((topic) => [topic.name, topic]))
  same(topics.get('node.orders').subscriber_count, 2)
  for (const name of ['default', 'jobs', 'lanes']) assert(topics.has(name), name)
  same((await kit.call('engine::queue::topic_stats', { topic: 'node.orders' })).depth, 0)
  await kit.refused('topic_not_set', 'iii::durable::publish', { topic: '', data: 1 })
})

/** Owns the checks of what the engine tells of functions, trigger types, bindings and workers, and of logs. */

import assert from 'node:assert/strict'
import { check, same } from './kit.mjs'

check('discovery/functions', async (kit) => {
  const described = { description: 'Described.', metadata: { team: 'node' } }
  const formats = { request_format: { type: 'object' }, response_format: { type: 'integer' } }
  await kit.serve('node::described', async () => 1, { ...described, ...formats })
  const { functions } = await kit.call('engine::functions::list', { prefix: 'node::described' })
  const summary = { function_id: 'node::described', namespace: 'default', worker_name: 'node-one', ...described }
  same(functions, [summary])
  const detail = await kit.call('engine::functions::info', { function_id: 'node::described' })
  same([detail.request_schema, detail.response_schema], [{ type: 'object' }, { type: 'integer' }])
  same(detail.registered_triggers, [])
  const both = await kit.call('engine::functions::info', { function_ids: ['node::described', 'node::none'] })
  same(both.functions[1], { function_id: 'node::none', error: 'not_found' })
  await kit.refused('NOT_FOUND', 'engine::functions::info', { function_id: 'node::none' })
})

check('discovery/trigger-types', async (kit) => {
  const types = new Set((await kit.call('engine::triggers::list', {})).triggers.map(({ id }) => id))
  const wanted = ['http', 'cron', 'durable:subscriber', 'subscribe', 'state', 'stream', 'stream:join', 'stream:leave']
  for (const id of [...wanted, 'log', 'configuration', 'node-bell']) assert(types.has(id), id)
  const bell = await kit.call('engine::triggers::info', { id: 'node-bell' })
  same([bell.worker_name, bell.description, bell.instance_count], ['node-two', 'Rings.', 1])
  assert((await kit.call('engine::triggers::info', { id: 'http' })).configuration_schema.properties)
})

check('discovery/bindings', async (kit) => {
  const [binding] = await kit.bindings('node-bell', 'node::rung')
  same([binding.worker_name, binding.config], ['node-one', { tune: 'ding' }])
  const detail = await kit.call('engine::registered-triggers::info', { id: binding.id })
  same([detail.metadata, detail.trigger.id, detail.function.function_id], [{ who: 'node' }, 'node-bell', 'node::rung'])
})

check('discovery/register-trigger', async (kit) => {
  const heard = await kit.hear('node::by-function')
  const { id } = await kit.call('engine::register_trigger', {
    trigger_type: 'subscribe',
    function_id: 'node::by-function',
    config: { topic: 'node.by-function' },
  })
  await kit.call('publish', { topic: 'node.by-function', data: 1 })
  await heard.wait('the message')
  same(await kit.call('engine::unregister_trigger', { id }), { removed: true })
  same(await kit.call('engine::unregister_trigger', { id }), { removed: false })
})

check('discovery/workers', async (kit) => {
  const { workers } = await kit.call('engine::workers::list', {})
  const mine = workers.find(({ name }) => name === 'node-one')
  same([mine.runtime, mine.namespace, mine.status], ['node', 'default', 'connected'])
  assert(workers.some(({ name }) => name === 'interop-worker'))
  const info = await kit.call('engine::workers::info', { name: 'node-one' })
  assert(info.functions.some(({ function_id }) => function_id === 'node::sum'))
  assert(info.registered_triggers.some(({ function_id }) => function_id === 'node::rung'))
  same((await kit.call('engine::workers::info', { name: 'node-two' })).trigger_types[0].id, 'node-bell')
})

check('observability/logs', async (kit) => {
  for (const level of ['trace', 'debug', 'info', 'warn', 'error']) {
    await kit.call(`engine::log::${level}`, { message: `node ${level}`, service_name: 'node-logs' })
  }
  const { logs } = await kit.call('engine::logs::list', { severity_min: 13 })
  const found = logs.filter(({ service_name }) => service_name === 'node-logs').map(({ body }) => body)
  same(found.sort(), ['node error', 'node warn'])
})

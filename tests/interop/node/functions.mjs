/** Owns the checks of functions: the kinds of call, metadata, and what callers see of errors. */

import assert from 'node:assert/strict'
import { InvocationError, TriggerAction, call, check, connect, pause, refused, same, until } from './kit.mjs'

check('functions/call', async (kit) => {
  await kit.serve('node::sum', async ({ a, b }) => ({ sum: a + b }), { description: 'Adds.' })
  same(await kit.call('node::sum', { a: 1, b: 2 }), { sum: 3 })
})

check('functions/call-back', async (kit) => {
  kit.two.registerFunction('node::twice', async ({ n }) => ({ n: 2 * n }))
  await until('the other worker', () => call(kit.one, 'node::twice', { n: 0 }))
  await kit.serve('node::later', async ({ n }) => {
    await pause(10)
    return { later: (await call(kit.one, 'node::twice', { n })).n }
  })
  same(await kit.call('node::later', { n: 21 }), { later: 42 })
})

check('functions/void', async (kit) => {
  const heard = await kit.hear('node::void')
  same(await kit.call('node::void', { n: 1 }, { action: TriggerAction.Void() }), undefined)
  same((await heard.wait('the call')).n, 1)
  same(await kit.call('node::nobody', {}, { action: TriggerAction.Void() }), undefined)
})

check('functions/enqueue', async (kit) => {
  const heard = await kit.hear('node::job')
  const action = TriggerAction.Enqueue({ queue: 'jobs' })
  const numbers = [...Array(20).keys()]
  const answers = await Promise.all(numbers.map((n) => kit.call('node::job', { n }, { action })))
  same(new Set(answers.map((answer) => answer.messageReceiptId)).size, 20)
  const jobs = await heard.all('the jobs', 20)
  same(jobs.map(({ n }) => n).sort((a, b) => a - b), numbers)
  const nowhere = { action: TriggerAction.Enqueue({ queue: 'node-none' }) }
  assert.match((await kit.refused('enqueue_error', 'node::job', {}, nowhere)).message, /node-none/)
})

check('functions/enqueue-fifo', async (kit) => {
  const done = []
  const tried = []
  const stumbles = ({ lane, n }) => lane === 'a' && n === 5
  await kit.serve('node::lane', async (data) => {
    tried.push(data)
    // The first attempt of one in the middle fails; those behind it must wait.
    if (stumbles(data) && tried.filter(stumbles).length === 1) throw new Error('again')
    done.push(data)
  })
  const action = TriggerAction.Enqueue({ queue: 'lanes' })
  for (let n = 0; n < 10; n++) {
    for (const lane of ['a', 'b']) await kit.call('node::lane', { lane, n }, { action })
  }
  await until('the lanes', () => done.length === 20)
  for (const lane of ['a', 'b']) {
    same(done.filter((job) => job.lane === lane).map(({ n }) => n), [...Array(10).keys()])
  }
  same(tried.filter(stumbles).length, 2)
})

check('functions/metadata', async (kit) => {
  await kit.serve('node::aside', async (data, metadata) => ({ aside: metadata ?? null }))
  same(await kit.call('node::aside', {}, { metadata: { tenant: 7 } }), { aside: { tenant: 7 } })
  same(await kit.call('node::aside', {}), { aside: null })
})

check('functions/no-payload', async (kit) => {
  // The field is missing on the wire.
  await kit.serve('node::got', async (data) => ({ got: data }))
  same(await kit.call('node::got', undefined), { got: null })
  same(await kit.call('node::got', [1, 'a', null]), { got: [1, 'a', null] })
})

check('functions/large', async (kit) => {
  await kit.serve('node::echo', async ({ text }) => ({ text }))
  const text = 'ü'.repeat(9_000_000)
  assert((await kit.call('node::echo', { text })).text === text)
})

check('functions/unregister', async (kit) => {
  const ref = await kit.serve('node::brief', async () => 1)
  same(await kit.call('node::brief', {}), 1)
  ref.unregister()
  await until('its end', async () => {
    const error = await kit.call('node::brief', {}).then(() => null, (error) => error)
    return error instanceof InvocationError && error.code === 'function_not_found'
  })
})

check('functions/ours', async (kit) => {
  same(await kit.call('ours::add', { a: 2, b: 3 }), { sum: 5 })
  const metadata = { tenant: 'node' }
  same(await kit.call('ours::aside', { n: 1 }, { metadata }), { n: 1, aside: { tenant: 'node' } })
  const heard = await kit.hear('node::from-ours')
  await kit.call('do::ours', { function_id: 'node::from-ours', payload: { n: 4 } })
  same((await heard.wait('the call')).n, 4)
})

check('errors/handler', async (kit) => {
  await kit.serve('node::fails', async () => {
    throw new TypeError('no such thing')
  })
  const error = await kit.refused('invocation_failed', 'node::fails', {})
  assert.match(error.message, /no such thing/)
  assert.match(error.stacktrace, /TypeError/)
  same(error.function_id, 'node::fails')
})

check('errors/not-found', async (kit) => {
  assert.match((await kit.refused('function_not_found', 'node::nothing', {})).message, /node::nothing/)
})

check('errors/payload', async (kit) => {
  assert.match((await kit.refused('deserialization_error', 'state::get', { scope: 's' })).message, /key/)
  await kit.refused('deserialization_error', 'publish', 7)
})

check('errors/ours', async (kit) => {
  assert.match((await kit.refused('ours/refused', 'ours::refuse', { why: 'closed' })).message, /closed/)
  await kit.refused('invalid_payload', 'ours::add', { a: 1 })
})

check('errors/timeout', async (kit) => {
  await kit.serve('node::slow', () => pause(500))
  await kit.refused('TIMEOUT', 'node::slow', {}, { timeoutMs: 50 })
})

check('errors/stopped', async (kit) => {
  const brief = connect('node-brief')
  const begun = []
  brief.registerFunction('node::hang', async (data) => {
    begun.push(data)
    await new Promise(() => {})
  })
  await kit.known('node::hang')
  const answer = refused('invocation_stopped', kit.call('node::hang', {}))
  await until('the call', () => begun.length)
  await brief.shutdown()
  await answer
})

check('errors/id-taken', async (kit) => {
  kit.two.registerFunction('node::sum', async () => ({ sum: 'mine' }))
  // The answer to a later call comes after the refusal.
  await kit.call('engine::workers::list', {})
  same(await call(kit.one, 'node::sum', { a: 1, b: 1 }), { sum: 2 })
})

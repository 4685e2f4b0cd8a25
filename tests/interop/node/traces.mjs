/**
 * Owns the checks of traces: spans that the SDK sends are kept, and fire `trace` triggers.
 *
 * They come first: the SDK has one connection for telemetry in a process, and ends it as soon as any worker shuts down.
 */

import assert from 'node:assert/strict'
import { TRACES, check, until } from './kit.mjs'

check(
  'triggers/trace',
  async (kit) => {
    await kit.serve('node::seen', async (data) => data)
    const traces = await kit.hear('node::traced')
    const binding = await kit.bind('trace', 'node::traced', {})
    await kit.call('node::seen', { a: 1 })
    assert((await traces.wait('the trace')).trace_ids.length)
    await kit.unbind(binding, 'trace', 'node::traced')
  },
  TRACES,
)

check(
  'observability/traces',
  async (kit) => {
    await kit.call('node::seen', { a: 1 })
    await until('the span', async () => {
      const query = { name: 'execute node::seen', search_all_spans: true }
      return (await kit.call('engine::traces::list', query)).spans.length
    })
  },
  TRACES,
)

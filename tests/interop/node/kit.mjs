/** Owns what all checks are made of: two workers, calls, functions that remember what they got, bindings, waiting. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

// The packages live in the cache folder of run.sh, not beside this file.
const require = createRequire(`${process.env.INTEROP_NODE}/package.json`)
const load = (name) => import(pathToFileURL(require.resolve(name)))
export const { registerWorker, InvocationError, TriggerAction } = await load('iii-sdk')
export const { createChannel, createStream } = await load('iii-sdk/helpers')
export const { http } = await load('@iii-dev/helpers/http')
export const { WebSocket } = require('ws')

export const HTTP = process.env.INTEROP_HTTP
export const STREAMS = process.env.INTEROP_STREAMS
// Checks of traces need an engine that keeps them.
export const TRACES = process.env.INTEROP_TRACES === 'on'
export const DEADLINE = 20_000

/** All checks of the scenario, in their order. */
export const CHECKS = []

/** Adds a check, under its name in checks.txt. */
export function check(name, body, on = true) {
  if (on) CHECKS.push([name, body])
}

export const ok = (name) => console.log(`ok node ${name}`)
export const same = assert.deepEqual
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
export const connect = (workerName) =>
  registerWorker(process.env.III_URL, { workerName, otel: { enabled: TRACES } })
export const call = (worker, function_id, payload, more = {}) => worker.trigger({ function_id, payload, ...more })

/** Waits for a condition; a function that is not there yet counts as no. */
export async function until(what, condition) {
  const end = Date.now() + DEADLINE
  for (;;) {
    try {
      const found = await condition()
      if (found) return found
    } catch (error) {
      const absent = error instanceof InvocationError && ['function_not_found', 'NOT_FOUND'].includes(error.code)
      if (!absent) throw error
    }
    assert(Date.now() < end, `waited for ${what}`)
    await pause(20)
  }
}

/** Expects an error with this code. */
export async function refused(code, promise) {
  const error = await promise.then(
    (found) => assert.fail(`expected ${code}, got ${JSON.stringify(found)}`),
    (error) => error,
  )
  assert(error instanceof InvocationError, String(error))
  assert.equal(error.code, code, error.message)
  return error
}

/** What a function got, in order, and the metadata that came with each. */
export class Heard extends Array {
  metadata = []

  wait(what, wanted = () => true) {
    return until(what, () => this.find(wanted))
  }

  async all(what, count) {
    await until(what, () => this.length >= count)
    return Array.from(this)
  }
}

/** `one` serves, `two` calls. */
export class Kit {
  one = connect('node-one')
  two = connect('node-two')

  async close() {
    await this.two.shutdown()
    await this.one.shutdown()
  }

  call(function_id, payload, more) {
    return call(this.two, function_id, payload, more)
  }

  refused(code, function_id, payload, more) {
    return refused(code, this.call(function_id, payload, more))
  }

  /** Registers a function and waits until the engine knows it. */
  async serve(function_id, handler, options) {
    const ref = this.one.registerFunction(function_id, handler, options)
    await this.known(function_id)
    return ref
  }

  known(function_id) {
    return until(function_id, () => this.call('engine::functions::info', { function_id }))
  }

  /** Registers a function that remembers what it gets. */
  async hear(function_id) {
    const heard = new Heard()
    await this.serve(function_id, async (data, metadata) => {
      heard.metadata.push(metadata)
      heard.push(data)
    })
    return heard
  }

  async bindings(trigger_type, function_id) {
    const query = { trigger_type, function_id }
    return (await this.call('engine::registered-triggers::list', query)).registered_triggers
  }

  /** Binds a function and waits until the engine has the binding. */
  async bind(type, function_id, config, more = {}) {
    const before = (await this.bindings(type, function_id)).length
    const binding = this.one.registerTrigger({ type, function_id, config, ...more })
    await until(`the ${type} binding`, async () => (await this.bindings(type, function_id)).length > before)
    return binding
  }

  async unbind(binding, type, function_id) {
    binding.unregister()
    await until(`the end of the ${type} binding`, async () => !(await this.bindings(type, function_id)).length)
  }
}

/** A request; the answer as status, headers and body, which is read as JSON where it is JSON. */
export async function request(path, method = 'GET', body = undefined, headers = {}) {
  if (body !== undefined && !(body instanceof Uint8Array)) {
    body = JSON.stringify(body)
    headers = { ...headers, 'content-type': 'application/json' }
  }
  const answer = await fetch(HTTP + path, { method, body, headers, signal: AbortSignal.timeout(DEADLINE) })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const json = bytes.length && answer.headers.get('content-type')?.startsWith('application/json')
  return [answer.status, json ? JSON.parse(bytes) : bytes, answer.headers]
}

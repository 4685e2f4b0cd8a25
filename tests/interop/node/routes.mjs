/** Owns the checks of the http trigger: methods, parts of a request, answers, conditions, middleware, streaming. */

import assert from 'node:assert/strict'
import { HTTP, check, http, request, same } from './kit.mjs'

check('http/methods', async (kit) => {
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']
  await kit.serve('node::method', async ({ method }) => ({ headers: { 'x-method': method }, body: null }))
  for (const http_method of methods) {
    await kit.bind('http', 'node::method', { api_path: '/node/methods', http_method })
  }
  for (const method of methods) {
    const [status, , headers] = await request('/node/methods', method)
    same([status, headers.get('x-method')], [200, method])
  }
})

check('http/parts', async (kit) => {
  await kit.serve('node::parts', async ({ path_params, query_params, headers, path, trigger, body }) => ({
    body: { id: path_params.id, q: query_params.q, x: headers['x-one'], path, trigger: trigger.type, body },
  }))
  await kit.bind('http', 'node::parts', { api_path: 'node/parts/:id', http_method: 'post' })
  const [status, body] = await request('/node/parts/7?q=a%20b', 'POST', { n: [1] }, { 'X-One': '1' })
  same(status, 200)
  same(body, { id: '7', q: 'a b', x: '1', path: 'node/parts/:id', trigger: 'http', body: { n: [1] } })
})

check('http/answer', async (kit) => {
  await kit.serve('node::answer', async () => ({
    status_code: 201,
    headers: { 'x-from': 'node', 'content-type': 'text/plain' },
    body: 'made',
  }))
  const binding = await kit.bind('http', 'node::answer', { api_path: '/node/answer' })
  const [status, body, headers] = await request('/node/answer')
  same([status, headers.get('x-from'), headers.get('content-type')], [201, 'node', 'text/plain'])
  same(body.toString(), 'made')
  await kit.serve('node::no-answer', async () => {})
  await kit.bind('http', 'node::no-answer', { api_path: '/node/no-answer' })
  same((await request('/node/no-answer'))[0], 204)
  same((await request('/node/answer', 'POST'))[0], 405)
  await kit.unbind(binding, 'http', 'node::answer')
  same((await request('/node/answer'))[0], 404)
})

check('http/error', async (kit) => {
  await kit.serve('node::http-fails', async () => {
    throw new Error('no such thing')
  })
  await kit.bind('http', 'node::http-fails', { api_path: '/node/fails' })
  const [status, body] = await request('/node/fails')
  same([status, body.error.code], [500, 'invocation_failed'])
  assert.match(body.error.message, /no such thing/)
})

check('http/condition', async (kit) => {
  await kit.serve('node::http-open', async ({ query_params }) => query_params.open === '1')
  await kit.serve('node::http-door', async () => ({ body: 'in' }))
  await kit.bind('http', 'node::http-door', { api_path: '/node/door', condition_function_id: 'node::http-open' })
  same((await request('/node/door?open=1')).slice(0, 2), [200, 'in'])
  const [status, body] = await request('/node/door')
  same([status, body.error.code], [422, 'CONDITION_NOT_MET'])
})

check('http/middleware', async (kit) => {
  const seen = await kit.hear('node::audit')
  await kit.serve('node::auth', async ({ request }) =>
    request.headers.authorization === 'yes'
      ? { action: 'continue' }
      : {
          action: 'respond',
          response: { status_code: 401, body: { error: 'who?' }, headers: { 'x-auth': 'node' } },
        },
  )
  await kit.serve('node::inner', async () => ({ body: 'inner' }))
  await kit.bind('http', 'node::inner', {
    api_path: '/node/inner',
    middleware_function_ids: ['node::auth', 'node::audit'],
  })
  const [status, body, headers] = await request('/node/inner')
  same([status, headers.get('x-auth'), body], [401, 'node', { error: 'who?' }])
  same(seen.length, 0)
  same((await request('/node/inner', 'GET', undefined, { authorization: 'yes' })).slice(0, 2), [200, 'inner'])
  same([seen[0].phase, seen[0].request.method], ['preHandler', 'GET'])
})

check('http/upload', async (kit) => {
  await kit.serve('node::upload', async ({ request_body }) => {
    const body = await request_body.readAll()
    return { body: { bytes: body.length, first: body[0], last: body.at(-1) } }
  })
  await kit.bind('http', 'node::upload', { api_path: '/node/upload', http_method: 'PUT' })
  const body = Uint8Array.from({ length: 300_000 }, (_, n) => n % 251)
  const type = { 'content-type': 'application/octet-stream' }
  const [status, answer] = await request('/node/upload', 'PUT', body, type)
  same([status, answer], [200, { bytes: 300_000, first: 0, last: body.at(-1) }])
  // JSON comes twice: as the body, and through the channel.
  const json = await request('/node/upload', 'PUT', 'x'.repeat(2_000_000))
  same(json.slice(0, 2), [200, { bytes: 2_000_002, first: 34, last: 34 }])
})

check('http/stream', async (kit) => {
  const chunks = [0, 1, 2, 3].map((n) => Buffer.alloc(100_000, n))
  await kit.serve(
    'node::stream',
    http(async (_, response) => {
      response.status(206)
      response.headers({ 'content-type': 'application/octet-stream', 'x-from': 'node' })
      for (const chunk of chunks) response.stream.write(chunk)
      response.stream.end()
    }),
  )
  await kit.bind('http', 'node::stream', { api_path: '/node/stream' })
  const [status, body, headers] = await request('/node/stream')
  same([status, headers.get('x-from')], [206, 'node'])
  assert(body.equals(Buffer.concat(chunks)))
})

check('http/sse', async (kit) => {
  let read
  const isRead = new Promise((resolve) => (read = resolve))
  await kit.serve(
    'node::events',
    http(async (_, response) => {
      response.headers({ 'content-type': 'text/event-stream' })
      response.stream.write('event: first\ndata: 1\n\n')
      // The second is not written before the client has read the first.
      await isRead
      response.stream.end('event: second\ndata: 2\n\n')
    }),
  )
  await kit.bind('http', 'node::events', { api_path: '/node/events' })
  const answer = await fetch(`${HTTP}/node/events`)
  same([answer.status, answer.headers.get('content-type')], [200, 'text/event-stream'])
  let text = ''
  for await (const chunk of answer.body) {
    text += Buffer.from(chunk)
    if (text === 'event: first\ndata: 1\n\n') read()
  }
  same(text, 'event: first\ndata: 1\n\nevent: second\ndata: 2\n\n')
})

check('http/metadata', async (kit) => {
  await kit.serve('node::tagged', async (_, metadata) => ({ body: metadata }))
  await kit.bind('http', 'node::tagged', { api_path: '/node/tagged' }, { metadata: { tag: 'node' } })
  same((await request('/node/tagged'))[1], { tag: 'node' })
})

/** Owns the command line: `scenario` runs the checks, `serve` is a server for the mixed run. */

import process from 'node:process'
import './traces.mjs'
import './functions.mjs'
import './routes.mjs'
import './triggers.mjs'
import './queues.mjs'
import './stores.mjs'
import './channels.mjs'
import './discovery.mjs'
import { CHECKS, Kit, ok } from './kit.mjs'

async function scenario() {
  const kit = new Kit()
  for (const [name, body] of CHECKS) {
    await body(kit).catch((error) => {
      console.error(`not ok node ${name}`)
      throw error
    })
    ok(name)
  }
  await kit.close()
  ok('shutdown')
}

const serve = async () => (await import('./server.mjs')).serve()

await { scenario, serve }[process.argv[2]]()
process.exit(0)

import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { Acknowledged } from './support/acks.mjs'
import { Client } from './support/client.mjs'
import { startServer } from './support/server.mjs'
import { until } from './support/wait.mjs'

const EVERY = 50
const CANNOT_BE_LOADED = 1011

/** What may become of the files of snapshots while no server runs. */
const damages = {
  'are gone': snapshots => rmSync(snapshots, { recursive: true }),
  'are full of zeros': snapshots => {
    const file = path.join(snapshots, '00000001/db')
    writeFileSync(file, Buffer.alloc(readFileSync(file).length))
  }
}

async function ownServer(t) {
  const server = await startServer({ data: 'db', args: ['--set', `limits.compact_after_records=${EVERY}`] })
  t.after(() => server.stop())
  return server
}

/** Writes a record at a time, so that it's known how many there are. */
async function write(t, server, name, count) {
  const acks = new Acknowledged()
  const client = await new Client(t, server.url, name, acks.options).synced()
  for (let n = 0; n < count; n++) {
    client.append(`${n} `)
    await acks.all()
  }
  client.close()
  return client.text.toString()
}

async function restartAfter(server, damage) {
  assert.equal(await server.end('SIGTERM'), 0)
  damage(path.join(server.directory, 'db/snapshots'))
  await server.start()
}

const readBy = async (t, server, name) => (await new Client(t, server.url, name).synced()).text.toString()

for (const [what, damage] of Object.entries(damages)) {
  test(`if snapshots ${what}, the journal makes up for the first one`, async t => {
    const server = await ownServer(t)
    const text = await write(t, server, 'young', EVERY + 10)
    await restartAfter(server, damage)
    assert.equal(await readBy(t, server, 'young'), text)
    assert.match(server.output, /the snapshot is missing or damaged/)
  })

  test(`if snapshots ${what}, a document that can't do without is refused, and others are not`, async t => {
    const server = await ownServer(t)
    await write(t, server, 'old', EVERY * 4)
    const text = await write(t, server, 'small', 10)
    await restartAfter(server, damage)
    const refused = new Client(t, server.url, 'old')
    const codes = []
    refused.provider.on('connection-close', event => codes.push(event?.code))
    await until(() => codes.length, 'the refusal')
    assert.equal(codes[0], CANNOT_BE_LOADED)
    assert.equal(refused.text.length, 0)
    assert.match(server.output, /the document "old" is damaged/)
    assert.equal(await readBy(t, server, 'small'), text)
  })
}

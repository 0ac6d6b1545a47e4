import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Acknowledged } from './support/acks.mjs'
import { Client, converge } from './support/client.mjs'
import { Server, startServer } from './support/server.mjs'
import { until } from './support/wait.mjs'

const ROUNDS = 3
const UNTIL_END = 300
/** So few records between snapshots that the server ends before, during and after making one. */
const OFTEN = ['--set', 'limits.compact_after_records=50']

async function ownServer(t, options) {
  const server = await startServer({ data: 'db', ...options })
  t.after(() => server.stop())
  return server
}

const asking = (t, server, name, acks) => new Client(t, server.url, name, acks.options).synced()

const readBy = async (t, server, name) => (await new Client(t, server.url, name).synced()).text.toString()

const readyz = async server => (await fetch(`${server.http}/readyz`)).json()

/** A client without a memory of what was written, once nobody is left who could bring it back. */
async function leave(...clients) {
  await until(() => clients.every(client => !client.provider.wsconnected), 'the end to be noticed')
  clients.forEach(client => client.close())
}

/** Writes a numbered edit at a time until `signal` has ended the server, and answers how many it wrote. */
async function writeUntilEnded(client, acks, server, signal) {
  let count = 0
  let ended
  while (client.provider.wsconnected) {
    client.append(`${count++} `)
    await turn()
    if (acks.durable > UNTIL_END) ended ??= server.end(signal)
  }
  // Who reconnects starts counting anew.
  client.provider.disconnect()
  await ended
  return count
}

const numbers = count => Array.from({ length: count }, (_, n) => `${n} `).join('')

for (const signal of ['SIGKILL', 'SIGTERM']) {
  test(`what was acknowledged is there after ${signal}, with nobody to bring it back`, async t => {
    const server = await ownServer(t)
    const acks = new Acknowledged()
    const client = await asking(t, server, 'kept', acks)
    for (let n = 0; n < 50; n++) client.append(`${n} `)
    client.doc.getMap('map').set('key', { nested: [1, 'two', null] })
    await acks.all()
    assert.deepEqual([acks.durable, acks.refused], [52, 0])
    await server.end(signal)
    await leave(client)

    await server.start()
    const later = await new Client(t, server.url, 'kept').synced()
    assert.equal(later.text.toString(), numbers(50))
    assert.deepEqual(later.doc.getMap('map').toJSON(), { key: { nested: [1, 'two', null] } })
  })

  for (const [often, args] of [['', []], [', with a snapshot every now and then', OFTEN]]) {
    test(`an end by ${signal} amid writing takes nothing that was acknowledged${often}`, async t => {
      const server = await ownServer(t, { args })
      for (let round = 0; round < ROUNDS; round++) {
        const name = `amid/${round}`
        const acks = new Acknowledged()
        const client = await asking(t, server, name, acks)
        const written = await writeUntilEnded(client, acks, server, signal)
        // The first one that counts is the answer to the server's question, which held nothing.
        const acknowledged = acks.durable - 1
        assert.ok(acknowledged >= UNTIL_END)
        await leave(client)

        await server.start()
        const text = await readBy(t, server, name)
        assert.ok(text.startsWith(numbers(acknowledged)), `${acknowledged} were acknowledged, and it reads ${text}`)
        assert.ok(numbers(written).startsWith(text), 'no more than was written')
      }
    })
  }
}

test('one document goes through many ends, and so do all clients of it', async t => {
  const server = await ownServer(t, { args: OFTEN })
  let expected = ''
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGKILL', 'SIGTERM']) {
    const acks = new Acknowledged()
    const client = await asking(t, server, 'long-lived', acks)
    assert.equal(client.text.toString(), expected)
    await acks.all()
    for (let n = 0; n < 40; n++) client.append(`${n} `)
    client.text.delete(0, 10)
    await acks.all()
    expected = client.text.toString()
    await server.end(signal)
    await leave(client)
    await server.start()
  }
  assert.equal(await readBy(t, server, 'long-lived'), expected)
})

test('who stayed and who comes later end equal', async t => {
  const server = await ownServer(t)
  const acks = new Acknowledged()
  const stayed = await asking(t, server, 'stayed', acks)
  stayed.append('before. ')
  await acks.all()
  await server.end('SIGKILL')
  await until(() => !stayed.provider.wsconnected, 'the end to be noticed')
  stayed.append('meanwhile. ')
  await server.start()
  const late = await new Client(t, server.url, 'stayed').synced()
  assert.ok(['before. ', 'before. meanwhile. '].includes(late.text.toString()))
  await converge([stayed, late])
  assert.equal(late.text.toString(), 'before. meanwhile. ')
})

test('documents are listed after a restart, whatever they are called', async t => {
  const server = await ownServer(t)
  const written = ['plain', 'nested/in/a/folder', 'Über uns 100 %', '文書/🦀', 'up/../and/down', 'a\\b']
  const acks = written.map(() => new Acknowledged())
  const clients = await Promise.all(written.map(async (name, n) => {
    const client = await asking(t, server, encodeURIComponent(name), acks[n])
    client.append(name)
    await acks[n].all()
    return client
  }))
  const body = JSON.stringify({ name: 'empty' })
  const created = await fetch(`${server.http}/api/documents`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  assert.equal(created.status, 201)
  await server.end('SIGKILL')
  await leave(...clients)

  await server.start()
  const { documents } = await (await fetch(`${server.http}/api/documents`)).json()
  const inByteOrder = [...written, 'empty'].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  assert.deepEqual(documents.map(document => document.name), inByteOrder)
  assert.ok(documents.every(document => !document.open && document.sessions === 0))
  for (const name of written) assert.equal(await readBy(t, server, encodeURIComponent(name)), name)
  assert.equal(await readBy(t, server, 'empty'), '')
})

test('a document of 5 MB comes back whole', async t => {
  const server = await ownServer(t)
  const acks = new Acknowledged()
  const client = await asking(t, server, 'big', acks)
  const piece = 'All of it has to be there. '.repeat(4_000)
  for (let n = 0; n < 50; n++) client.append(piece)
  await acks.all()
  const text = client.text.toString()
  await server.end('SIGKILL')
  await leave(client)
  await server.start()
  assert.ok(await readBy(t, server, 'big') === text)
})

test('a server says where it keeps documents, and keeps them in data/db unless told otherwise', async t => {
  const servers = await Promise.all([null, 'db', 'memory'].map(data => ownServer(t, { data })))
  const [untold, told, memory] = servers
  const greeted = server => until(() => server.output.includes('Ctrl-C'), 'the end of the greeting')
  await Promise.all(servers.map(greeted))
  for (const server of [untold, told]) {
    const { store, durability } = await readyz(server)
    assert.deepEqual([store, durability], ['disk', 'local'])
    assert.match(server.output, /what is acknowledged is on disk/)
  }
  const { store, durability } = await readyz(memory)
  assert.deepEqual([store, durability], ['memory', 'memory'])
  assert.doesNotMatch(memory.output, /on disk/)
  const has = (server, directory) => existsSync(path.join(server.directory, directory))
  assert.deepEqual([untold, told, memory].map(server => has(server, 'data/db')), [true, false, false])
  assert.deepEqual([untold, told, memory].map(server => has(server, 'db')), [false, true, false])
})

test('a second server on a directory that is taken says so and ends', async t => {
  const server = await ownServer(t)
  const data = path.join(server.directory, 'db')
  const second = new Server({ data })
  t.after(() => second.discard())
  await assert.rejects(second.start(), /did not start \(exit [1-9]/)
  assert.ok(second.output.includes(data), second.output)
  await new Client(t, server.url, 'undisturbed').synced()
})

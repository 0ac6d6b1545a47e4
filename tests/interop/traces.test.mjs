import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Acknowledged } from './support/acks.mjs'
import { Client, converge } from './support/client.mjs'
import { Flow } from './support/flow.mjs'
import { startServer } from './support/server.mjs'
import { Authors, Typist, readTrace } from './support/traces.mjs'
import { untilEvent } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

const CATCH_UP_MS = 60_000
// A paste of a whole page may wait in a socket, the session behind it may not.
const BUFFERED_MAX_BYTES = 1024 * 1024

async function writerOf(t, name) {
  const acks = new Acknowledged()
  const client = await new Client(t, server.url, name, acks.options).synced()
  return { client, acks, flow: new Flow(client.provider) }
}

/** Asserts what a replay must have led to, once all of it has arrived. */
async function assertArrived(t, name, { writers, reader, endContent, edits, since }) {
  await converge([reader, ...writers.map(({ client }) => client)], CATCH_UP_MS)
  const seconds = (performance.now() - since) / 1000
  t.diagnostic(`${name}: ${edits} edits in ${seconds.toFixed(1)} s, ${Math.round(edits / seconds)} edits/s`)
  assert.equal(reader.text.toString(), endContent)
  const late = await new Client(t, server.url, name).synced()
  assert.equal(late.text.toString(), endContent)
  for (const { acks, flow } of writers) {
    assert.ok(flow.peakBytes < BUFFERED_MAX_BYTES, `${flow.peakBytes} bytes waited in the socket`)
    assert.equal(acks.connections.length, 1)
  }
}

/** Asserts that each edit was a message of its own, and that each was acknowledged. */
async function assertAcknowledged({ writers, edits }) {
  const sent = writers.reduce((sum, { acks }) => sum + acks.sent, 0)
  assert.equal(sent, edits + writers.length, 'an edit is a message, and each writer answered one question')
  for (const { acks } of writers) {
    await acks.all(CATCH_UP_MS)
    assert.equal(acks.refused, 0)
  }
}

for (const name of ['sveltecomponent', 'seph-blog1']) {
  test(`${name}: one author`, async t => {
    const { startContent, endContent, txns } = readTrace(name)
    const writer = await writerOf(t, name)
    const reader = await new Client(t, server.url, name).synced()
    assert.equal(startContent, '')
    const typist = new Typist(writer.client.doc)
    const since = performance.now()
    for (const { patches } of txns) {
      typist.type(patches)
      await writer.flow.edited()
    }
    const replay = { writers: [writer], reader, endContent, edits: txns.length, since }
    await assertArrived(t, name, replay)
    await t.test('every edit is acknowledged', () => assertAcknowledged(replay))
  })
}

test('friendsforever: two authors at the same time', async t => {
  const { endContent, numAgents, txns } = readTrace('friendsforever')
  const writers = await Promise.all(Array.from({ length: numAgents }, () => writerOf(t, 'friendsforever')))
  const reader = await new Client(t, server.url, 'friendsforever').synced()
  const authors = new Authors(numAgents)
  t.after(() => authors.destroy())
  const since = performance.now()
  for (const transaction of txns) {
    const { client, flow } = writers[transaction.agent]
    const { update, before } = authors.type(transaction)
    await untilEvent(client.doc, 'afterTransaction', () => knows(client.doc, before), 'what the author has read')
    Y.applyUpdate(client.doc, update, 'the author')
    await flow.edited()
  }
  const replay = { writers, reader, endContent, edits: txns.length, since }
  await assertArrived(t, 'friendsforever', replay)
  await t.test('every edit is acknowledged', () => assertAcknowledged(replay))
})

/** Whether a document has all that a state vector names. */
function knows(doc, stateVector) {
  for (const [client, clock] of stateVector) if (Y.getState(doc.store, client) < clock) return false
  return true
}

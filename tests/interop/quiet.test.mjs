import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import * as Y from 'yjs'
import { Awareness } from 'y-protocols/awareness'
import { Client, converge } from './support/client.mjs'
import * as frames from './support/frames.mjs'
import { startServer } from './support/server.mjs'
import { RawSocket, recordingSocket } from './support/sockets.mjs'
import { next, until } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

// More than twice the 30 s of silence after which a stock client hangs up.
const LONE_MS = 65_000
// The server gives up on a peer that was silent for 45 s.
const MUTE_MS = 60_000

// These wait for real clocks, so they wait together.
describe('silence', { concurrency: true }, () => {
  test('a lone client that says nothing stays connected, and still syncs', async t => {
    const { Socket, connections } = recordingSocket()
    const lone = await new Client(t, server.url, 'lone', { awareness: null, WebSocketPolyfill: Socket }).synced()
    const sentAtFirst = connections[0].sent.length
    await connectedFor(lone, LONE_MS)
    assert.equal(connections.length, 1)
    assert.equal(connections[0].sent.length, sentAtFirst, 'nothing but the server kept it up')
    assert.ok(connections[0].received.filter(isEmptyAwareness).length >= 2)
    const other = await new Client(t, server.url, 'lone').synced()
    other.append('after a long silence')
    await converge([lone, other])
    lone.append(', still here')
    await converge([lone, other])
    assert.equal(other.text.toString(), 'after a long silence, still here')
  })

  test('two silent clients of one document stay connected', async t => {
    const silent = ['a', 'b'].map(() => new Client(t, server.url, 'pair', { awareness: null }))
    await Promise.all(silent.map(client => client.synced()))
    await Promise.all(silent.map(client => connectedFor(client, LONE_MS)))
    silent[0].append('both here')
    await converge(silent)
  })

  test('a client whose presence nobody else answers stays connected', async t => {
    const lone = await new Client(t, server.url, 'presence', { awareness: { user: 'alone' } }).synced()
    await connectedFor(lone, LONE_MS)
  })

  test('a peer that answers no ping is closed, and its presence goes with it', async t => {
    const watcher = await new Client(t, server.url, 'mute', { awareness: { user: 'watcher' } }).synced()
    const mute = await new RawSocket(t, `${server.url}/mute`, [], { autoPong: false }).opened()
    const presence = presenceOf(t, 'mute')
    mute.send(frames.step1(presence.doc))
    mute.send(frames.awareness(presence, [presence.clientID]))
    await until(() => watcher.awareness.getStates().has(presence.clientID), 'the mute peer to be seen')
    await until(() => mute.closed, 'the mute peer to be closed', MUTE_MS)
    await until(() => !watcher.awareness.getStates().has(presence.clientID), 'its presence to be gone')
    assert.ok(watcher.provider.wsconnected)
  })
})

const isEmptyAwareness = frame => frame.type === frames.AWARENESS && frame.body.length === 1 && frame.body[0] === 0

/** Resolves after `ms` if the client was never disconnected, and fails as soon as it is. */
async function connectedFor({ provider }, ms) {
  const since = performance.now()
  const lost = next(provider, 'connection-close', 2 * ms).then(([event]) => {
    throw new Error(`disconnected after ${Math.round(performance.now() - since)} ms: ${event?.code ?? 'by the client'}`)
  })
  lost.catch(() => {})
  await Promise.race([lost, until(() => performance.now() - since >= ms, 'the time to pass', 2 * ms)])
  assert.ok(provider.wsconnected && provider.synced)
}

function presenceOf(t, user) {
  const doc = new Y.Doc()
  const presence = new Awareness(doc)
  presence.setLocalState({ user })
  t.after(() => doc.destroy())
  return presence
}

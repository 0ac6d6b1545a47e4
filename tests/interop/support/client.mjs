import assert from 'node:assert/strict'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { until } from './wait.mjs'

// y-websocket names the browser's global (in its resync timer too), which this Node doesn't have yet.
globalThis.WebSocket ??= WebSocket

// Each provider listens for the end of the process.
process.setMaxListeners(0)

/**
 * A Yjs document with its stock provider, closed at the end of the test. Beside the provider's own options it takes
 * the awareness state and the message handlers that it shall have before it connects.
 */
export class Client {
  constructor(t, url, name, { awareness, handlers, ...options } = {}) {
    this.doc = new Y.Doc()
    this.provider = new WebsocketProvider(url, name, this.doc, {
      connect: false, disableBc: true, maxBackoffTime: 200, ...options
    })
    Object.assign(this.provider.messageHandlers, handlers)
    if (awareness !== undefined) this.awareness.setLocalState(awareness)
    if (options.connect !== false) this.provider.connect()
    t.after(() => this.close())
  }

  get id() { return this.doc.clientID }
  get awareness() { return this.provider.awareness }
  get text() { return this.doc.getText('text') }

  append(string) {
    this.text.insert(this.text.length, string)
  }

  async synced() {
    await until(() => this.provider.synced, 'synced')
    return this
  }

  /** What this client sees of another's presence. */
  sees(other) {
    return this.awareness.getStates().get(other.id)
  }

  close() {
    this.provider.destroy()
    this.doc.destroy()
  }
}

/** Clients of one document, all of them synced. */
export const join = (t, url, name, count, options) =>
  Promise.all(Array.from({ length: count }, () => new Client(t, url, name, options).synced()))

/** Waits until all hold the same structs and the same deletions, and asserts that they read the same. */
export async function converge(clients, ms) {
  const [first, ...others] = clients
  // State vectors are compared first, because they cost next to nothing.
  const same = () => others.every(other => sameVector(first.doc, other.doc))
    && others.every(other => Y.equalSnapshots(Y.snapshot(first.doc), Y.snapshot(other.doc)))
  await until(same, () => `convergence of ${clients.map(client => describe(client.doc)).join(' | ')}`, ms)
  for (const { doc } of clients) assert.equal(doc.store.pendingStructs, null)
  for (const other of others) assert.equal(other.text.toString(), first.text.toString())
}

const sameVector = (one, other) => Buffer.from(Y.encodeStateVector(one)).equals(Y.encodeStateVector(other))

const describe = doc => JSON.stringify([...Y.decodeStateVector(Y.encodeStateVector(doc))].sort())

import assert from 'node:assert/strict'
import { ACKNOWLEDGED, readAcknowledged } from './frames.mjs'
import { recordingSocket } from './sockets.mjs'
import { until } from './wait.mjs'

const NONE = { durable: 0, refused: 0, sent: 0 }

/**
 * Acknowledgements as an application reads them: by a message handler of a stock provider. Beside each one is kept
 * how many changes had been sent by then on the same connection.
 */
export class Acknowledged {
  #recorder = recordingSocket()
  #byConnection = new Map()
  #params

  constructor(params = {}) {
    this.#params = params
  }

  /** What the client is to be made with. */
  get options() {
    return {
      params: { ...this.#params, acks: '1' },
      WebSocketPolyfill: this.#recorder.Socket,
      handlers: { [ACKNOWLEDGED]: (_encoder, decoder, provider) => this.#note(provider.ws, readAcknowledged(decoder)) }
    }
  }

  get connections() { return this.#recorder.connections }
  /** All acknowledgements of the present connection. */
  get history() { return this.#byConnection.get(this.connections.at(-1)) ?? [] }
  get durable() { return (this.history.at(-1) ?? NONE).durable }
  get refused() { return (this.history.at(-1) ?? NONE).refused }
  get settled() { return this.durable + this.refused }
  /** How many changes were sent on the present connection. */
  get sent() { return changesOf(this.connections.at(-1)) }

  /** Waits until all that was sent is settled, neither more nor less. */
  async all(ms) {
    await until(() => this.sent > 0 && this.settled >= this.sent, () => `${this.sent} settled, not ${this.settled}`, ms)
    this.assertExact()
  }

  assertExact() {
    assert.equal(this.settled, this.sent)
    for (const history of this.#byConnection.values()) assertCumulative(history)
  }

  #note(connection, counts) {
    if (!this.#byConnection.has(connection)) this.#byConnection.set(connection, [])
    this.#byConnection.get(connection).push({ ...counts, sent: changesOf(connection) })
  }
}

const changesOf = connection => connection?.changes ?? 0

function assertCumulative(history) {
  let before = NONE
  for (const now of history) {
    assert.ok(now.durable >= before.durable && now.refused >= before.refused, 'counts never decrease')
    assert.ok(now.durable + now.refused <= now.sent, 'nothing is settled before it was sent')
    before = now
  }
}

import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'

const EDITS_PER_TURN = 64
const HIGH_WATER_BYTES = 256 * 1024

/**
 * Keeps a provider that edits in a loop in step with its socket: the event loop gets its turns, and the socket
 * is waited for when it holds back too much.
 */
export class Flow {
  peakBytes = 0
  #edits = 0

  constructor(provider) {
    this.provider = provider
  }

  async edited() {
    if (++this.#edits % EDITS_PER_TURN) return
    this.peakBytes = Math.max(this.peakBytes, this.#buffered)
    do await turn()
    while (this.#buffered > HIGH_WATER_BYTES)
  }

  get #buffered() {
    assert.ok(this.provider.wsconnected, 'the provider stays connected')
    return this.provider.ws.bufferedAmount
  }
}

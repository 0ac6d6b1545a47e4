import { WebSocket } from 'ws'
import { decode, isChange } from './frames.mjs'
import { next, until } from './wait.mjs'

/** A WebSocket class for a provider that notes every frame of every connection, without changing any. */
export function recordingSocket() {
  const connections = []
  class RecordingSocket extends WebSocket {
    sent = []
    received = []
    /** How many of the frames sent are of the kind that acknowledgements count. */
    changes = 0

    constructor(...args) {
      super(...args)
      connections.push(this)
      this.on('message', data => this.received.push(decode(data)))
    }

    send(data, ...rest) {
      const frame = decode(data)
      this.sent.push(frame)
      if (isChange(frame)) this.changes++
      super.send(data, ...rest)
    }
  }
  return { Socket: RecordingSocket, connections }
}

/** A WebSocket class that sends HTTP headers, as programs outside a browser can. */
export const socketWithHeaders = headers => class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { headers })
  }
}

/** A bare connection, for what no stock client would send or look at. */
export class RawSocket {
  received = []
  closed = null

  constructor(t, url, protocols = [], options = {}) {
    this.ws = new WebSocket(url, protocols, options)
    this.ws.binaryType = 'arraybuffer'
    this.ws.on('message', data => this.received.push(decode(data)))
    this.ws.on('close', (code, reason) => { this.closed = { code, reason: reason.toString() } })
    t.after(() => this.ws.terminate())
  }

  /** Fails, as `ws` does, if the server refuses the upgrade. */
  async opened() {
    if (this.ws.readyState === WebSocket.OPEN) return this
    await Promise.race([next(this.ws, 'open'), next(this.ws, 'error').then(([error]) => { throw error })])
    return this
  }

  send(frame) {
    this.ws.send(frame)
  }

  frame(matches, what) {
    return until(() => this.received.find(matches), what)
  }

  close() {
    return until(() => this.closed, 'a close')
  }
}

/** The HTTP status that a refused upgrade was answered with. */
export async function refusal(t, url, options = {}) {
  const ws = new WebSocket(url, options)
  ws.on('error', () => {})
  t.after(() => ws.terminate())
  const opened = next(ws, 'open').then(() => { throw new Error(`${url} was let in`) })
  const refused = next(ws, 'unexpected-response').then(([, response]) => response.statusCode)
  return Promise.race([refused, opened])
}

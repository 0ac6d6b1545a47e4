import { once } from 'node:events'
import net from 'node:net'

/** A TCP relay in front of a server, to take the network away and give it back. */
export class Proxy {
  #pairs = new Set()
  #isCut = false
  #target
  #listener = net.createServer({ allowHalfOpen: true }, near => this.#accept(near))

  constructor(target) {
    this.#target = target
  }

  get url() { return `ws://127.0.0.1:${this.#listener.address().port}/ws` }

  async listen(t) {
    this.#listener.listen(0, '127.0.0.1')
    await once(this.#listener, 'listening')
    t.after(() => this.#close())
    return this
  }

  /** Resets every connection on both sides, and each new one, until `heal`. */
  cut() {
    this.#isCut = true
    for (const socket of this.#pairs) socket.resetAndDestroy()
  }

  heal() {
    this.#isCut = false
  }

  #accept(near) {
    near.on('error', () => {})
    if (this.#isCut) return near.resetAndDestroy()
    const far = net.connect({ port: this.#target.port, host: '127.0.0.1', allowHalfOpen: true })
    this.#relay(near, far)
    this.#relay(far, near)
  }

  #relay(from, to) {
    this.#pairs.add(from)
    from.pipe(to)
    from.on('error', () => to.resetAndDestroy())
    from.on('close', () => {
      this.#pairs.delete(from)
      to.destroySoon()
    })
  }

  #close() {
    this.cut()
    this.#listener.close()
  }
}

export const proxyTo = (t, server) => new Proxy(server).listen(t)

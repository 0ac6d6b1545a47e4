import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './wait.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
export const BINARY = path.resolve(process.env.YMESH_BIN ?? path.join(HERE, '../../../target/release/y-mesh'))
/** Where servers keep documents unless a test says otherwise. */
const DATA = process.env.YMESH_TEST_DATA ?? 'memory'
const START_MS = 20_000
const STOP_MS = 15_000

/** Those that are to go when this process does, however it ends. */
const running = new Set()
process.on('exit', () => running.forEach(server => server.discard()))

/**
 * One y-mesh process on a port of its own, in a directory of its own. `data` is where it keeps documents, relative to that
 * directory; `null` leaves that to the server.
 */
export class Server {
  #args
  #data
  #directory = mkdtempSync(path.join(tmpdir(), 'y-mesh-interop-'))
  #process = null
  #output = ''

  constructor({ args = [], port = 0, data = DATA } = {}) {
    this.#args = args
    this.#data = data
    this.port = port
    running.add(this)
  }

  get host() { return `127.0.0.1:${this.port}` }
  get http() { return `http://${this.host}` }
  /** What a y-websocket provider is given as its server. */
  get url() { return `ws://${this.host}/ws` }
  get output() { return this.#output }
  get directory() { return this.#directory }

  /** Starts it on the port that it had before, if it had one. */
  async start() {
    const data = this.#data === null ? [] : ['--data', this.#data]
    const args = ['--port', String(this.port), ...data, ...this.#args]
    // What a developer has set for a server of their own isn't meant for this one.
    const { YMESH_DATA, ...env } = process.env
    const child = spawn(BINARY, args, { cwd: this.#directory, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    let stdout = ''
    child.stdout.on('data', data => { stdout += data; this.#output += data })
    child.stderr.on('data', data => { this.#output += data })
    await once(child, 'spawn')
    const address = await until(
      () => child.exitCode === null ? stdout.match(/http:\/\/127\.0\.0\.1:(\d+)/) : this.#fail('did not start'),
      () => `an address from ${BINARY}\n${this.#output}`,
      START_MS
    )
    this.port = Number(address[1])
    return this
  }

  /** Ends the process with `signal`, and answers how it ended once it has. */
  async end(signal) {
    const child = this.#process
    if (child.exitCode !== null || child.signalCode !== null) this.#fail('ended by itself')
    const ended = once(child, 'exit', { signal: AbortSignal.timeout(STOP_MS) })
    child.kill(signal)
    const [code, bySignal] = await ended
    this.#process = null
    return bySignal ?? code
  }

  /** Waits until the process has ended without having been told to, and answers its exit code. */
  async endedByItself() {
    const child = this.#process
    await until(() => child.exitCode !== null || child.signalCode !== null, 'the server to end', STOP_MS)
    this.#process = null
    return child.exitCode
  }

  /** For the end of a test: a server that had died meanwhile is a failure, and so is a panic that it survived. */
  async stop() {
    try {
      if (this.#process) await this.end('SIGTERM')
      if (this.#output.includes('panicked at')) throw new Error(this.#output)
    } finally {
      this.discard()
    }
  }

  discard() {
    this.#process?.kill('SIGKILL')
    running.delete(this)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #fail(what) {
    throw new Error(`y-mesh ${what} (exit ${this.#process.exitCode ?? this.#process.signalCode})\n${this.#output}`)
  }
}

export async function startServer(options) {
  const server = new Server(options)
  try {
    return await server.start()
  } catch (error) {
    server.discard()
    throw error
  }
}

/** How many sessions the server counts on a document that somebody has written in. */
export async function sessionsOf(server, name) {
  const answer = await fetch(`${server.http}/api/documents?limit=1000`)
  const { documents } = await answer.json()
  return documents.find(document => document.name === name)?.sessions
}

// The real server, on a port of its own.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const binary = process.env.YMESH_BIN ?? new URL('../../../target/release/y-mesh', import.meta.url).pathname
const startMaxMs = 20_000
const stopMaxMs = 20_000

/**
 * Starts a server. `tokens` are lines of a token file; without any everyone may write. `data` is where it keeps documents,
 * relative to a directory of its own; `args` are further arguments.
 */
export async function startServer({ tokens = [], data = 'memory', args = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'y-mesh-browser-'))
  const options = ['--data', data, ...tokenOptions(folder, tokens)]
  let running = await run(folder, 0, [...options, ...args])
  const { url } = running
  const port = Number(new URL(url).port)
  /** Ends it as a crash would, and starts it on the same port; with other further arguments, if they're given. */
  const crash = async (next = args) => {
    await ended(running.child, 'SIGKILL')
    running = await run(folder, port, [...options, ...next])
  }
  return { url, port, crash, stop: () => stop(running.child, folder) }
}

async function run(folder, port, options) {
  const child = spawn(binary, ['--port', String(port), ...options], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  return { child, url: await announced(child, collect(child)) }
}

function tokenOptions(folder, tokens) {
  if (tokens.length === 0) return []
  const file = join(folder, 'tokens')
  writeFileSync(file, tokens.join('\n'))
  return ['--token-file', file]
}

function collect(child) {
  const log = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => log.push(piece))
  return () => Buffer.concat(log).toString()
}

function announced(child, log) {
  return new Promise((resolve, reject) => {
    const give = (error) => {
      clearTimeout(timer)
      reject(new Error(`${error}: ${binary}\n${log()}`))
    }
    const timer = setTimeout(() => give('the server did not say where it listens'), startMaxMs)
    child.once('error', give)
    child.once('exit', () => give('the server ended'))
    child.stdout.on('data', () => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(log())
      if (found === null) return
      clearTimeout(timer)
      resolve(found[0])
    })
  })
}

async function stop(child, folder) {
  try {
    if (child.exitCode === null && child.signalCode === null) await ended(child, 'SIGTERM')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function ended(child, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error('the server did not end when it was asked to'))
    }, stopMaxMs)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill(signal)
  })
}

// The real server, on a port of its own.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const binary = process.env.YMESH_BIN ?? new URL('../../../target/release/y-mesh', import.meta.url).pathname
const startMaxMs = 20_000
const stopMaxMs = 20_000

/** Starts a server. `tokens` are lines of a token file; without any everyone may write. */
export async function startServer(tokens = []) {
  const folder = mkdtempSync(join(tmpdir(), 'y-mesh-browser-'))
  const child = spawn(binary, ['--port', '0', ...tokenOptions(folder, tokens)], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const log = collect(child)
  const url = await announced(child, log)
  return { url, port: Number(new URL(url).port), stop: () => stop(child, folder) }
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
    if (child.exitCode === null && child.signalCode === null) await ended(child)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function ended(child) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error('the server did not end when it was asked to'))
    }, stopMaxMs)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

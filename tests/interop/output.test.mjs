import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { BINARY } from './support/server.mjs'

test('a server whose output nobody reads any more stops as gently as any other', async t => {
  const child = spawn(BINARY, ['--port', '0', '--data', 'memory'], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let complaints = ''
  child.stderr.on('data', data => { complaints += data })
  await once(child.stdout, 'data')
  child.stdout.destroy()
  await once(child.stdout, 'close')
  const ended = once(child, 'exit', { signal: AbortSignal.timeout(15_000) })
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null], complaints)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Acknowledged } from './support/acks.mjs'
import { Client } from './support/client.mjs'
import { Server } from './support/server.mjs'
import { until } from './support/wait.mjs'

const SMALL_MB = 24
const LARGE_MB = 256
/** Bytes of an edit: a few hundred of them fill the disk. */
const EDIT = 32 << 10

const as = (program, ...args) => spawnSync(program, args, { encoding: 'utf8' })

/** A server that keeps its documents on a small disk of its own; nothing, if this machine lets nobody make one. */
async function onSmallDisk(t, reserve) {
  const server = new Server({ data: 'db', args: ['--set', `limits.disk_reserve_bytes=${reserve}`] })
  const directory = path.join(server.directory, 'db')
  mkdirSync(directory)
  const mounted = as('mount', '-t', 'tmpfs', '-o', `size=${SMALL_MB}m`, 'tmpfs', directory)
  if (mounted.status !== 0) {
    server.discard()
    return t.skip(`a small tmpfs can't be mounted: ${(mounted.error?.message ?? mounted.stderr).trim()}`)
  }
  t.after(() => {
    as('umount', '--lazy', directory)
    return server.stop()
  })
  await server.start()
  const grow = () => assert.equal(as('mount', '-o', `remount,size=${LARGE_MB}m`, directory).status, 0)
  return { server, grow }
}

const edit = n => `${n} `.padEnd(EDIT, '.')
const edits = count => Array.from({ length: count }, (_, n) => edit(n)).join('')

async function writing(t, server) {
  const acks = new Acknowledged()
  const client = await new Client(t, server.url, 'growing', acks.options).synced()
  let count = 0
  /** Writes an edit at a time until `isEnough`. */
  const write = async isEnough => {
    while (!isEnough()) {
      client.append(edit(count++))
      await turn()
      assert.ok(count * EDIT < LARGE_MB << 19, 'the disk is full at some time')
    }
  }
  return { acks, client, write, count: () => count }
}

const readBy = async (t, server) => (await new Client(t, server.url, 'growing').synced()).text.toString()

test('a disk that is full ends the server, and takes nothing that was acknowledged', async t => {
  const place = await onSmallDisk(t, 0)
  if (!place) return
  const { server, grow } = place
  const { acks, client, write, count } = await writing(t, server)
  await write(() => !client.provider.wsconnected)
  const acknowledged = acks.durable - 1
  client.close()
  assert.notEqual(await server.endedByItself(), 0)
  assert.match(server.output, /No space left on device/)
  assert.ok(acknowledged > 100, `${acknowledged} were acknowledged`)

  grow()
  await server.start()
  const text = await readBy(t, server)
  assert.ok(text.startsWith(edits(acknowledged)), `${acknowledged} were acknowledged, and ${text.length / EDIT} are there`)
  assert.ok(edits(count()).startsWith(text), 'no more than was written')
})

test('a disk that runs low refuses what is written, and takes it when there is space again', async t => {
  const place = await onSmallDisk(t, 8 << 20)
  if (!place) return
  const { server, grow } = place
  const { acks, client, write, count } = await writing(t, server)
  await write(() => acks.refused > 0)
  await acks.all()
  assert.equal((await (await fetch(`${server.http}/readyz`)).json()).low, true)
  const kept = await readBy(t, server)
  assert.ok(edits(count()).startsWith(kept) && kept.length < count() * EDIT, 'a part of it is kept')

  grow()
  await until(async () => await readBy(t, server) === edits(count()), 'what was refused to be kept', 30_000)
})

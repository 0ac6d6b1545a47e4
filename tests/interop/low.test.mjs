import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import * as decoding from 'lib0/decoding'
import { Acknowledged } from './support/acks.mjs'
import { Client } from './support/client.mjs'
import { ACKNOWLEDGED, AUTH } from './support/frames.mjs'
import { startServer } from './support/server.mjs'
import { until } from './support/wait.mjs'

/** More than any disk has. */
const ALWAYS_LOW = ['--set', 'limits.disk_reserve_bytes=1000000000000000']

test('what a stock client types while the disk is almost full is saved when there is space again', async t => {
  const low = await startServer({ data: 'db', args: ALWAYS_LOW })
  t.after(() => low.stop())
  const ready = await (await fetch(`${low.http}/readyz`)).json()
  assert.deepEqual([ready.ready, ready.low], [true, true])

  const acks = new Acknowledged()
  const reasons = []
  const handlers = {
    ...acks.options.handlers,
    [AUTH]: (_encoder, decoder) => {
      decoding.readVarUint(decoder)
      reasons.push(decoding.readVarString(decoder))
    }
  }
  const ada = await new Client(t, low.url, 'low', { ...acks.options, handlers }).synced()
  ada.append('typed ')
  ada.append('meanwhile')
  await acks.all()
  assert.deepEqual([acks.durable, acks.refused, reasons.length], [1, 2, 1])
  assert.match(reasons[0], /^no space/)
  const onlooker = await new Client(t, low.url, 'low').synced()
  assert.equal(onlooker.text.toString(), '')
  onlooker.close()

  await low.end('SIGTERM')
  const roomy = await startServer({ port: low.port, data: path.join(low.directory, 'db') })
  t.after(() => roomy.stop())
  await until(() => ada.provider.synced && acks.durable > 0 && acks.settled === acks.sent, 'all of it to be saved')
  assert.equal(acks.refused, 0)
  ada.close()
  const later = await new Client(t, roomy.url, 'low').synced()
  assert.equal(later.text.toString(), 'typed meanwhile')
})

test('each acknowledgement says what it means', async t => {
  const server = await startServer({ data: 'db' })
  t.after(() => server.stop())
  const create = body => fetch(`${server.http}/api/documents`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  assert.deepEqual(await (await create({ name: 'fast', durability: 'memory' })).json(), { name: 'fast', durability: 'memory' })
  for (const [name, meaning] of [['fast', 0], ['safe', 1]]) {
    const meanings = []
    const handlers = {
      [ACKNOWLEDGED]: (_encoder, decoder) => {
        decoding.readVarUint(decoder)
        decoding.readVarUint(decoder)
        meanings.push(decoding.readVarUint(decoder))
      }
    }
    const client = await new Client(t, server.url, name, { params: { acks: '1' }, handlers }).synced()
    client.append('x')
    await until(() => meanings.length > 0, 'an acknowledgement')
    assert.deepEqual([...new Set(meanings)], [meaning])
  }
})

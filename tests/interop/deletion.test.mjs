import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, converge } from './support/client.mjs'
import { startServer } from './support/server.mjs'
import { until } from './support/wait.mjs'

let server
before(async () => { server = await startServer({ data: 'db' }) })
after(() => server.stop())

const remove = async name => (await fetch(`${server.http}/api/documents/${name}`, { method: 'DELETE' })).status
const listed = async () => (await (await fetch(`${server.http}/api/documents`)).json()).documents.map(({ name }) => name)

/** The codes that a provider's sockets were closed with. */
function closings(client) {
  const codes = []
  client.provider.on('connection-close', event => { if (event) codes.push(event.code) })
  return codes
}

async function writer(t, name, options) {
  const client = await new Client(t, server.url, name, options).synced()
  client.append('secret')
  const reader = await new Client(t, server.url, name).synced()
  await converge([client, reader])
  reader.close()
  return client
}

test('a deletion closes the stock provider with 4404, and it stops for ever', async t => {
  const ada = await writer(t, 'stops')
  const codes = closings(ada)
  assert.equal(await remove('stops'), 204)
  await until(() => codes.length > 0, 'the close')
  assert.deepEqual([codes, ada.provider.shouldConnect], [[4404], false])
  assert.ok(!(await listed()).includes('stops'))
  assert.equal(await remove('stops'), 404)
})

test('a provider that comes back with what was deleted is sent nothing, and brings nothing back', async t => {
  const ada = await writer(t, 'comes-back')
  const codes = closings(ada)
  assert.equal(await remove('comes-back'), 204)
  await until(() => codes.length === 1, 'the first close')
  const received = []
  ada.provider.messageHandlers = ada.provider.messageHandlers.map((handle, type) => (...all) => {
    received.push(type)
    return handle(...all)
  })
  ada.append(' and more')
  ada.provider.connect()
  await until(() => codes.length === 2, 'the second close')
  assert.deepEqual([codes[1], received], [4404, []])
  const fresh = await new Client(t, server.url, 'comes-back').synced()
  assert.equal(fresh.text.toString(), '')
  assert.ok(!(await listed()).includes('comes-back'))
})

test('a provider that never gives up is told each time, and others write on under the name', async t => {
  const ada = await writer(t, 'insists')
  const codes = closings(ada)
  // As every provider before y-websocket 3.1 does.
  ada.provider.on('closed', () => ada.provider.connect())
  assert.equal(await remove('insists'), 204)
  const [grace, linus] = await Promise.all([1, 2].map(() => new Client(t, server.url, 'insists').synced()))
  grace.append('anew')
  linus.append('!')
  const told = () => codes.filter(code => code === 4404)
  await until(() => told().length > 5, 'several closes')
  await converge([grace, linus])
  // Who comes back before the deletion is on disk is told to come later.
  assert.deepEqual(codes.filter(code => code !== 1013), told())
  assert.equal([...grace.text.toString()].sort().join(''), '!aenw')
  assert.deepEqual((await listed()).filter(name => name === 'insists'), ['insists'])
  ada.close()
})

test('a tombstone outlives the server', async t => {
  const own = await startServer({ data: 'db' })
  t.after(() => own.stop())
  const ada = await new Client(t, own.url, 'kept').synced()
  const codes = closings(ada)
  ada.append('secret')
  await new Client(t, own.url, 'kept').synced()
  assert.equal((await fetch(`${own.http}/api/documents/kept`, { method: 'DELETE' })).status, 204)
  await until(() => codes.length === 1, 'the first close')
  await own.end('SIGKILL')
  await own.start()
  ada.provider.connect()
  await until(() => codes.length === 2, 'the second close')
  assert.deepEqual(codes, [4404, 4404])
})

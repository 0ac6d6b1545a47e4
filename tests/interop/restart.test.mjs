import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, converge, join } from './support/client.mjs'
import { Server, startServer } from './support/server.mjs'
import { RawSocket } from './support/sockets.mjs'
import { until } from './support/wait.mjs'

async function ownServer(t) {
  const server = await startServer()
  t.after(() => server.stop())
  return server
}

const noticed = clients => until(() => clients.every(client => !client.provider.wsconnected), 'the loss to be noticed')

for (const signal of ['SIGKILL', 'SIGTERM']) {
  test(`clients bring everything back after ${signal}`, async t => {
    const server = await ownServer(t)
    const clients = await join(t, server.url, 'healed', 2)
    const [a, b] = clients
    a.append('both knew. ')
    await converge(clients)
    await server.end(signal)
    await noticed(clients)
    a.append('only a knew. ')
    b.append('only b knew. ')
    await server.start()
    await converge(clients)
    const late = await new Client(t, server.url, 'healed').synced()
    await converge([...clients, late])
    assert.match(late.text.toString(), /^both knew\. (only a knew\. only b knew\.|only b knew\. only a knew\.) $/)
  })
}

test('a dozen documents at once come back, and go on', async t => {
  const server = await ownServer(t)
  const pairs = await Promise.all(Array.from({ length: 12 }, (_, n) => join(t, server.url, `many/${n}`, 2)))
  pairs.forEach(([a], n) => a.append(`document ${n}`))
  await Promise.all(pairs.map(pair => converge(pair)))
  await server.end('SIGKILL')
  await noticed(pairs.flat())
  await server.start()
  pairs.forEach(([, b]) => b.append(', again'))
  await Promise.all(pairs.map(async ([a, b], n) => {
    await Promise.all([a.synced(), b.synced()])
    const late = await new Client(t, server.url, `many/${n}`).synced()
    await converge([a, b, late])
    assert.equal(late.text.toString(), `document ${n}, again`)
  }))
})

test('carets are back too', async t => {
  const server = await ownServer(t)
  const [ada, bob] = await Promise.all(['Ada', 'Bob'].map(user =>
    new Client(t, server.url, 'carets', { awareness: { user } }).synced()))
  const bothSee = () => ada.sees(bob) && bob.sees(ada)
  await until(bothSee, 'both to see each other')
  await server.end('SIGKILL')
  await noticed([ada, bob])
  assert.ok(!bothSee())
  await server.start()
  await Promise.all([ada.synced(), bob.synced()])
  await until(bothSee, 'both to see each other again', 2_000)
})

test('a server that ends politely says so, and ends well', async t => {
  const server = await ownServer(t)
  const raw = await new RawSocket(t, `${server.url}/drained`).opened()
  const provider = (await new Client(t, server.url, 'drained').synced()).provider
  const codes = []
  provider.on('connection-close', event => codes.push(event?.code))
  assert.equal(await server.end('SIGTERM'), 0)
  assert.equal((await raw.close()).code, 1012)
  await until(() => codes.length, 'the provider to be closed')
  assert.equal(codes[0], 1012)
  await server.start()
  await until(() => provider.synced, 'the provider to be back')
})

test('a second server on a port that is taken says so and ends', async t => {
  const server = await ownServer(t)
  const second = new Server({ port: server.port })
  t.after(() => second.discard())
  await assert.rejects(second.start(), /did not start \(exit [1-9]/)
  assert.match(second.output, new RegExp(`\\b${server.port}\\b`))
  await new Client(t, server.url, 'undisturbed').synced()
})

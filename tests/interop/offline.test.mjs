import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Client, converge, join } from './support/client.mjs'
import { proxyTo } from './support/proxy.mjs'
import { Random, content, editAnything } from './support/random.mjs'
import { startServer } from './support/server.mjs'
import { until } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

async function cutOff(proxy, client) {
  proxy.cut()
  await until(() => !client.provider.wsconnected, 'the loss to be noticed')
}

test('edits of both sides while the network is away', async t => {
  const proxy = await proxyTo(t, server)
  const [away] = await join(t, proxy.url, 'offline', 1)
  const [home, other] = await join(t, server.url, 'offline', 2)
  home.append('before. ')
  await converge([away, home, other])
  await cutOff(proxy, away)
  away.append('away. ')
  home.append('home. ')
  await converge([home, other])
  assert.equal(home.text.toString(), 'before. home. ')
  assert.equal(away.text.toString(), 'before. away. ')
  proxy.heal()
  await converge([away, home, other])
  assert.match(other.text.toString(), /^before\. (away\. home|home\. away)\. $/)
})

test('what is deleted on one side and edited on the other', async t => {
  const proxy = await proxyTo(t, server)
  const [away] = await join(t, proxy.url, 'deleted', 1)
  const [home] = await join(t, server.url, 'deleted', 1)
  home.append('one two three')
  await converge([away, home])
  await cutOff(proxy, away)
  away.text.delete(0, away.text.length)
  home.text.insert(5, '-new-')
  proxy.heal()
  await converge([away, home])
  assert.equal(away.text.toString(), '-new-')
})

test('a client that starts without a network', async t => {
  const proxy = await proxyTo(t, server)
  proxy.cut()
  const away = new Client(t, proxy.url, 'started-offline')
  away.append('written before the first connection')
  const [home] = await join(t, server.url, 'started-offline', 1)
  assert.equal(home.text.toString(), '')
  proxy.heal()
  await converge([away, home])
  assert.equal(home.text.toString(), 'written before the first connection')
})

test('a network that comes and goes during a hundred edits', async t => {
  const proxy = await proxyTo(t, server)
  const [away] = await join(t, proxy.url, 'flapping', 1)
  const [home] = await join(t, server.url, 'flapping', 1)
  const random = new Random(99)
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 10; i++) editAnything(away.doc, random)
    await cutOff(proxy, away)
    for (let i = 0; i < 10; i++) editAnything(random.pick([home, away]).doc, random)
    proxy.heal()
    await away.synced()
  }
  await converge([away, home])
  assert.deepEqual(content(away.doc), content(home.doc))
})

// A connection that breaks, and comes back.
import assert from 'node:assert/strict'
import { prepare } from './harness/scenario.js'
import { startProxy } from './harness/proxy.js'

const scenario = prepare()
const lostConnections = [/WebSocket connection to/, /Failed to load resource: net::ERR_/]

scenario('what both write while one is cut off is merged, and both carets come back', async ({ person, server, document }) => {
  const proxy = await startProxy(server.port)
  try {
    const ada = await person('Ada', { url: proxy.url })
    const bob = await person('Bob')
    ada.expect(...lostConnections)
    for (const one of [ada, bob]) await one.open(document)
    await ada.goToEnd()
    await ada.type('start')
    await bob.reads('start')
    await ada.settles()

    proxy.cut()
    await ada.state('offline')
    await bob.misses('.caret')
    await ada.type(' of Ada')
    assert.equal(await ada.statusWords(), 'Offline, 7 changes kept in this tab')
    await bob.goToEnd()
    await bob.press('Enter')
    await bob.type('line of Bob')
    await bob.settles()

    proxy.heal()
    await ada.settles()
    for (const one of [ada, bob]) await one.reads('start of Ada\nline of Bob')
    await bob.seesCaret('Ada', 'start of Ada')
    await ada.seesCaret('Bob', 'line of Bob')

    await ada.type('!')
    for (const one of [ada, bob]) await one.reads('start of Ada!\nline of Bob')
    // However the pauses grouped it, all of Ada's own can be taken back, and nothing of Bob's.
    await ada.press('Control+z', 'Control+z', 'Control+z', 'Control+z')
    for (const one of [ada, bob]) await one.reads('line of Bob')
  } finally {
    proxy.stop()
  }
})

scenario('a page that opens while the server is away waits for it', async ({ person, server, document }) => {
  const proxy = await startProxy(server.port)
  try {
    const ada = await person('Ada', { url: proxy.url })
    ada.expect(...lostConnections)
    // The page itself comes from the wire that is cut next.
    await ada.page.route('**/readyz', (route) => {
      proxy.cut()
      return route.abort()
    })
    await ada.page.goto(`${proxy.url}/d/${document}`)
    await ada.state('offline')
    assert.equal(await ada.statusWords(), 'Offline')
    await ada.page.unroute('**/readyz')
    proxy.heal()
    await ada.settles()
  } finally {
    proxy.stop()
  }
})

scenario('nothing is called saved that is kept in memory', async ({ person, server, document }) => {
  const { store, durability } = await (await fetch(`${server.url}/readyz`)).json()
  assert.deepEqual([store, durability], ['memory', 'memory'])
  const ada = await person('Ada')
  await ada.open(document)
  await ada.state('synced')
  assert.equal(await ada.statusWords(), 'Synced, in memory')
  await ada.goToEnd()
  await ada.type('a')
  await ada.state('synced')
  assert.equal(await ada.statusWords(), 'Synced, in memory')
})

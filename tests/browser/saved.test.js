// A server that keeps documents on its disk, and a page that says so only when it's true.
import assert from 'node:assert/strict'
import { prepare } from './harness/scenario.js'

const scenario = prepare({ data: 'db' })
const lostConnections = [/WebSocket connection to/, /Failed to load resource: net::ERR_/]

scenario('what the page calls saved is there after a crash, for who comes later', async ({ person, server, document }) => {
  const ada = await person('Ada')
  await ada.open(document)
  await ada.state('saved')
  await ada.goToEnd()
  await ada.type('kept on disk')
  await ada.reads('kept on disk')
  await ada.frame()
  await ada.state('saved')
  assert.equal(await ada.statusWords(), 'Saved')
  // Nobody who could bring it back stays.
  await ada.leave()

  await server.crash()
  const bob = await person('Bob')
  await bob.open(document)
  await bob.reads('kept on disk')
  await bob.state('saved')
  await bob.goToEnd()
  await bob.type(', and written on')
  await bob.reads('kept on disk, and written on')
  await bob.frame()
  await bob.state('saved')
})

scenario('a page that stays open through a crash saves what was written meanwhile', async ({ person, server, document }) => {
  const ada = await person('Ada')
  ada.expect(...lostConnections)
  await ada.open(document)
  await ada.goToEnd()
  await ada.type('before')
  await ada.reads('before')
  await ada.frame()
  await ada.state('saved')

  await server.crash()
  await ada.type(' and after')
  await ada.reads('before and after')
  await ada.frame()
  await ada.state('saved')
  await ada.leave()

  await server.crash()
  const bob = await person('Bob')
  await bob.open(document)
  await bob.reads('before and after')
})

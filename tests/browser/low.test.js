// A server whose disk is almost full, and what the page makes of it.
import assert from 'node:assert/strict'
import { prepare } from './harness/scenario.js'

/** More than any disk has. */
const alwaysLow = ['--set', 'limits.disk_reserve_bytes=1000000000000000']
const scenario = prepare({ data: 'db', args: alwaysLow })
const lostConnections = [/WebSocket connection to/, /Failed to load resource: net::ERR_/]

scenario('what is written while the disk is full stays in the tab, is said to, and is saved later', async ({ person, server, document }) => {
  const ada = await person('Ada')
  ada.expect(...lostConnections)
  await ada.open(document)
  await ada.goToEnd()
  await ada.type('written')
  await ada.state('refused')
  assert.match(await ada.statusWords(), /not saved: no space$/)
  await ada.type(' meanwhile')
  await ada.reads('written meanwhile')

  await server.crash([])
  await ada.state('saved')
  await ada.leave()
  const bob = await person('Bob')
  await bob.open(document)
  await bob.reads('written meanwhile')
})

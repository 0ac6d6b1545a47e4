import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Client } from './support/client.mjs'
import { sessionsOf, startServer } from './support/server.mjs'
import { processTab, threadTab } from './support/tabs.mjs'
import { until } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

const hereTab = (t, name, user, options) =>
  new Client(t, server.url, name, { disableBc: false, awareness: { user }, ...options })

/** The same words for a tab of this thread and one that lives elsewhere. */
const stateOf = tab => tab instanceof Client ? {
  id: tab.id,
  synced: tab.provider.synced,
  text: tab.text.toString(),
  vector: [...Y.encodeStateVector(tab.doc)],
  present: [...tab.awareness.getStates().keys()]
} : tab.state()

const statesOf = tabs => Promise.all(tabs.map(stateOf))

const allSynced = tabs => until(async () => (await statesOf(tabs)).every(state => state.synced), 'all to be synced')

const allRead = (tabs, text) => until(async () => (await statesOf(tabs)).every(state => state.text === text), `all to read ${text}`)

const allPresent = tabs => until(async () => {
  const states = await statesOf(tabs)
  return states.every(state => states.every(other => state.present.includes(other.id)))
}, 'all to see each other')

/** Three tabs of one browser (two share a thread), and somebody else. */
async function fourTabs(t, name) {
  const elsewhere = processTab(t, server.url, name, 'elsewhere')
  const first = hereTab(t, name, 'first')
  await allSynced([elsewhere, first])
  const second = hereTab(t, name, 'second')
  const thread = threadTab(t, server.url, name, 'thread')
  const tabs = { first, second, thread, elsewhere }
  await allSynced(Object.values(tabs))
  return tabs
}

test('an edit of any tab reaches every tab and every other client', async t => {
  const tabs = await fourTabs(t, 'edits')
  let text = ''
  for (const [name, tab] of Object.entries(tabs)) {
    await tab.append(`${name}. `)
    text += `${name}. `
    await allRead(Object.values(tabs), text)
  }
  const vectors = (await statesOf(Object.values(tabs))).map(state => state.vector)
  for (const vector of vectors) assert.deepEqual(vector, vectors[0])
})

test('all tabs at once converge', async t => {
  const tabs = Object.values(await fourTabs(t, 'at-once'))
  for (let i = 0; i < 25; i++) await Promise.all(tabs.map((tab, n) => tab.append(String(n))))
  const states = await until(async () => {
    const states = await statesOf(tabs)
    return states.every(state => state.text.length === 100 && state.text === states[0].text) && states
  }, 'the same hundred edits everywhere')
  for (const digit of '0123') assert.equal(states[0].text.split(digit).length - 1, 25)
})

test('all tabs see each other', async t => {
  await allPresent(Object.values(await fourTabs(t, 'present')))
})

test('closing a tab does not take its sibling away, whose presence came through it', async t => {
  const { first, second, elsewhere } = await siblings(t, 'sibling')
  await closeAndSettle(first, 'sibling', 2)
  await until(async () => !(await elsewhere.state()).present.includes(first.id), 'the closed tab to be gone')
  second.append('still here')
  await allRead([elsewhere], 'Hello. still here')
  const state = await elsewhere.state()
  assert.ok(state.present.includes(second.id))
  assert.ok(!state.removals.includes(second.id), 'the sibling was never announced as gone')
})

test('closing the sibling leaves the tab that had relayed for it', async t => {
  const { first, second, elsewhere } = await siblings(t, 'relay')
  await closeAndSettle(second, 'relay', 2)
  await until(async () => !(await elsewhere.state()).present.includes(second.id), 'the closed tab to be gone')
  const state = await elsewhere.state()
  assert.ok(state.present.includes(first.id))
  assert.ok(!state.removals.includes(first.id), 'the first tab was never announced as gone')
})

/** `second` is announced on the channel before it has a connection, so `first` tells the server of it first. */
async function siblings(t, name) {
  const elsewhere = processTab(t, server.url, name, 'elsewhere')
  const first = hereTab(t, name, 'first')
  await allSynced([elsewhere, first])
  first.append('Hello. ')
  const second = hereTab(t, name, 'second', { connect: false })
  second.provider.connect()
  assert.ok(first.sees(second) && !second.provider.wsconnected)
  await allSynced([second])
  await allPresent([elsewhere, first, second])
  return { elsewhere, first, second }
}

/** Its goodbye is seen before its session has ended, so the session's end is awaited where it happens. */
async function closeAndSettle(tab, name, sessions) {
  tab.close()
  await until(async () => await sessionsOf(server, name) === sessions, `${sessions} sessions to be left`)
}

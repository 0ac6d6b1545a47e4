import assert from 'node:assert/strict'
import { test } from 'node:test'
import { standing, type Facts } from '../src/session/standing.ts'

const idle: Facts = {
  link: 'open',
  caughtUp: true,
  waiting: 0,
  outstanding: 0,
  refused: 0,
  durability: 'local',
  readOnly: false,
  full: false,
  closed: null,
}

function saysOf(news: Partial<Facts>): string {
  const { state, words } = standing({ ...idle, ...news })
  return `${state}: ${words}`
}

test('saved is said only of what is on disk', () => {
  assert.equal(saysOf({}), 'saved: Saved')
  assert.equal(saysOf({ durability: 'memory' }), 'synced: Synced, in memory')
  assert.equal(saysOf({ durability: null }), 'synced: Synced')
  assert.equal(saysOf({ outstanding: 1 }), 'syncing: Saving…')
  assert.equal(saysOf({ waiting: 1 }), 'syncing: Saving…')
  assert.equal(saysOf({ waiting: 1, durability: 'memory' }), 'syncing: Sending…')
  assert.equal(saysOf({ refused: 1 }), 'refused: 1 change refused')
  assert.equal(saysOf({ refused: 2, full: true }), 'refused: 2 changes not saved: no space')
  assert.equal(saysOf({ full: true }), 'saved: Saved')
  assert.equal(saysOf({ caughtUp: false }), 'syncing: Catching up…')
})

test('while cut off, own changes are counted', () => {
  assert.equal(saysOf({ link: 'connecting', caughtUp: false }), 'connecting: Connecting…')
  assert.equal(saysOf({ link: 'down', caughtUp: false }), 'offline: Offline')
  assert.equal(saysOf({ link: 'down', caughtUp: false, waiting: 1 }), 'offline: Offline, 1 change kept in this tab')
  assert.equal(saysOf({ link: 'down', caughtUp: false, waiting: 3 }), 'offline: Offline, 3 changes kept in this tab')
})

test('what the server denies is said before all else', () => {
  assert.equal(saysOf({ readOnly: true, refused: 2 }), 'read-only: Read-only')
  assert.equal(saysOf({ readOnly: true, link: 'down' }), 'offline: Offline')
  assert.equal(saysOf({ closed: 4403, link: 'down', readOnly: true }), 'refused: Not connected')
})

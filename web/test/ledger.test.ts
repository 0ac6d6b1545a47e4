import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger, outgoingKind } from '../src/session/ledger.ts'

const question = Uint8Array.of(0, 0, 1, 0)
const answer = Uint8Array.of(0, 1, 2, 0, 0)
const update = Uint8Array.of(0, 2, 2, 0, 0)
const awareness = Uint8Array.of(1, 3, 0, 0, 0)

test('only SyncStep2 and updates are counted', () => {
  assert.deepEqual([question, answer, update, awareness, 'text', Uint8Array.of(0)].map(outgoingKind), [
    'other',
    'answer',
    'update',
    'other',
    'other',
    'other',
  ])
})

test('a change waits until its frame is settled', () => {
  const ledger = connected()
  type(ledger, 2)
  assert.deepEqual([ledger.waiting, ledger.outstanding], [2, 3])
  ledger.acknowledged(2, 0)
  assert.deepEqual([ledger.waiting, ledger.outstanding], [1, 1])
  ledger.acknowledged(3, 0)
  assert.deepEqual([ledger.waiting, ledger.outstanding], [0, 0])
})

test('what was changed while cut off waits for the answer, whatever update goes before it', () => {
  const ledger = new Ledger()
  for (let change = 0; change < 3; change += 1) ledger.changed()
  assert.deepEqual([ledger.waiting, ledger.outstanding], [3, 0])
  ledger.reset()
  type(ledger, 1)
  ledger.acknowledged(1, 0)
  assert.equal(ledger.waiting, 3)
  ledger.sent(answer)
  ledger.acknowledged(2, 0)
  assert.equal(ledger.waiting, 0)
})

test('what was refused is of no account once it went again with an answer, unless that is refused too', () => {
  const ledger = connected()
  type(ledger, 2)
  ledger.acknowledged(1, 2)
  assert.deepEqual([ledger.refused, ledger.outstanding], [2, 0])
  ledger.sent(answer)
  assert.deepEqual([ledger.refused, ledger.outstanding], [0, 1])
  ledger.acknowledged(1, 3)
  assert.equal(ledger.refused, 1)
  ledger.sent(answer)
  ledger.acknowledged(2, 3)
  assert.deepEqual([ledger.refused, ledger.outstanding, ledger.waiting], [0, 0, 0])
})

test('what was on its way when the connection broke waits again', () => {
  const ledger = connected()
  type(ledger, 3)
  ledger.acknowledged(2, 0)
  ledger.reset()
  assert.deepEqual([ledger.waiting, ledger.outstanding], [2, 0])
  ledger.sent(answer)
  ledger.acknowledged(1, 0)
  assert.deepEqual([ledger.waiting, ledger.outstanding], [0, 0])
})

test('refused frames are settled, and counted', () => {
  const ledger = connected()
  type(ledger, 2)
  ledger.acknowledged(1, 2)
  assert.deepEqual([ledger.waiting, ledger.outstanding, ledger.refused], [0, 0, 2])
  ledger.reset()
  assert.equal(ledger.refused, 0)
})

test('an acknowledgement never unsettles', () => {
  const ledger = connected()
  type(ledger, 1)
  ledger.acknowledged(2, 0)
  ledger.acknowledged(1, 0)
  type(ledger, 1)
  assert.deepEqual([ledger.waiting, ledger.outstanding], [1, 1])
})

/** Connected, and the server's first question answered. */
function connected(): Ledger {
  const ledger = new Ledger()
  ledger.reset()
  ledger.sent(question)
  ledger.sent(awareness)
  ledger.sent(answer)
  return ledger
}

function type(ledger: Ledger, count: number): void {
  for (let change = 0; change < count; change += 1) {
    ledger.changed()
    ledger.sent(update)
  }
}

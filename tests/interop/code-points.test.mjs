import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CodePoints } from './support/code-points.mjs'
import { Random } from './support/random.mjs'

const PIECES = ['', 'a', 'é', '字', '🙂', 'a🧵b', '🧵🧶', 'plain text']

test('places in code points, against counting them one by one', () => {
  const random = new Random(12)
  const characters = [...'start 🙂 text']
  const places = new CodePoints(characters.join(''))
  for (let i = 0; i < 5000; i++) {
    const place = random.below(characters.length + 1)
    const deleted = Math.min(random.below(4), characters.length - place)
    const inserted = random.pick(PIECES)
    const edit = places.replace(place, deleted, inserted)
    assert.equal(edit.offset, characters.slice(0, place).join('').length)
    assert.equal(edit.deleted, characters.splice(place, deleted, ...inserted).join('').length)
  }
  assert.ok(characters.includes('🧶'))
})

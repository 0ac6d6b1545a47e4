import assert from 'node:assert/strict'
import { test } from 'node:test'
import { palette, tidyColor, tidyName } from '../src/person.ts'
import { initials, peopleIn } from '../src/session/people.ts'

test('this tab comes first, and one person is one entry', () => {
  const people = peopleIn(
    new Map<number, unknown>([
      [1, { user: { id: 'b', name: 'Bob', color: '#123456' } }],
      [2, { user: { id: 'z', name: 'Zoe', color: '#123456' } }],
      [3, { user: { id: 'z', name: 'Zoe', color: '#123456' } }],
      [4, { user: { name: 'Ada' } }],
    ]),
    3,
  )
  assert.deepEqual(
    people.map(({ name, tabs, self }) => [name, tabs, self]),
    [
      ['Zoe', 2, true],
      ['Ada', 1, false],
      ['Bob', 1, false],
    ],
  )
})

test('what comes from the network is tidied', () => {
  const odd: unknown[] = [null, {}, { user: null }, { user: 'x' }, { user: { name: 7, color: 'red;}', id: {} } }]
  const people = peopleIn(new Map(odd.map((state, client) => [client, state])), 0)
  assert.equal(people.length, odd.length)
  for (const { name, color } of people) assert.ok(name === 'Guest' && palette.some((known) => known === color))
  assert.equal(tidyName('  A\u202e\n da  '), 'A da')
  assert.equal(tidyName('x'.repeat(100))?.length, 40)
  assert.equal(tidyColor('#a1B2c3', 0), '#a1B2c3')
})

test('initials', () => {
  assert.deepEqual(['Ada Lovelace', 'Bob', 'Jean Luc Picard', '日本', ''].map(initials), ['AL', 'B', 'JP', '日', ''])
})

test('every colour is legible: under a white label, and as a caret on either page', () => {
  for (const color of palette) {
    assert.ok(contrast(color, '#ffffff') >= 4.5, `${color} under white`)
    assert.ok(contrast(color, '#fffefc') >= 3, `${color} on the light page`)
    assert.ok(contrast(color, '#1b1e23') >= 3, `${color} on the dark page`)
  }
})

function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => linear(Number.parseInt(color.slice(at, at + 2), 16) / 255))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function linear(channel: number): number {
  return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
}

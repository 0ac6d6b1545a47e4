// What reaches a server when clients merge, cut, resend and relay what they have. Yjs alone; the same each time.
import * as Y from 'yjs'
import { Random, editAnything } from '../support/random.mjs'
import { SERVER, person } from './recorder.mjs'

const ALL = { text: 'text', map: 'map', array: 'array', xml: 'fragment' }

export const relays = {
  'offline work merged'(recorder) {
    const a = person(recorder, 1)
    edits(a, 10, 1)
    const [offline, kept] = alone(person(recorder, 2))
    recorder.hear(2)
    edits(offline, 40, 2)
    edits(a, 20, 3)
    recorder.send(2, Y.mergeUpdates(kept))
    return ALL
  },

  'offline work merged with holes'(recorder) {
    const a = person(recorder, 1)
    const [offline, kept] = alone(person(recorder, 2))
    edits(a, 5, 4)
    recorder.hear(2)
    edits(offline, 30, 5)
    // Each holds what the other lacks: Skips stand where it is.
    recorder.send(2, Y.mergeUpdates(kept.filter((_, index) => index % 2 === 0)))
    recorder.send(2, Y.mergeUpdates(kept.filter((_, index) => index % 2 === 1)))
    recorder.send(2, Y.encodeStateAsUpdate(offline))
    return ALL
  },

  'updates out of order'(recorder) {
    const [a, kept] = alone(person(recorder, 1))
    edits(a, 25, 6)
    const random = new Random(3)
    while (kept.length) recorder.send(1, kept.splice(random.below(kept.length), 1)[0])
    return ALL
  },

  'differences by Y.diffUpdate'(recorder) {
    const [a, kept] = alone(person(recorder, 1))
    edits(a, 12, 7)
    const first = Y.mergeUpdates(kept)
    recorder.send(1, first)
    edits(a, 12, 8)
    recorder.send(1, Y.diffUpdate(Y.mergeUpdates(kept), Y.encodeStateVectorFromUpdate(first)))
    edits(a, 12, 9)
    // From the middle of a struct, and from too early.
    const vector = Y.decodeStateVector(Y.encodeStateVectorFromUpdate(Y.mergeUpdates(kept.slice(0, 15))))
    vector.forEach((clock, client) => vector.set(client, clock - 1))
    recorder.send(1, Y.diffUpdate(Y.mergeUpdates(kept), Y.encodeStateVector(vector)))
    return ALL
  },

  'whole documents resent'(recorder) {
    const people = [1, 2, 3].map(session => person(recorder, session))
    for (let round = 0; round < 6; round++) {
      people.forEach((doc, index) => edits(doc, 4, 10 * round + index + 1))
      recorder.send(1 + (round % 3), Y.encodeStateAsUpdate(people[round % 3]))
      if (round % 2) recorder.settle()
    }
    people.forEach((doc, index) => recorder.send(index + 1, Y.encodeStateAsUpdate(doc)))
    return ALL
  },

  'updates sent twice'(recorder) {
    const [a, kept] = alone(person(recorder, 1))
    edits(a, 20, 14)
    kept.forEach(update => [update, update].forEach(twice => recorder.send(1, twice)))
    kept.toReversed().forEach(update => recorder.send(1, update))
    return ALL
  },

  'tabs that relay each other'(recorder) {
    const tabs = [1, 2, 3].map(session => person(recorder, session))
    channel(tabs)
    for (let round = 0; round < 15; round++) edits(tabs[round % 3], 2, round + 20)
    return ALL
  },

  'a provider from peer to peer beside the server'(recorder) {
    const people = [1, 2, 3, 4].map(session => person(recorder, session))
    // The third isn't connected with the second but by the others, and the fourth comes later, to the first alone.
    channel([people[0], people[1]])
    channel([people[0], people[2]])
    for (let round = 0; round < 10; round++) edits(people[round % 3], 2, round + 40)
    handshake(people[0], people[3])
    for (let round = 0; round < 6; round++) edits(people[round % 4], 2, round + 60)
    recorder.settle()
    handshake(people[2], people[3])
    return ALL
  },

  'a document loaded from elsewhere'(recorder) {
    // Loaded from a browser's storage, say: everything goes out again, in one.
    const old = new Y.Doc()
    old.clientID = 77
    edits(old, 30, 70)
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    Y.applyUpdate(b, Y.encodeStateAsUpdate(old), 'storage')
    edits(b, 5, 71)
    recorder.settle()
    Y.applyUpdate(a, Y.encodeStateAsUpdate(old), 'storage')
    edits(a, 5, 72)
    recorder.settle()
    const copy = new Y.Doc()
    Y.applyUpdate(copy, Y.encodeStateAsUpdate(a))
    recorder.send(1, Y.encodeStateAsUpdate(copy))
    return ALL
  },

  'a hole that somebody else fills'(recorder) {
    // One has what a third has made, and passes on what stands on it before that comes.
    const [a, b] = [person(recorder, 1), person(recorder, 2)]
    const [third, kept] = alone(person(recorder, 3))
    edits(third, 6, 80)
    kept.forEach(update => Y.applyUpdate(b, update, SERVER))
    edits(b, 6, 81)
    edits(a, 3, 82)
    recorder.send(3, Y.mergeUpdates(kept))
    return ALL
  },

  'updates of another format converted'(recorder) {
    const [a, kept] = alone(person(recorder, 1))
    edits(a, 20, 90)
    kept.forEach(update => recorder.send(1, Y.convertUpdateFormatV2ToV1(Y.convertUpdateFormatV1ToV2(update))))
    recorder.send(1, Y.convertUpdateFormatV2ToV1(Y.encodeStateAsUpdateV2(a)))
    return ALL
  },

  'updates obfuscated'(recorder) {
    const [a, kept] = alone(person(recorder, 1))
    edits(a, 25, 95)
    recorder.send(1, Y.obfuscateUpdate(Y.mergeUpdates(kept)))
    return null
  },

  'a version restored'(recorder) {
    // As an application does it: the old state as edits on top of the new one.
    const a = person(recorder, 1, { gc: false })
    edits(a, 15, 96)
    const snapshot = Y.snapshot(a)
    edits(a, 15, 97)
    const old = Y.createDocFromSnapshot(a, snapshot)
    old.clientID = 96
    recorder.send(1, Y.encodeStateAsUpdate(old))
    a.transact(() => {
      a.getText('text').delete(0, a.getText('text').length)
      a.getText('text').applyDelta(old.getText('text').toDelta())
    })
    return ALL
  }
}

function edits(doc, count, seed) {
  const random = new Random(seed)
  for (let i = 0; i < count; i++) editAnything(doc, random)
}

/** Somebody whose changes aren't sent but kept. */
function alone(doc) {
  const kept = []
  doc._observers.delete('update')
  doc.on('update', (update, origin) => origin === SERVER || kept.push(update))
  return [doc, kept]
}

/** Everybody hears at once what another one of these has or hears. */
function channel(docs) {
  for (const doc of docs) {
    doc.on('update', (update, origin) => {
      if (origin === CHANNEL) return
      docs.filter(other => other !== doc).forEach(other => Y.applyUpdate(other, update, CHANNEL))
    })
  }
}
const CHANNEL = 'another tab'

/** What two y-protocols peers say to each other when they meet. */
function handshake(a, b) {
  const [forB, forA] = [Y.encodeStateAsUpdate(a, Y.encodeStateVector(b)), Y.encodeStateAsUpdate(b, Y.encodeStateVector(a))]
  Y.applyUpdate(b, forB, 'peer')
  Y.applyUpdate(a, forA, 'peer')
}

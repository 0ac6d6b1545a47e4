import assert from 'node:assert/strict'
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import * as Y from 'yjs'
import { contentOf } from './content.mjs'

/** Where a change comes from that the server has sent: it isn't sent back. */
export const SERVER = 'server'

/** Stands where a server stands: gets what each session sends, in order, and hands it to the others when told. */
export class Recorder {
  updates = []
  #people = new Map()

  /** A client with a session of its own: what it changes, or hears from anybody but the server, is sent. */
  connect(doc, session, Yjs = Y) {
    this.#people.set(session, { doc, Yjs, heard: 0 })
    doc.on('update', (update, origin) => origin === SERVER || this.send(session, update))
    return doc
  }

  send(session, update) {
    this.updates.push({ session, update })
  }

  /** A session hears all that others have sent so far. */
  hear(session) {
    const person = this.#people.get(session)
    for (; person.heard < this.updates.length; person.heard++) {
      const { session: from, update } = this.updates[person.heard]
      if (from !== session) person.Yjs.applyUpdate(person.doc, update, SERVER)
    }
  }

  /** Everybody hears everything. */
  settle() {
    let before
    do {
      before = this.updates.length
      for (const session of this.#people.keys()) this.hear(session)
    } while (this.updates.length > before)
  }

  /** All that was sent comes to this; everybody who is in the end has it, too. */
  finish(roots) {
    this.settle()
    const doc = new Y.Doc()
    for (const { update } of this.updates) Y.applyUpdate(doc, update)
    const content = contentOf(doc, roots)
    for (const { doc: theirs, Yjs } of this.#people.values()) {
      const copy = new Y.Doc()
      Y.applyUpdate(copy, Yjs.encodeStateAsUpdate(theirs))
      assert.deepEqual(contentOf(copy, roots), content)
    }
    assert.equal(doc.store.pendingStructs, null)
    assert.equal(doc.store.pendingDs, null)
    return { updates: this.updates, whole: Y.encodeStateAsUpdate(doc), content, roots }
  }
}

export function write({ updates, whole }) {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, updates.length)
  for (const { session, update } of updates) {
    encoding.writeVarUint(encoder, session)
    encoding.writeVarUint8Array(encoder, update)
  }
  encoding.writeVarUint8Array(encoder, whole)
  return encoding.toUint8Array(encoder)
}

export function read(bytes) {
  const decoder = decoding.createDecoder(bytes)
  const updates = Array.from({ length: decoding.readVarUint(decoder) }, () => ({
    session: decoding.readVarUint(decoder),
    update: decoding.readVarUint8Array(decoder)
  }))
  return { updates, whole: decoding.readVarUint8Array(decoder) }
}

/** A document whose id isn't drawn at random, so that what it makes is the same each time. */
export function person(recorder, session, options = {}) {
  const doc = new Y.Doc(options)
  doc.clientID = options.clientID ?? 1000 + session
  return recorder.connect(doc, session)
}

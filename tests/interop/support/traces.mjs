import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import * as Y from 'yjs'
import { CodePoints } from './code-points.mjs'

const TRACES = new URL('../../../data/traces/', import.meta.url)

export const readTrace = name => JSON.parse(gunzipSync(readFileSync(new URL(`${name}.json.gz`, TRACES))))

/** Applies patches whose places count code points to a document's text, one transaction a call. */
export class Typist {
  #places = new CodePoints()

  constructor(doc) {
    this.doc = doc
    this.text = doc.getText('text')
  }

  type(patches) {
    this.doc.transact(() => {
      for (const patch of patches) this.#apply(patch)
    })
  }

  /** To be called when somebody else has changed the text. */
  reread() {
    this.#places = new CodePoints(this.text.toString())
  }

  #apply([place, deleted, inserted]) {
    const edit = this.#places.replace(place, deleted, inserted)
    if (edit.deleted) this.text.delete(edit.offset, edit.deleted)
    if (inserted) this.text.insert(edit.offset, inserted)
  }
}

/** One author of a trace in which people wrote at the same time, and all the updates that they have made. */
class Author {
  doc = new Y.Doc()
  updates = []
  #typist = new Typist(this.doc)
  #applied

  // Where both typed into one gap at once, the recorded text has the first agent's words first; Yjs goes by client id.
  constructor(agent, count) {
    this.doc.clientID = agent + 1
    this.#applied = Array(count).fill(0)
    this.doc.on('update', (update, origin) => { if (origin !== 'others') this.updates.push(update) })
  }

  /** Applies what others had made when they had made `needs[n]` updates each: never less than before. */
  learn(authors, needs) {
    let isNew = false
    authors.forEach((other, n) => {
      if (other === this) return
      if (this.#applied[n] > needs[n]) throw new Error('an author cannot forget')
      for (; this.#applied[n] < needs[n]; this.#applied[n]++) {
        Y.applyUpdate(this.doc, other.updates[this.#applied[n]], 'others')
        isNew = true
      }
    })
    if (isNew) this.#typist.reread()
  }

  type(patches) {
    const before = this.updates.length
    this.#typist.type(patches)
    if (this.updates.length !== before + 1) throw new Error('a transaction is one update')
    return this.updates[before]
  }
}

/** The authors of a trace: who types has exactly what the parents of the transaction have together. */
export class Authors {
  #authors
  #known = []

  constructor(count) {
    this.#authors = Array.from({ length: count }, (_, agent) => new Author(agent, count))
  }

  /** Makes the next transaction: its update, and the state vector that it was made on. */
  type({ agent, parents, patches }) {
    const author = this.#authors[agent]
    const needs = this.#authors.map((_, n) => Math.max(0, ...parents.map(parent => this.#known[parent][n])))
    if (needs[agent] !== author.updates.length) throw new Error('an author knows all that they have typed')
    author.learn(this.#authors, needs)
    this.#known.push(needs.with(agent, needs[agent] + 1))
    const before = Y.decodeStateVector(Y.encodeStateVector(author.doc))
    return { before, update: author.type(patches) }
  }

  destroy() {
    for (const { doc } of this.#authors) doc.destroy()
  }
}

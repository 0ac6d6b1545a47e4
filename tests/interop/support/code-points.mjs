const isAstral = character => character.length === 2

/**
 * Turns places in a changing text that are counted in Unicode code points into UTF-16 offsets, which Yjs counts in.
 * The two differ by the number of astral characters before a place. Those are rare in real texts, so their places
 * alone are kept, in order: an edit costs a binary search, and a shift of those behind it.
 */
export class CodePoints {
  #astral = []

  constructor(text = '') {
    this.#shift(0, 0, 0, 0, text)
  }

  /** Replaces `deleted` code points at `place`, and says where and how much that is in UTF-16. */
  replace(place, deleted, inserted) {
    const from = this.#before(place)
    const to = deleted ? this.#before(place + deleted) : from
    const edit = { offset: place + from, deleted: deleted + to - from }
    if (this.#astral.length || hasAstral(inserted)) this.#shift(from, to, place, deleted, inserted)
    return edit
  }

  /** How many astral characters begin before `place`. */
  #before(place) {
    let low = 0
    let high = this.#astral.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#astral[middle] < place) low = middle + 1
      else high = middle
    }
    return low
  }

  #shift(from, to, place, deleted, inserted) {
    const characters = [...inserted]
    const growth = characters.length - deleted
    for (let i = to; i < this.#astral.length; i++) this.#astral[i] += growth
    const added = []
    characters.forEach((character, i) => { if (isAstral(character)) added.push(place + i) })
    this.#astral.splice(from, to - from, ...added)
  }
}

const hasAstral = string => /[\ud800-\udfff]/.test(string)

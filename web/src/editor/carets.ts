// Other people's carets and selections. They take no space in the text; a name shows while its caret moves.
import type { DecorationAttrs } from '@tiptap/pm/view'
import type { Awareness } from 'y-protocols/awareness'
import { readUser } from '../session/people.ts'

const labelShownMs = 2500

export class Carets {
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>()
  readonly #places = new Map<number, string>()
  readonly #awareness: Awareness

  constructor(awareness: Awareness) {
    this.#awareness = awareness
    awareness.on('change', this.#onChange)
    this.#onChange()
  }

  destroy(): void {
    this.#awareness.off('change', this.#onChange)
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }

  buildCaret = (user: unknown, client: number): HTMLElement => {
    const { name, color } = readUser({ user }, client)
    const caret = document.createElement('span')
    caret.className = 'caret'
    caret.dataset.client = String(client)
    caret.style.setProperty('--person', color)
    // Screen readers would read the name as part of the text.
    caret.setAttribute('aria-hidden', 'true')
    caret.toggleAttribute('data-moving', this.#timers.has(client))
    const label = document.createElement('span')
    label.className = 'caret-name'
    label.textContent = name
    caret.append(label)
    requestAnimationFrame(() => turnInward(caret))
    return caret
  }

  buildSelection = (user: unknown, client: number): DecorationAttrs => {
    const { color } = readUser({ user }, client)
    return { class: 'remote-selection', style: `--person: ${color}` }
  }

  #onChange = (): void => {
    for (const [client, state] of this.#awareness.getStates()) {
      const place = JSON.stringify(state.cursor ?? null)
      if (client === this.#awareness.clientID || this.#places.get(client) === place) continue
      this.#places.set(client, place)
      this.#showName(client)
    }
  }

  #showName(client: number): void {
    clearTimeout(this.#timers.get(client))
    this.#timers.set(client, setTimeout(() => this.#hideName(client), labelShownMs))
    this.#mark(client, true)
  }

  #hideName(client: number): void {
    this.#timers.delete(client)
    this.#mark(client, false)
  }

  #mark(client: number, moving: boolean): void {
    const caret = document.querySelector<HTMLElement>(`.caret[data-client="${client}"]`)
    caret?.toggleAttribute('data-moving', moving)
    if (caret !== null && moving) requestAnimationFrame(() => turnInward(caret))
  }
}

/** Near the right edge the name goes to the left of its caret. */
function turnInward(caret: HTMLElement): void {
  const edge = caret.closest('.text')?.getBoundingClientRect().right ?? Infinity
  const width = caret.firstElementChild?.clientWidth ?? 0
  caret.toggleAttribute('data-turned', caret.getBoundingClientRect().left + width > edge)
}

// Who is at this browser: a name and a colour that others see, kept between visits.
import { signal } from '@preact/signals'
import { read, write } from './storage.ts'

export interface Person {
  /** Tells one person with two tabs from two people with one name. */
  id: string
  name: string
  color: string
}

/**
 * Colours for people. All have nearly the same luminance: 4.5 to 1 under a white label, and 3 to 1 as a thin caret
 * on the light and on the dark page.
 */
export const palette = [
  '#cf3448',
  '#ba501b',
  '#906a10',
  '#258043',
  '#167e77',
  '#1f73bd',
  '#5f63d9',
  '#9250cc',
  '#c33498',
] as const

export const nameLengthMax = 40

const storageKey = 'y-mesh person'
const adjectives = ['Amber', 'Brave', 'Calm', 'Clever', 'Eager', 'Gentle', 'Lucky', 'Merry', 'Quiet', 'Swift', 'Sunny', 'Witty']
const animals = ['Badger', 'Crane', 'Dolphin', 'Falcon', 'Fox', 'Hare', 'Heron', 'Lynx', 'Otter', 'Owl', 'Robin', 'Wren']

export const me = signal<Person>(loadPerson())

export function renameMe(name: string, color: string): void {
  me.value = { ...me.value, name: tidyName(name) ?? me.value.name, color }
  write('localStorage', storageKey, JSON.stringify(me.value))
}

/** A name fit to show, or null: it may come from anyone on the network. */
export function tidyName(name: unknown): string | null {
  if (typeof name !== 'string') return null
  const tidy = name.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim().slice(0, nameLengthMax)
  return tidy === '' ? null : tidy
}

/** A colour fit for a style attribute; otherwise one that goes with `seed`. */
export function tidyColor(color: unknown, seed: number): string {
  if (typeof color === 'string' && /^#[0-9a-f]{6}$/i.test(color)) return color
  return palette[seed % palette.length] ?? palette[0]
}

function loadPerson(): Person {
  const stored = storedPerson()
  const drawn = drawPerson()
  const person: Person = {
    id: typeof stored.id === 'string' ? stored.id : drawn.id,
    name: tidyName(stored.name) ?? drawn.name,
    color: palette.find((color) => color === stored.color) ?? drawn.color,
  }
  write('localStorage', storageKey, JSON.stringify(person))
  return person
}

function storedPerson(): Partial<Person> {
  try {
    return (JSON.parse(read('localStorage', storageKey) ?? '{}') ?? {}) as Partial<Person>
  } catch {
    return {}
  }
}

function drawPerson(): Person {
  return {
    id: Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join(''),
    name: `${draw(adjectives)} ${draw(animals)}`,
    color: draw(palette),
  }
}

function draw<T>(choices: readonly T[]): T {
  return choices[Math.floor(Math.random() * choices.length)] as T
}

// Who is here, from awareness. All of it may come from anyone: nothing is taken as it stands.
import { tidyColor, tidyName } from '../person.ts'

export interface Someone {
  key: string
  name: string
  color: string
  /** How many tabs they have open on this document. */
  tabs: number
  self: boolean
}

export function readUser(state: unknown, client: number): Someone {
  const user = ((state as { user?: unknown } | null)?.user ?? {}) as Record<string, unknown>
  return {
    key: typeof user.id === 'string' ? user.id : `client ${client}`,
    name: tidyName(user.name) ?? 'Guest',
    color: tidyColor(user.color, client),
    tabs: 1,
    self: false,
  }
}

/** One entry a person: this tab's first, then by name. */
export function peopleIn(states: Map<number, unknown>, own: number): Someone[] {
  const people = new Map<string, Someone>()
  for (const [client, state] of states) {
    const user = readUser(state, client)
    const known = people.get(user.key)
    const self = client === own || known?.self === true
    people.set(user.key, { ...user, self, tabs: (known?.tabs ?? 0) + 1 })
  }
  return [...people.values()].sort((a, b) => Number(b.self) - Number(a.self) || a.name.localeCompare(b.name))
}

/** One or two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(' ')
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? '')][0] ?? '')
  return letters.join('').toUpperCase()
}

// How a session stands, and the words for it. "Saved" is said only of what the server has on disk.
import type { Durability } from '../api.ts'

export type State = 'connecting' | 'offline' | 'syncing' | 'synced' | 'saved' | 'read-only' | 'refused'

export interface Facts {
  link: 'connecting' | 'open' | 'down'
  /** This connection has received all that the server had. */
  caughtUp: boolean
  /** Own changes whose fate isn't known. */
  waiting: number
  /** Frames of this connection whose fate isn't known. */
  outstanding: number
  /** Frames of this connection that the server refused. */
  refused: number
  durability: Durability | null
  readOnly: boolean
  /** The server said that its disk is almost full. */
  full: boolean
  /** The server closed for good, with this code. */
  closed: number | null
}

export interface Standing {
  state: State
  words: string
  hint: string
}

export function standing(facts: Facts): Standing {
  if (facts.closed !== null) return say('refused', 'Not connected', 'The server closed this session for good.')
  if (facts.link === 'connecting') return say('connecting', 'Connecting…', 'Looking for the server.')
  if (facts.link === 'down') return offline(facts)
  if (facts.readOnly) return say('read-only', 'Read-only', 'You see changes as they come, and make none.')
  if (!facts.caughtUp) return say('syncing', 'Catching up…', 'Receiving what others wrote.')
  if (facts.refused > 0 && facts.full) return noSpace(facts)
  if (facts.refused > 0) return say('refused', `${changes(facts.refused)} refused`, 'The server did not take everything you wrote.')
  if (facts.waiting > 0 || facts.outstanding > 0) return unsettled(facts)
  return settled(facts.durability)
}

function offline({ waiting }: Facts): Standing {
  const hint = 'Trying to reach the server again and again. You can go on writing: keep this tab open.'
  if (waiting === 0) return say('offline', 'Offline', hint)
  return say('offline', `Offline, ${changes(waiting)} kept in this tab`, hint)
}

function noSpace({ refused }: Facts): Standing {
  const hint = "The server's disk is almost full. Keep this tab open: what you write is sent again when there's space."
  return say('refused', `${changes(refused)} not saved: no space`, hint)
}

function unsettled({ durability }: Facts): Standing {
  if (durability === 'local') return say('syncing', 'Saving…', "Your last changes aren't on the server's disk yet.")
  return say('syncing', 'Sending…', 'Your last changes are on their way to the server.')
}

function settled(durability: Durability | null): Standing {
  if (durability === 'local') return say('saved', 'Saved', "All you wrote is on the server's disk.")
  if (durability === 'memory') {
    return say('synced', 'Synced, in memory', "The server has all you wrote in memory. It doesn't say when that's on a disk, if ever.")
  }
  return say('synced', 'Synced', "The server has all you wrote. It doesn't say whether it keeps it.")
}

function changes(count: number): string {
  return count === 1 ? '1 change' : `${count} changes`
}

function say(state: State, words: string, hint: string): Standing {
  return { state, words, hint }
}

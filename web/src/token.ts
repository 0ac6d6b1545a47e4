// The access token. It arrives in the fragment of a link, which browsers never send, and leaves the address at once.
import { read, write } from './storage.ts'

/** The token a fragment holds: `#token=…`. */
export function tokenIn(fragment: string): string | null {
  const found = /^#(?:.*&)?token=([^&]+)/.exec(fragment)
  if (!found?.[1]) return null
  try {
    return decodeURIComponent(found[1])
  } catch {
    return null
  }
}

/** Whether a WebSocket can offer the token as a sub-protocol: browsers allow the characters of an HTTP token only. */
export function isSendable(token: string): boolean {
  return /^[\w!#$%&'*+\-.^`|~]+$/.test(token)
}

/** Moves a token out of the address, where it would be seen and shared. Returns whether there was one. */
export function takeTokenFromAddress(): boolean {
  const token = tokenIn(location.hash)
  if (token === null) return false
  keepToken(token)
  history.replaceState(history.state, '', location.pathname + location.search)
  return true
}

export function keepToken(token: string): void {
  write('sessionStorage', key(), token)
}

export function currentToken(): string | null {
  return read('sessionStorage', key())
}

// Two servers can be mounted on one origin; neither may see the other's token.
function key(): string {
  return `y-mesh token ${new URL(document.baseURI).pathname}`
}

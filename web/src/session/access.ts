// What this tab knows of its rights on a document. The server tells that a token only reads when it refuses a
// change; the next page load should know before anything is typed.
import { read, write } from '../storage.ts'
import { currentToken } from '../token.ts'

export function knownReadOnly(name: string): boolean {
  return read('sessionStorage', key(name)) === tokenMark()
}

export function rememberReadOnly(name: string): void {
  write('sessionStorage', key(name), tokenMark())
}

export function forgetReadOnly(name: string): void {
  write('sessionStorage', key(name), '')
}

/** Whether a refusal in words is for want of space, which says nothing of rights and passes. */
export function isForSpace(reason: string): boolean {
  return reason.startsWith('no space')
}

/** Why the server closed for good, in words. */
export function refusalWords(code: number, reason: string): string {
  if (code === 4401 && currentToken() === null) return 'This server asks for an access token, and this tab has none.'
  if (code === 4401) return "The server doesn't know this access token. It may have been withdrawn."
  if (code === 4403) return 'Your access token is known, but gives no access to this document.'
  if (code === 4404) return 'This document was deleted.'
  return reason === '' ? `The server refused this tab (code ${code}).` : `The server refused this tab: ${reason}`
}

function tokenMark(): string {
  return `with ${currentToken() ?? 'no token'}`
}

function key(name: string): string {
  return `y-mesh read-only ${new URL(document.baseURI).pathname} ${name}`
}

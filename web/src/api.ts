// The server's HTTP interface.
import { currentToken } from './token.ts'

export interface DocumentEntry {
  name: string
  open: boolean
  sessions: number
}

export interface DocumentPage {
  documents: DocumentEntry[]
  next: string | null
}

/** Where a server keeps what it acknowledges: on its disk, or in memory only. */
export type Durability = 'local' | 'memory'

/** An answer that isn't a success. `status` 0: there was no answer. */
export class RequestError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export async function listDocuments(after: string | null, limit: number): Promise<DocumentPage> {
  const query = new URLSearchParams({ limit: String(limit) })
  if (after !== null) query.set('after', after)
  const response = await request(`api/documents?${query}`)
  return (await response.json()) as DocumentPage
}

/** Creates a document, and returns its name. Without one the server draws a name. */
export async function createDocument(name: string | null): Promise<string> {
  const response = await request('api/documents', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(name === null ? {} : { name }),
  })
  return ((await response.json()) as { name: string }).name
}

/** What the server promises with an acknowledgement, unless that says otherwise; null if it doesn't say. */
export async function readDurability(): Promise<Durability | null> {
  try {
    const response = await fetch(new URL('readyz', document.baseURI), { cache: 'no-store' })
    const { durability } = (await response.json()) as { durability?: unknown }
    return durability === 'local' || durability === 'memory' ? durability : null
  } catch {
    return null
  }
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  headers.set('accept', 'application/json')
  const token = currentToken()
  if (token !== null) headers.set('authorization', `Bearer ${token}`)
  const response = await fetch(new URL(path, document.baseURI), { ...init, headers }).catch(() => {
    throw new RequestError(0, "The server can't be reached.")
  })
  if (!response.ok) throw new RequestError(response.status, await problemWords(response))
  return response
}

async function problemWords(response: Response): Promise<string> {
  const fallback = `The server answered ${response.status}.`
  try {
    const problem = (await response.json()) as { title?: string; detail?: string }
    return problem.detail ?? problem.title ?? fallback
  } catch {
    return fallback
  }
}

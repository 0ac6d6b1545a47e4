// The list of documents as far as it has been fetched.
import { batch, signal } from '@preact/signals'
import { listDocuments, RequestError, type DocumentEntry } from '../api.ts'

const pageSize = 50

export type Progress = 'loading' | 'ready' | 'failed'

export const entries = signal<DocumentEntry[]>([])
export const next = signal<string | null>(null)
export const progress = signal<Progress>('loading')
export const failure = signal<RequestError | null>(null)

/** Fetches what is shown anew: as many as are shown, at least a page. */
export function refresh(): Promise<void> {
  return load(null, Math.max(pageSize, entries.value.length))
}

export function loadMore(): Promise<void> {
  return load(next.value, pageSize)
}

async function load(after: string | null, limit: number): Promise<void> {
  try {
    const page = await listDocuments(after, limit)
    batch(() => {
      entries.value = after === null ? page.documents : [...entries.value, ...page.documents]
      next.value = page.next
      progress.value = 'ready'
      failure.value = null
    })
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    batch(() => {
      progress.value = 'failed'
      failure.value = error
    })
  }
}

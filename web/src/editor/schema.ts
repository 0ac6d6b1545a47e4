// Which nodes and marks this page knows. y-prosemirror deletes what it can't build from the shared document, for
// everyone. So a document that holds anything else must never meet the editor.
import type { Schema } from '@tiptap/pm/model'
import * as Y from 'yjs'
import { housekeeping } from '../session/origins.ts'

/** Raised whenever a document may hold a node, mark or attribute that earlier pages don't know. */
export const schemaNumber = 1

export type Misfit = 'newer' | 'unknown'

type Names = Pick<Schema, 'nodes' | 'marks'>
type AnyType = Y.AbstractType<any>

/** What keeps this page from editing the document; null if nothing does. */
export function misfitOf(doc: Y.Doc, text: Y.XmlFragment, names: Names): Misfit | null {
  if (recordedNumber(doc) > schemaNumber) return 'newer'
  return isKnown(text, names, () => true) ? null : 'unknown'
}

/**
 * Calls back, once, before any observer of the document sees a remote change that this page can't show in full.
 * Returns how to stop.
 */
export function watchForMisfit(doc: Y.Doc, text: Y.XmlFragment, names: Names, found: (misfit: Misfit) => void): () => void {
  const check = (transaction: Y.Transaction) => {
    if (transaction.local) return
    const misfit = misfitIn(transaction, doc, text, names)
    if (misfit === null) return
    stop()
    found(misfit)
  }
  const stop = () => doc.off('beforeObserverCalls', check)
  doc.on('beforeObserverCalls', check)
  return stop
}

/** Records, with the first own edit, which schema the document now needs. */
export function recordSchema(doc: Y.Doc): () => void {
  const record = (_update: Uint8Array, _origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
    if (!transaction.local || recordedNumber(doc) >= schemaNumber) return
    doc.transact(() => doc.getMap('meta').set('schema', schemaNumber), housekeeping)
  }
  doc.on('update', record)
  return () => doc.off('update', record)
}

function recordedNumber(doc: Y.Doc): number {
  const number = doc.getMap('meta').get('schema')
  return typeof number === 'number' ? number : 0
}

function misfitIn(transaction: Y.Transaction, doc: Y.Doc, text: Y.XmlFragment, names: Names): Misfit | null {
  if (recordedNumber(doc) > schemaNumber) return 'newer'
  const isNew = ({ id }: Y.Item) => id.clock >= (transaction.beforeState.get(id.client) ?? 0)
  for (const type of transaction.changed.keys()) {
    const within = (type as unknown) === text || Y.isParentOf(text, type._item)
    if (within && !isKnown(type, names, isNew)) return 'unknown'
  }
  return null
}

/** Whether the schema knows all that is in the type, going by those of its items that `concern` us. */
function isKnown(type: AnyType, names: Names, concern: (item: Y.Item) => boolean): boolean {
  for (let item = type._start; item !== null; item = item.right) {
    if (!item.deleted && concern(item) && !isKnownItem(item, type, names)) return false
  }
  return true
}

function isKnownItem(item: Y.Item, parent: AnyType, names: Names): boolean {
  const { content } = item
  if (parent instanceof Y.XmlText) {
    if (content instanceof Y.ContentFormat) return markName(content.key) in names.marks
    return content instanceof Y.ContentString
  }
  if (!(content instanceof Y.ContentType)) return false
  const child: unknown = content.type
  if (child instanceof Y.XmlElement) return child.nodeName in names.nodes && isKnown(child, names, () => true)
  return child instanceof Y.XmlText && isKnown(child, names, () => true)
}

/** Marks that may overlap themselves carry a hash after their name. */
function markName(key: string): string {
  return key.replace(/--[\w+/=]{8}$/, '')
}

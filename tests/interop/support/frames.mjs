import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { encodeAwarenessUpdate } from 'y-protocols/awareness'
import * as sync from 'y-protocols/sync'
import * as Y from 'yjs'

export const SYNC = 0
export const AWARENESS = 1
export const AUTH = 2
export const QUERY_AWARENESS = 3
export const ACKNOWLEDGED = 103

export const STEP1 = sync.messageYjsSyncStep1
export const STEP2 = sync.messageYjsSyncStep2
export const UPDATE = sync.messageYjsUpdate

/** The first frame of a message, read as far as its kind needs. */
export function decode(message) {
  const decoder = decoding.createDecoder(new Uint8Array(message))
  const type = decoding.readVarUint(decoder)
  if (type === SYNC) return { type, sub: decoding.readVarUint(decoder), body: decoding.readVarUint8Array(decoder) }
  if (type === AWARENESS) return { type, body: decoding.readVarUint8Array(decoder) }
  if (type === AUTH) return { type, sub: decoding.readVarUint(decoder), reason: decoding.readVarString(decoder) }
  if (type === ACKNOWLEDGED) return { type, ...readAcknowledged(decoder) }
  return { type }
}

export const readAcknowledged = decoder => ({
  durable: decoding.readVarUint(decoder),
  refused: decoding.readVarUint(decoder)
})

/** Only these are counted by acknowledgements. */
export const isChange = frame => frame.type === SYNC && (frame.sub === STEP2 || frame.sub === UPDATE)

export const step1 = doc => syncFrame(encoder => sync.writeSyncStep1(encoder, doc))
export const step2 = (doc, vector) => syncFrame(encoder => sync.writeSyncStep2(encoder, doc, vector))
export const update = bytes => syncFrame(encoder => sync.writeUpdate(encoder, bytes))

/** The update of somebody who has written `string` into a document that was empty. */
export function updateWriting(string) {
  const doc = new Y.Doc()
  doc.getText('text').insert(0, string)
  return update(Y.encodeStateAsUpdate(doc))
}

export const awareness = (state, clients) => encoding.encode(encoder => {
  encoding.writeVarUint(encoder, AWARENESS)
  encoding.writeVarUint8Array(encoder, encodeAwarenessUpdate(state, clients))
})

const syncFrame = write => encoding.encode(encoder => {
  encoding.writeVarUint(encoder, SYNC)
  write(encoder)
})

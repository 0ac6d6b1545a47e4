// A browser tab: a stock client with its BroadcastChannel on, living in a worker thread (whose channels reach
// the other threads of its process) or in a process of its own (which they don't). It obeys messages.
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

globalThis.WebSocket ??= WebSocket

const [url, name, user] = isMainThread ? process.argv.slice(2) : workerData
const port = isMainThread ? { on: process.on.bind(process), post: message => process.send(message) }
                          : { on: parentPort.on.bind(parentPort), post: message => parentPort.postMessage(message) }

const doc = new Y.Doc()
const text = doc.getText('text')
const provider = new WebsocketProvider(url, name, doc, { connect: false })
const removals = new Set()

provider.awareness.setLocalState({ user })
provider.awareness.on('change', ({ removed }) => removed.forEach(id => removals.add(id)))
provider.connect()

const answers = {
  state: () => ({
    id: doc.clientID,
    synced: provider.synced,
    text: text.toString(),
    vector: [...Y.encodeStateVector(doc)],
    present: [...provider.awareness.getStates().keys()],
    removals: [...removals]
  }),
  append: string => text.insert(text.length, string),
  close: () => {
    provider.destroy()
    doc.destroy()
  }
}

port.on('message', ({ call, ask, argument }) => port.post({ call, answer: answers[ask](argument) ?? null }))

// Documents that this page doesn't wholly understand stay as they are.
import assert from 'node:assert/strict'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { prepare } from './harness/scenario.js'

const scenario = prepare()

scenario('an unknown node is shown as text, and survives', async ({ person, server, document }) => {
  const other = await connect(server, document)
  try {
    other.text.insert(0, [element('paragraph', 'known'), element('drawing', 'drawn')])
    const ada = await person('Ada')
    await ada.open(document)
    await ada.sees('.notice[data-misfit="unknown"]')
    await ada.reads('known\ndrawn')
    other.text.insert(2, [element('paragraph', 'later')])
    await ada.reads('known\ndrawn\nlater')
    assert.equal(other.text.get(1).nodeName, 'drawing')
  } finally {
    other.close()
  }
})

scenario('an unknown node that comes while the editor is open survives too', async ({ person, server, document }) => {
  const other = await connect(server, document)
  try {
    other.text.insert(0, [element('paragraph', 'known')])
    const ada = await person('Ada')
    await ada.open(document)
    await ada.reads('known')
    await ada.sees('.text[contenteditable="true"]')
    other.text.insert(1, [element('drawing', 'drawn')])
    await ada.sees('.notice[data-misfit="unknown"]')
    await ada.reads('known\ndrawn')
    await ada.settles()
    assert.equal(other.text.get(1).nodeName, 'drawing')
  } finally {
    other.close()
  }
})

scenario('a document of a newer page is shown, not edited', async ({ person, server, document }) => {
  const other = await connect(server, document)
  try {
    other.doc.getMap('meta').set('schema', 1000)
    other.text.insert(0, [element('paragraph', 'from the future')])
    const ada = await person('Ada')
    await ada.open(document)
    await ada.sees('.notice[data-misfit="newer"]')
    await ada.reads('from the future')
    await ada.misses('.toolbar')
  } finally {
    other.close()
  }
})

/** Another program at the same document. */
async function connect(server, document) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(`${server.url.replace('http', 'ws')}/ws`, document, doc, { WebSocketPolyfill: WebSocket, disableBc: true })
  await new Promise((resolve) => provider.once('sync', resolve))
  const close = () => {
    provider.destroy()
    doc.destroy()
  }
  return { doc, text: doc.getXmlFragment('prosemirror'), close }
}

function element(name, words) {
  const made = new Y.XmlElement(name)
  made.insert(0, [new Y.XmlText(words)])
  return made
}

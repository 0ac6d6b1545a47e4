// One tab on one document: the Yjs document, its connection, and how both stand.
import { batch, computed, effect, signal } from '@preact/signals'
import { hasContent, readVarString, readVarUint, type Decoder } from 'lib0/decoding'
import type { Awareness } from 'y-protocols/awareness'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { documentPath, socketUrl } from '../address.ts'
import { readDurability } from '../api.ts'
import { me } from '../person.ts'
import { currentToken, isSendable } from '../token.ts'
import { forgetReadOnly, isForSpace, knownReadOnly, refusalWords, rememberReadOnly } from './access.ts'
import { Ledger } from './ledger.ts'
import { housekeeping } from './origins.ts'
import { peopleIn, type Someone } from './people.ts'
import { watchedSocket } from './socket.ts'
import { standing, type Facts } from './standing.ts'

/** Where y-prosemirror's own examples keep the text, so that other editors find it. */
const textField = 'prosemirror'

const authFrame = 2
const acknowledgementFrame = 103

export class Session {
  readonly name: string
  readonly doc = new Y.Doc()
  readonly text: Y.XmlFragment
  readonly awareness: Awareness
  readonly people = signal<Someone[]>([])
  /** The document has been received at least once. */
  readonly loaded = signal(false)
  /** Why the server closed for good. */
  readonly refusal = signal<string | null>(null)

  readonly #facts = signal<Facts>({
    link: 'connecting',
    caughtUp: false,
    waiting: 0,
    outstanding: 0,
    refused: 0,
    durability: null,
    readOnly: false,
    full: false,
    closed: null,
  })
  readonly standing = computed(() => standing(this.#facts.value))
  readonly readOnly = computed(() => this.#facts.value.readOnly || this.#facts.value.closed !== null)
  /** Changes of this tab that the server refused. */
  readonly refused = computed(() => this.#facts.value.refused)

  readonly #ledger = new Ledger()
  readonly #provider: WebsocketProvider
  readonly #stopNaming: () => void

  constructor(name: string) {
    this.name = name
    this.text = this.doc.getXmlFragment(textField)
    this.#learn({ readOnly: knownReadOnly(name) })
    // Before the provider's own listener, so that a change is noted before the frame that carries it.
    this.doc.on('update', this.#noteChange)
    this.#provider = this.#makeProvider()
    this.awareness = this.#provider.awareness
    this.#listen()
    this.#stopNaming = effect(() => this.awareness.setLocalStateField('user', me.value))
    window.addEventListener('beforeunload', this.#warnOfLoss)
    this.#connect()
  }

  close(): void {
    window.removeEventListener('beforeunload', this.#warnOfLoss)
    this.#stopNaming()
    this.#provider.destroy()
    this.doc.destroy()
  }

  #makeProvider(): WebsocketProvider {
    const token = currentToken()
    return new WebsocketProvider(socketUrl(document.baseURI), documentPath(this.name), this.doc, {
      connect: false,
      params: { acks: '1' },
      protocols: token === null ? [] : ['ymesh.v1', `auth.${token}`],
      // Tabs of one browser could pass changes on among themselves. Then none could say what became of its own.
      disableBc: true,
      WebSocketPolyfill: watchedSocket(this.#startCounting, (frame) => this.#count(() => this.#ledger.sent(frame))),
    })
  }

  #listen(): void {
    const provider = this.#provider
    provider.messageHandlers[acknowledgementFrame] = (_encoder, decoder) => this.#onAcknowledgement(decoder)
    provider.messageHandlers[authFrame] = (_encoder, decoder) => this.#onDenied(decoder)
    provider.on('status', ({ status }) => status === 'connected' && this.#onConnected())
    provider.on('sync', (caughtUp) => this.#onSync(caughtUp))
    provider.on('connection-close', () => this.#onDisconnected())
    provider.on('closed', ({ code, reason }) => this.#refuse(code, reason))
    this.awareness.on('change', () => {
      this.people.value = peopleIn(this.awareness.getStates(), this.doc.clientID)
    })
  }

  #connect(): void {
    const token = currentToken()
    if (token !== null && !isSendable(token)) this.#refuse(4401, '')
    else this.#provider.connect()
  }

  #onConnected(): void {
    this.#learn({ link: 'open' })
    // An acknowledgement may have said by then what it means for this document.
    void readDurability().then((durability) => this.#learn({ durability: this.#facts.peek().durability ?? durability }))
  }

  #onSync(caughtUp: boolean): void {
    batch(() => {
      this.#learn({ caughtUp })
      if (caughtUp) this.loaded.value = true
    })
  }

  #onDisconnected(): void {
    this.#startCounting()
    this.#learn({ link: 'down', caughtUp: false, full: false, durability: null })
  }

  #onAcknowledgement(decoder: Decoder): void {
    const durable = readVarUint(decoder)
    const refused = readVarUint(decoder)
    if (hasContent(decoder)) this.#learn({ durability: readVarUint(decoder) === 0 ? 'memory' : 'local' })
    this.#count(() => this.#ledger.acknowledged(durable, refused))
  }

  /** Before the first sync this announces a close for good. Later it says that a change was refused. */
  #onDenied(decoder: Decoder): void {
    readVarUint(decoder)
    if (isForSpace(readVarString(decoder))) return this.#learn({ full: true })
    if (!this.#provider.synced) return
    rememberReadOnly(this.name)
    this.#learn({ readOnly: true })
  }

  #refuse(code: number, reason: string): void {
    forgetReadOnly(this.name)
    batch(() => {
      this.refusal.value = refusalWords(code, reason)
      this.#learn({ closed: code })
    })
  }

  #noteChange = (_update: Uint8Array, origin: unknown): void => {
    if (origin === this.#provider || origin === housekeeping) return
    this.#count(() => this.#ledger.changed())
  }

  #startCounting = (): void => this.#count(() => this.#ledger.reset())

  #count(entry: () => void): void {
    entry()
    const { waiting, outstanding, refused } = this.#ledger
    this.#learn({ waiting, outstanding, refused })
  }

  #warnOfLoss = (event: BeforeUnloadEvent): void => {
    const isKeptHereOnly = this.#ledger.waiting > 0 || this.#ledger.refused > 0
    if (isKeptHereOnly && !this.readOnly.value) event.preventDefault()
  }

  #learn(news: Partial<Facts>): void {
    this.#facts.value = { ...this.#facts.peek(), ...news }
  }
}

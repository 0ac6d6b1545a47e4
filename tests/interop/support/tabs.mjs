import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const TAB = fileURLToPath(new URL('./tab.mjs', import.meta.url))

/** Asks a tab that lives elsewhere. */
class Tab {
  #post
  #calls = new Map()

  constructor(emitter, post) {
    this.#post = post
    emitter.on('message', ({ call, answer }) => {
      this.#calls.get(call).resolve(answer)
      this.#calls.delete(call)
    })
    emitter.on('error', error => this.#fail(error))
    emitter.on('exit', code => this.#fail(new Error(`the tab exited with ${code}`)))
  }

  state() { return this.#ask('state') }
  append(string) { return this.#ask('append', string) }
  close() { return this.#ask('close') }

  #ask(ask, argument) {
    return new Promise((resolve, reject) => {
      const call = crypto.randomUUID()
      this.#calls.set(call, { resolve, reject })
      this.#post({ call, ask, argument })
    })
  }

  #fail(error) {
    for (const { reject } of this.#calls.values()) reject(error)
    this.#calls.clear()
  }
}

export function threadTab(t, ...where) {
  const worker = new Worker(TAB, { workerData: where })
  t.after(() => worker.terminate())
  return new Tab(worker, message => worker.postMessage(message))
}

export function processTab(t, ...where) {
  const child = fork(TAB, where)
  t.after(() => child.kill())
  return new Tab(child, message => child.send(message))
}

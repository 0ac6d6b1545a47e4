// Somebody at a browser: a context of their own, and what they can do and see.
import assert from 'node:assert/strict'

const waitMaxMs = 15_000

export const settled = '#status:is([data-state="synced"], [data-state="saved"])'

export class Person {
  constructor(name, url, context, page) {
    this.name = name
    this.url = url
    this.context = context
    this.page = page
    this.complaints = []
    this.expected = []
    page.on('pageerror', (error) => this.complaints.push(`${name}: ${error.stack}`))
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(`${name}: ${message.text()}`)
    })
  }

  static async arrive(browser, name, url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options })
    context.setDefaultTimeout(waitMaxMs)
    const stored = JSON.stringify({ id: name, name, color: colorOf(name) })
    await context.addInitScript((person) => {
      if (localStorage.getItem('y-mesh person') === null) localStorage.setItem('y-mesh person', person)
    }, stored)
    await context.addInitScript(addReader)
    return new Person(name, url, context, await context.newPage())
  }

  /** The browser itself reports what the server refuses, and lost connections, as errors. */
  expect(...patterns) {
    this.expected.push(...patterns)
  }

  get unexpected() {
    return this.complaints.filter((complaint) => !this.expected.some((pattern) => pattern.test(complaint)))
  }

  async list(fragment = '') {
    await this.page.goto(`${this.url}/${fragment}`)
  }

  async open(document, fragment = '') {
    await this.page.goto(`${this.url}/d/${document}${fragment}`)
    await this.sees('.text')
  }

  /** Puts the caret at the end of the text, with a real click. */
  async goToEnd() {
    await this.page.bringToFront()
    await this.page.click('.text')
    await this.press('Control+End')
  }

  /** Presses one key after the other, as people do: having seen what the one before did. */
  async press(...keys) {
    await this.page.bringToFront()
    for (const key of keys) {
      await this.page.keyboard.press(key)
      await this.frame()
    }
  }

  /** Waits until the browser has drawn: it reports a moved caret late, and a quicker key would act on the old one. */
  frame() {
    return this.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))).catch((error) => {
      // A key may have led to another page.
      if (!/navigation|context was destroyed/i.test(error.message)) throw error
    })
  }

  async type(text) {
    await this.page.bringToFront()
    await this.page.keyboard.type(text)
  }

  sees(selector) {
    return this.page.waitForSelector(selector, { state: 'attached' })
  }

  misses(selector) {
    return this.page.waitForSelector(selector, { state: 'detached' })
  }

  /** Waits for this exact text, one line a block. */
  async reads(text) {
    const same = (wanted) => window.readText('.text') === wanted
    await this.page.waitForFunction(same, text).catch(async () => assert.equal(await this.textOf('.text'), text, `what ${this.name} reads`))
  }

  /** Text without the names at other people's carets, one line a block. */
  textOf(selector) {
    return this.page.evaluate((found) => window.readText(found), selector)
  }

  /** Waits until somebody's caret stands right behind `before`, in its block. */
  async seesCaret(name, before) {
    await this.page.waitForFunction(caretStandsBehind, [name, before])
  }

  async state(state) {
    await this.sees(`#status[data-state="${state}"]`)
  }

  async settles() {
    await this.sees(settled)
  }

  statusWords() {
    return this.page.textContent('#status')
  }

  leave() {
    return this.context.close()
  }
}

/** Goes into every page. */
function addReader() {
  window.readText = (selector) => {
    const copy = document.querySelector(selector)?.cloneNode(true)
    for (const caret of copy?.querySelectorAll('.caret') ?? []) caret.remove()
    const blocks = [...(copy?.querySelectorAll('p, h1, h2, h3, pre') ?? [])]
    return blocks.length === 0 ? copy?.textContent : blocks.map((block) => block.textContent).join('\n')
  }
}

function caretStandsBehind([name, before]) {
  const carets = [...document.querySelectorAll('.caret')]
  const caret = carets.find((one) => one.querySelector('.caret-name').textContent === name)
  const block = caret?.closest('p, h1, h2, h3, pre')
  if (!block) return false
  const range = document.createRange()
  range.setStart(block, 0)
  range.setEndBefore(caret)
  const passed = range.cloneContents()
  for (const other of passed.querySelectorAll('.caret')) other.remove()
  return passed.textContent === before
}

function colorOf(name) {
  return { Ada: '#1f73bd', Bob: '#c33498' }[name] ?? '#258043'
}

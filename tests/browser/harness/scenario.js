// A file's scenarios share a server and a browser; each has a document and people of its own.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { Person } from './person.js'
import { startServer } from './server.js'

const scenarioMaxMs = 60_000
const failures = new URL('../failures/', import.meta.url).pathname

/** Prepares a file, and returns how to add scenarios to it. */
export function prepare(options = {}) {
  const shared = {}
  let count = 0

  before(async () => {
    shared.server = await startServer(options)
    shared.browser = await launch()
  })
  after(async () => {
    await shared.browser?.close()
    await shared.server?.stop()
  })

  return (title, play) =>
    test(title, { timeout: scenarioMaxMs }, async () => {
      count += 1
      const people = []
      const person = async (name, { url = shared.server.url, ...options } = {}) => {
        const arrived = await Person.arrive(shared.browser, name, url, options)
        people.push(arrived)
        return arrived
      }
      try {
        await play({ person, server: shared.server, document: `document-${count}` })
        assert.deepEqual(people.flatMap(({ unexpected }) => unexpected), [], 'errors on the pages')
      } catch (error) {
        await keepPictures(title, people)
        throw error
      } finally {
        await Promise.all(people.map((one) => one.leave()))
      }
    })
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Chromium's sandbox doesn't start for root, which containers often run as.
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ],
  })
}

async function keepPictures(title, people) {
  mkdirSync(failures, { recursive: true })
  for (const { name, page, complaints } of people) {
    const file = `${failures}${`${title} ${name}`.replaceAll(/\W+/g, '-')}.png`
    await page.screenshot({ path: file }).catch(() => {})
    for (const complaint of complaints) console.error(complaint)
  }
}

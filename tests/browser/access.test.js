// Tokens: none, unknown ones, and ones that only read.
import assert from 'node:assert/strict'
import { prepare } from './harness/scenario.js'

const writing = 'writing-token-of-the-tests'
const reading = 'reading-token-of-the-tests'
const scenario = prepare({ tokens: [`write ${writing} ada`, `read ${reading}`] })
const denials = [/status of 401/, /status of 403/]

scenario('the token leaves the address, and opens list and document', async ({ person, document }) => {
  const ada = await person('Ada')
  await ada.open(document, `#token=${writing}`)
  await ada.settles()
  assert.ok(!ada.page.url().includes('token'))
  await ada.goToEnd()
  await ada.type('something to keep')
  await ada.settles()
  await ada.page.click('.home')
  await ada.sees(`.document[href="d/${document}"]`)
})

scenario('without a token, or with an unknown one, nothing opens until one is given', async ({ person, server, document }) => {
  const ada = await person('Ada')
  ada.expect(...denials)
  await ada.page.goto(`${server.url}/d/${document}`)
  await ada.state('refused')
  await ada.sees('.shut .token-form')
  assert.match(await ada.page.textContent('.shut'), /asks for an access token/)
  await ada.page.fill('#token', 'a-token-nobody-knows')
  await ada.press('Enter')
  await ada.page.waitForFunction(() => document.querySelector('.shut')?.textContent.includes("doesn't know"))
  await ada.list()
  await ada.sees('.locked .token-form')
  await ada.page.fill('#token', writing)
  await ada.press('Enter')
  await ada.sees('.list-page[data-state="ready"] .create')
})

scenario('who may only read sees all, and is told at the first key', async ({ person, document }) => {
  const ada = await person('Ada')
  await ada.open(document, `#token=${writing}`)
  await ada.goToEnd()
  await ada.type('for all to read')
  await ada.settles()

  const bob = await person('Bob')
  bob.expect(...denials)
  await bob.open(document, `#token=${reading}`)
  await bob.reads('for all to read')
  await bob.goToEnd()
  await bob.press('x')
  await bob.state('read-only')
  await bob.sees('.text[contenteditable="false"]')
  await bob.misses('.toolbar')
  await ada.sees('.people .avatar[aria-label="Bob"]')

  await bob.page.click('.notice button')
  await bob.state('read-only')
  await bob.reads('for all to read')
  await bob.sees('.text[contenteditable="false"]')
  await ada.press('Control+End')
  await ada.type(' and see')
  await bob.reads('for all to read and see')
  await ada.reads('for all to read and see')
})

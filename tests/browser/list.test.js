// The list of documents.
import assert from 'node:assert/strict'
import { prepare } from './harness/scenario.js'

const scenario = prepare()

scenario('an empty list tells what to do', async ({ person }) => {
  const ada = await person('Ada')
  await ada.list()
  await ada.sees('.list-page[data-state="ready"] .empty')
})

scenario('a document is made, named, opened, and listed with who is in it', async ({ person, server }) => {
  const ada = await person('Ada')
  await ada.list()
  await ada.page.fill('#name', 'plans/Über uns 100%')
  await ada.press('Enter')
  await ada.settles()
  assert.equal(await ada.page.textContent('.title h1'), 'plans/Über uns 100%')
  assert.equal(new URL(ada.page.url()).pathname, '/d/plans/%C3%9Cber%20uns%20100%25')

  const bob = await person('Bob')
  await bob.list()
  await bob.sees('.document .here')
  await bob.press('Tab', 'Tab', 'Tab')
  await bob.press('Enter')
  await bob.sees('.text')
  assert.equal(bob.page.url(), `${server.url}/d/plans/%C3%9Cber%20uns%20100%25`)
  await bob.sees('.people .avatar[aria-label="Ada"]')
})

scenario('without a name the server draws one', async ({ person }) => {
  const ada = await person('Ada')
  await ada.list()
  await ada.page.click('.create button')
  await ada.settles()
  assert.match(new URL(ada.page.url()).pathname, /^\/d\/.+/)
})

scenario('a name that is taken leads to its document', async ({ person, document }) => {
  const ada = await person('Ada')
  ada.expect(/status of 409/)
  for (let time = 0; time < 2; time += 1) {
    await ada.list()
    await ada.page.fill('#name', document)
    await ada.press('Enter')
    await ada.sees(time === 0 ? '.text' : '#name-fault a')
  }
  await ada.page.click('#name-fault a')
  await ada.settles()
  assert.equal(await ada.page.textContent('.title h1'), document)
})

scenario('a name without an address is not taken', async ({ person }) => {
  const ada = await person('Ada')
  await ada.list()
  await ada.page.fill('#name', '..')
  await ada.press('Enter')
  await ada.page.waitForFunction(() => document.querySelector('#name-fault').textContent !== '')
  assert.equal(new URL(ada.page.url()).pathname, '/')
})

scenario('a long list comes in pages', async ({ person, server }) => {
  for (let count = 0; count < 120; count += 1) {
    const body = JSON.stringify({ name: `many-${String(count).padStart(3, '0')}` })
    const response = await fetch(`${server.url}/api/documents`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    assert.equal(response.status, 201)
  }
  const ada = await person('Ada')
  await ada.list()
  await ada.page.waitForFunction(() => document.querySelectorAll('.document').length === 50)
  await ada.page.click('.more')
  await ada.page.waitForFunction(() => document.querySelectorAll('.document').length === 100)
  await ada.page.click('.more')
  await ada.misses('.more')
  const names = await ada.page.$$eval('.document-name', (found) => found.map((name) => name.textContent))
  assert.equal(names.filter((name) => name.startsWith('many-')).length, 120)
  assert.equal(new Set(names).size, names.length)
})

// Several people in one text.
import assert from 'node:assert/strict'
import { prepare } from './harness/scenario.js'

const scenario = prepare()

scenario('two people see what the other writes, and where', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.goToEnd()
  await ada.type('Good morning')
  await bob.reads('Good morning')
  await bob.seesCaret('Ada', 'Good morning')
  await bob.goToEnd()
  await bob.press('Enter')
  await bob.type('Hello')
  await ada.reads('Good morning\nHello')
  await ada.seesCaret('Bob', 'Hello')
  for (const [one, other] of [[ada, 'Bob'], [bob, 'Ada']]) {
    await one.sees(`.people .avatar[aria-label="${other}"]`)
    await one.settles()
  }
  await bob.leave()
  await ada.misses('.caret')
  await ada.misses('.people .avatar[aria-label="Bob"]')
})

scenario('every kind of block and mark arrives', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.goToEnd()
  await ada.type('# Title\n**bold** and `code`\n- point\n\n1. first\n\n[ ] task\n\n> quote\n\n``` ')
  await ada.type('let a = 1;')
  await bob.reads('Title\nbold and code\npoint\nfirst\ntask\nquote\nlet a = 1;')
  for (const selector of ['h1', 'strong', 'p code', 'ul:not([data-type]) li', 'ol li', 'ul[data-type="taskList"] li', 'blockquote p', 'pre code']) {
    await bob.sees(`.text ${selector}`)
  }
  await bob.page.bringToFront()
  await bob.page.check('.text input[type="checkbox"]')
  await ada.sees('.text li[data-checked="true"]')
})

scenario('undo takes back one\'s own words only', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.goToEnd()
  await ada.type('mine ')
  await bob.reads('mine ')
  await bob.goToEnd()
  await bob.type('yours')
  await ada.reads('mine yours')
  await ada.press('Control+z')
  await ada.reads('yours')
  await bob.reads('yours')
  await ada.press('Control+Shift+z')
  await ada.reads('mine yours')
  await bob.reads('mine yours')
})

scenario('a caret takes no space in the text', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.goToEnd()
  await ada.type('office fluffy waffle')
  await bob.reads('office fluffy waffle')
  const bare = await textBox(ada)
  await bob.goToEnd()
  for (let step = 0; step < 10; step += 1) await bob.press('ArrowLeft')
  await ada.seesCaret('Bob', 'office flu')
  assert.deepEqual(await textBox(ada), bare)
})

scenario('a paragraph split in front of the caret takes the caret along', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.goToEnd()
  await ada.type('one two three')
  await bob.reads('one two three')
  for (let step = 0; step < 6; step += 1) await ada.press('ArrowLeft')
  await bob.seesCaret('Ada', 'one two')
  await bob.goToEnd()
  await bob.press('Home', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'Enter')
  await ada.reads('one \ntwo three')
  await bob.seesCaret('Ada', 'two')
  await ada.type('!')
  await bob.reads('one \ntwo! three')
})

scenario('the view stays where it is while others write above', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.goToEnd()
  await ada.type(Array.from({ length: 60 }, (_, line) => line).join('\n'))
  await bob.sees('.text p:nth-of-type(60)')
  await ada.page.bringToFront()
  await ada.page.click('.text p:nth-of-type(30)')
  await ada.press('End')
  await bob.seesCaret('Ada', '29')
  const caretAt = await topOf(ada, 30)
  await bob.page.bringToFront()
  await bob.page.click('.text p:first-of-type')
  await bob.press('End')
  await bob.type('\nfirst')
  await ada.page.waitForFunction(() => window.readText('.text p:nth-of-type(2)') === 'first')
  near(await topOf(ada, 31), caretAt)

  // Out of sight the caret is no reason to move either.
  await ada.page.evaluate(() => window.scrollBy(0, 700))
  const before = await topOf(ada, 45)
  await bob.type('\nsecond')
  await ada.page.waitForFunction(() => window.readText('.text p:nth-of-type(3)') === 'second')
  near(await topOf(ada, 46), before)
})

scenario('a name can be changed, and is kept', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.page.click('.avatar.self')
  await ada.page.fill('#person-name', 'Countess')
  await ada.page.click('.dialog[open] button[type="submit"]')
  await bob.sees('.people .avatar[aria-label="Countess"]')
  await ada.page.reload()
  await ada.sees('.avatar.self[aria-label^="Countess"]')
})

scenario('a link is set from the keyboard; a script is not', async ({ person, document }) => {
  const [ada, bob] = await meet(person, document)
  await ada.goToEnd()
  await ada.type('see this')
  await ada.press('Shift+Control+ArrowLeft', 'Control+k')
  await ada.page.fill('#href', 'javascript:alert(1)')
  await ada.press('Enter')
  await ada.page.waitForFunction(() => document.querySelector('#href-fault').textContent !== '')
  await ada.page.fill('#href', 'example.org/a')
  await ada.press('Enter')
  await bob.sees('.text a[href="https://example.org/a"][rel~="noopener"]')
  assert.equal(await bob.textOf('.text a'), 'this')
})

scenario('the toolbar is one stop of the Tab key', async ({ person, document }) => {
  const ada = await person('Ada')
  await ada.open(document)
  await ada.goToEnd()
  await ada.type('words')
  await ada.press('Control+a', 'Alt+F10', 'End', 'ArrowLeft', 'Enter')
  await ada.sees('.text blockquote')
  await ada.press('Alt+F10')
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Quote')
  await ada.press('Escape')
  await ada.sees('.text:focus')
})

scenario('the link to share is copied', async ({ person, document, server }) => {
  const ada = await person('Ada')
  await ada.context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await ada.open(document)
  await ada.page.bringToFront()
  await ada.page.click('.share')
  await ada.page.waitForFunction(() => document.querySelector('.share').textContent.startsWith('Copied'))
  assert.equal(await ada.page.evaluate(() => navigator.clipboard.readText()), `${server.url}/d/${document}`)
})

async function meet(person, document) {
  const people = [await person('Ada'), await person('Bob')]
  for (const one of people) await one.open(document)
  return people
}

function textBox({ page }) {
  return page.evaluate(() => {
    const range = document.createRange()
    range.selectNodeContents(document.querySelector('.text p').lastChild)
    const { height } = document.querySelector('.text').getBoundingClientRect()
    return { right: range.getBoundingClientRect().right, height }
  })
}

/** Browsers scroll by whole pixels. */
function near(height, wanted) {
  assert.ok(Math.abs(height - wanted) <= 1, `it's at ${height}, and was at ${wanted}`)
}

function topOf({ page }, line) {
  return page.evaluate((nth) => document.querySelector(`.text p:nth-of-type(${nth})`).getBoundingClientRect().top, line)
}

// Readable by everyone: axe finds nothing serious, in light and dark, and a phone shows all of it.
import assert from 'node:assert/strict'
import axe from 'axe-core'
import { prepare } from './harness/scenario.js'

const scenario = prepare()

for (const colorScheme of ['light', 'dark']) {
  scenario(`the list has no serious fault, ${colorScheme}`, async ({ person, document }) => {
    const ada = await person('Ada', { colorScheme, reducedMotion: 'reduce' })
    await ada.list()
    await ada.sees('.list-page[data-state="ready"]')
    await passes(ada)
    await ada.page.fill('#name', document)
    await ada.press('Enter')
    await ada.settles()
    await ada.list()
    await ada.sees('.document')
    await passes(ada)
  })

  scenario(`the editor has no serious fault, ${colorScheme}`, async ({ person, document }) => {
    const ada = await person('Ada', { colorScheme, reducedMotion: 'reduce' })
    const bob = await person('Bob')
    for (const one of [ada, bob]) await one.open(document)
    await passes(ada)
    await bob.goToEnd()
    await bob.type('# Title\nwords and `code`\n[ ] task\n\n> quote\n\nsee https://example.org for more')
    await ada.sees('.text a')
    await ada.sees('.caret')
    await passes(ada)
    await ada.page.click('.avatar.self')
    await passes(ada)
    await ada.press('Escape')
    await ada.page.click('.tool[aria-label="Link"]')
    await passes(ada)
  })
}

scenario('a phone shows list and editor without sideways scrolling', async ({ person, document }) => {
  const ada = await person('Ada', { viewport: { width: 360, height: 700 }, isMobile: true, hasTouch: true })
  await ada.list()
  await ada.sees('.list-page[data-state="ready"]')
  await fits(ada)
  await ada.page.fill('#name', `${document}-with-a-name-that-is-much-too-long-for-the-bar-of-a-phone`)
  await ada.page.tap('.create button')
  await ada.settles()
  await ada.page.tap('.text')
  await ada.page.keyboard.type('# Words\nsomewordthatismuchtoolongtofitintooneline '.repeat(3))
  await ada.page.tap('.tool[aria-label="Bold"]')
  await ada.page.keyboard.type('bold')
  await ada.sees('.text strong')
  await fits(ada)
  await passes(ada)
  for (const control of await ada.page.$$('.bar > a, .bar > button, .people button, .tool')) {
    const { width, height } = await control.boundingBox()
    assert.ok(width >= 32 && height >= 32, `${await control.getAttribute('class')} is ${width} by ${height}`)
  }
})

async function passes({ page }) {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  )
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  assert.deepEqual(grave.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]), [])
}

async function fits({ page }) {
  const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
  assert.ok(content <= view, `the page is ${content} wide, the screen ${view}`)
}

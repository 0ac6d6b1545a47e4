// Takes the README's picture: `node picture.js FILE.png`. It needs no more than the tests do.
import { Person, settled } from './harness/person.js'
import { launch } from './harness/scenario.js'
import { startServer } from './harness/server.js'

const file = process.argv[2] ?? '../../docs/page.png'
const server = await startServer()
const browser = await launch()
try {
  const options = { viewport: { width: 1000, height: 640 }, deviceScaleFactor: 2 }
  const ada = await Person.arrive(browser, 'Ada', server.url, options)
  const grace = await Person.arrive(browser, 'Grace', server.url, options)
  await ada.open('team/plan-for-spring')
  await grace.open('team/plan-for-spring')
  await ada.goToEnd()
  await ada.type('# Plan for spring\nTwo people write here at the same time. ')
  await ada.press('Enter')
  await ada.type('- Invite the others: send them this address\n')
  await ada.type('Write, and see each other write')
  await ada.page.waitForSelector(settled)
  await grace.goToEnd()
  await grace.press('Enter', 'Enter')
  await grace.type('> Nothing is lost when the network goes: it merges when it comes back.')
  await grace.page.waitForSelector(settled)
  await ada.page.bringToFront()
  await ada.page.waitForSelector('text=it merges when it comes back')
  await ada.page.screenshot({ path: file })
} finally {
  await browser.close()
  await server.stop()
}

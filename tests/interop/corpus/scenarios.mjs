import { readFile } from 'node:fs/promises'
import { plain } from './plain.mjs'
import { relays } from './relays.mjs'

export const fixtures = new URL('../../../data/fixtures/honest/', import.meta.url)

/** Those that need Yjs alone and come out the same each time. */
export const repeatable = async () => [plain, relays].flatMap(group => listed(group, ['yjs']))

/** All of them, and what they're made by. */
export async function scenarios() {
  const { old } = await import('./old.mjs')
  const { editors } = await import('./editors.mjs')
  return [...(await repeatable()), ...listed(old, []), ...listed(editors, [])].map(withVersions)
}

const listed = (group, packages) =>
  Object.entries(group).map(([name, one]) => ({
    name,
    file: name.replace(/[^a-z0-9]+/gi, '-') + '.updates',
    packages: one.packages ?? packages,
    run: one.run ?? one
  }))

const own = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
const withVersions = ({ packages, ...rest }) => ({
  ...rest,
  by: packages.map(name => `${name} ${own.devDependencies[name]}`).join(', ')
})

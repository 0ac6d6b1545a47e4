// Builds the page anew, and compares it with the one that is committed and shipped: byte for byte.
import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build } from 'vite'

const root = new URL('../', import.meta.url).pathname
const committed = join(root, 'dist')
const fresh = join(root, '.scratch', 'dist')

rmSync(fresh, { recursive: true, force: true })
await build({ root, logLevel: 'warn', build: { outDir: fresh, emptyOutDir: true } })

const differing = differences(contents(committed), contents(fresh))
if (differing.length > 0) {
  console.error('web/dist is not what web/src builds to. Run `npm run build` in web/ and commit the result. It differs in:')
  for (const name of differing) console.error(`  ${name}`)
  process.exit(1)
}
console.log('web/dist is what web/src builds to.')

function contents(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(
    entries.map((entry) => {
      const file = join(entry.parentPath, entry.name)
      return [relative(folder, file), readFileSync(file)]
    }),
  )
}

function differences(before, after) {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].filter((name) => !before.get(name)?.equals(after.get(name) ?? Buffer.alloc(0))).sort()
}

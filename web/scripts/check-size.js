// What a visitor downloads, compressed, against the budget.
import { readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'

const budgets = { 'the list page': 60_000, 'the whole page': 230_000 }
const dist = new URL('../dist/', import.meta.url).pathname
const assets = join(dist, 'assets')

const sizes = {
  'the list page': total([join(dist, 'index.html'), ...firstAssets()]),
  'the whole page': total([join(dist, 'index.html'), ...loadable().map((name) => join(assets, name))]),
}

for (const [what, size] of Object.entries(sizes)) {
  const over = size > budgets[what]
  console.log(`${over ? 'TOO BIG' : 'ok'}: ${what} is ${kilobytes(size)} compressed, of ${kilobytes(budgets[what])}`)
  if (over) process.exitCode = 1
}

/** All that any page can come to load. */
function loadable() {
  return readdirSync(assets).filter((name) => !name.endsWith('.md'))
}

/** The assets that the page names, and the scripts that those import at once. */
function firstAssets() {
  const named = [...readFileSync(join(dist, 'index.html'), 'utf8').matchAll(/(?:src|href)="\.\/assets\/([^"]+)"/g)]
  const found = new Set(named.map(([, name]) => name))
  for (const name of found) {
    if (!name.endsWith('.js')) continue
    const script = readFileSync(join(assets, name), 'utf8')
    for (const [, path] of script.matchAll(/(?:^|[;}\s])(?:import|export)\b[^("'`;]*["']\.\/([^"']+)["']/g)) found.add(basename(path))
  }
  return [...found].map((name) => join(assets, name))
}

function total(files) {
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0)
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`
}

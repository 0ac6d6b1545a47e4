// Makes data/fixtures/honest anew: `node make.mjs` for all of it, `node make.mjs NAME…` for some.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { Recorder, write } from './recorder.mjs'
import { fixtures, scenarios } from './scenarios.mjs'

await mkdir(fixtures, { recursive: true })
const wanted = process.argv.slice(2)
const manifestPath = new URL('manifest.json', fixtures)
const old = JSON.parse(await readFile(manifestPath, 'utf8').catch(() => '[]'))
const manifest = []
for (const { name, file, by, run } of await scenarios()) {
  if (wanted.length && !wanted.includes(name)) {
    manifest.push(...old.filter(entry => entry.name === name))
    continue
  }
  const recorder = new Recorder()
  const made = recorder.finish((await run(recorder)) ?? {})
  await writeFile(new URL(file, fixtures), write(made))
  manifest.push({ name, file, by, updates: made.updates.length, roots: made.roots, content: made.content })
  console.log(`${name}: ${made.updates.length} updates, ${write(made).length} bytes`)
}
await writeFile(manifestPath, JSON.stringify(manifest, null, 1) + '\n')
process.exit(0)

// Puts the beginnings of what honest clients send where the targets begin: `node seeds.mjs`.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'

const honest = new URL('../../data/fixtures/honest/', import.meta.url)
const corpus = target => new URL(`corpus/${target}/`, import.meta.url)
for (const target of ['frames', 'vet', 'documents']) await mkdir(corpus(target), { recursive: true })

function varUint(bytes, at) {
  let [value, factor] = [0, 1]
  for (;;) {
    const byte = bytes[at.i++]
    value += (byte & 127) * factor
    factor *= 128
    if (byte < 128) return value
  }
}

function updatesOf(bytes) {
  const at = { i: 0 }
  return Array.from({ length: varUint(bytes, at) }, () => {
    varUint(bytes, at)
    const length = varUint(bytes, at)
    return bytes.subarray(at.i, (at.i += length))
  })
}

/** A SyncStep2 or Update message. */
function message(update) {
  const length = []
  for (let left = update.length; ; left = Math.floor(left / 128)) {
    length.push(left < 128 ? left : (left % 128) | 128)
    if (left < 128) return Buffer.concat([Buffer.from([0, 2, ...length]), update])
  }
}

for (const file of (await readdir(honest)).filter(name => name.endsWith('.updates'))) {
  const updates = updatesOf(await readFile(new URL(file, honest))).slice(0, 16)
  const messages = updates.map(message).filter(one => one.length < 1000)
  const framed = messages.flatMap(one => [Buffer.from([one.length & 255, one.length >> 8]), one])
  await writeFile(new URL(file, corpus('documents')), Buffer.concat(framed))
  for (const [number, update] of updates.entries()) {
    await writeFile(new URL(`${file}.${number}`, corpus('vet')), update)
    await writeFile(new URL(`${file}.${number}`, corpus('frames')), message(update))
  }
}

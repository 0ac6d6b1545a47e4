// A wire that can be cut. A browser's own offline switch leaves open WebSockets open.
import { connect, createServer } from 'node:net'

/** Passes everything on to `port`, until it's cut. */
export async function startProxy(port) {
  const pairs = new Set()
  let whole = true
  const server = createServer((near) => {
    if (!whole) return near.destroy()
    const far = connect(port, '127.0.0.1')
    const pair = [near, far]
    const end = () => {
      for (const socket of pair) socket.destroy()
      pairs.delete(pair)
    }
    pairs.add(pair)
    for (const socket of pair) socket.on('error', end).on('close', end)
    near.pipe(far).pipe(near)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    whole = false
    for (const [near] of pairs) near.destroy()
  }
  const heal = () => {
    whole = true
  }
  const stop = () => {
    cut()
    server.close()
  }
  return { url: `http://127.0.0.1:${server.address().port}`, cut, heal, stop }
}

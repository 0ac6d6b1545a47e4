import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 5

/**
 * Resolves with the first truthy value of `condition`; fails, and says what was awaited, after `ms`.
 * `what` may be a function, so that the failure shows the state at that moment.
 */
export async function until(condition, what, ms = 10_000) {
  const deadline = performance.now() + ms
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${typeof what === 'function' ? what() : what}`)
    await delay(POLL_MS)
  }
}

/** The arguments of an emitter's next `event`, whatever kind of emitter (Node's or lib0's) it is. */
export function next(emitter, event, ms = 10_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no '${event}' within ${ms} ms`)), ms)
    emitter.once(event, (...values) => {
      clearTimeout(timer)
      resolve(values)
    })
  })
}

/** Like `until`, but looks only when `emitter` emits `event`: for what is awaited thousands of times. */
export async function untilEvent(emitter, event, condition, what, ms = 10_000) {
  if (condition()) return
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(new Error(`not within ${ms} ms: ${what}`))), ms)
    const look = () => { if (condition()) settle(resolve) }
    const settle = outcome => {
      clearTimeout(timer)
      emitter.off(event, look)
      outcome()
    }
    emitter.on(event, look)
  })
}

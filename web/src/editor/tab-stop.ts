// A toolbar is one stop for the Tab key; arrow keys move within it.
import { useEffect } from 'preact/hooks'

export function useSingleTabStop(bar: { current: HTMLElement | null }): void {
  useEffect(() => {
    const [first, ...others] = controls(bar.current)
    first?.setAttribute('tabindex', '0')
    for (const control of others) control.setAttribute('tabindex', '-1')
  }, [])
}

export function moveFocus(event: KeyboardEvent): void {
  const all = controls(event.currentTarget as HTMLElement)
  const from = all.indexOf(event.target as HTMLElement)
  const to = destination(event.key, from, all.length)
  const control = to === null ? undefined : all[to]
  if (control === undefined) return
  event.preventDefault()
  for (const other of all) other.setAttribute('tabindex', other === control ? '0' : '-1')
  control.focus()
}

function destination(key: string, from: number, count: number): number | null {
  if (key === 'ArrowRight') return (from + 1) % count
  if (key === 'ArrowLeft') return (from + count - 1) % count
  if (key === 'Home') return 0
  return key === 'End' ? count - 1 : null
}

function controls(bar: HTMLElement | null): HTMLElement[] {
  return [...(bar?.querySelectorAll<HTMLElement>('button, select') ?? [])]
}

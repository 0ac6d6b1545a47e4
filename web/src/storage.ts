// Browser storage that never throws: it may be full, or switched off. Then what's written lasts as long as the page.

const fallback = new Map<string, string>()

export type Area = 'localStorage' | 'sessionStorage'

export function read(area: Area, key: string): string | null {
  try {
    return window[area].getItem(key) ?? fallback.get(key) ?? null
  } catch {
    return fallback.get(key) ?? null
  }
}

export function write(area: Area, key: string, value: string): void {
  try {
    window[area].setItem(key, value)
  } catch {
    fallback.set(key, value)
  }
}

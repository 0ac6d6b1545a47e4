// Line icons on a 20 by 20 grid. Decorative: the control that holds one carries the name.
import type { ComponentChildren } from 'preact'

function icon(shape: ComponentChildren) {
  return () => (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      {shape}
    </svg>
  )
}

export const UndoIcon = icon(<path d="M7.5 5 4 8.5 7.5 12M4.5 8.5H12a4 4 0 0 1 0 8H9" />)
export const RedoIcon = icon(<path d="M12.5 5 16 8.5 12.5 12M15.5 8.5H8a4 4 0 0 0 0 8h3" />)
export const BoldIcon = icon(<path class="strong" d="M6 4.5h4.6a2.7 2.7 0 0 1 0 5.4H6zM6 9.9h5.4a2.8 2.8 0 0 1 0 5.6H6z" />)
export const ItalicIcon = icon(<path d="M9 4.5h5M6 15.5h5M11.8 4.5l-3.6 11" />)
export const StrikeIcon = icon(<path d="M4 10h12M13.6 6.6C13.2 5.300 11.900 4.500 10.100 4.500c-2 0-3.500 1-3.500 2.600 0 1.200.8 1.900 2 2.400M6.300 13.200c.4 1.500 1.800 2.300 3.800 2.300 2.100 0 3.700-1 3.700-2.700 0-.5-.1-.9-.4-1.300" />)
export const CodeIcon = icon(<path d="M7 6 3 10l4 4M13 6l4 4-4 4" />)
export const CodeBlockIcon = icon(
  <>
    <rect x="3" y="3.500" width="14" height="13" rx="2" />
    <path d="m8 8-2 2 2 2M12 8l2 2-2 2" />
  </>,
)
export const QuoteIcon = icon(<path d="M4 4.500v11M8 6h8M8 10h8M8 14h5" />)
export const BulletIcon = icon(
  <>
    <path d="M8 5.500h8.500M8 10h8.500M8 14.500h8.500" />
    <path class="dots" d="M4 5.500h0M4 10h0M4 14.500h0" />
  </>,
)
export const NumberIcon = icon(<path d="M9 5.500h7.500M9 10h7.500M9 14.500h7.500M3.800 4l1.200-.6v4M3.600 12.400c.2-.6 2-.8 2 .3 0 .8-2 1.500-2 2.700h2.200" />)
export const TaskIcon = icon(
  <>
    <rect x="3" y="3.500" width="6" height="6" rx="1.500" />
    <path d="m4.600 6.500 1.100 1.100 2-2.200M12 6.500h5M12 14h5" />
    <rect x="3" y="11" width="6" height="6" rx="1.500" />
  </>,
)
export const LinkIcon = icon(<path d="m8.300 11.700 3.400-3.400M9 6.200l1.600-1.600a3.400 3.400 0 0 1 4.800 4.800L13.800 11M11 13.800l-1.600 1.600a3.400 3.400 0 0 1-4.800-4.800L6.200 9" />)
export const ShareIcon = icon(
  <>
    <rect x="7" y="7" width="9.500" height="9.500" rx="2" />
    <path d="M13 7V5.500a2 2 0 0 0-2-2H5.500a2 2 0 0 0-2 2V11a2 2 0 0 0 2 2H7" />
  </>,
)
export const CheckIcon = icon(<path d="m4.500 10.500 3.500 3.500 7.500-8" />)
export const PlusIcon = icon(<path d="M10 4.500v11M4.500 10h11" />)
export const PageIcon = icon(<path d="M5.500 2.500h6l3.500 3.500v11.500h-9.500zM11.500 2.500V6H15M8 10h4.500M8 13.500h4.500" />)
export const CloudIcon = icon(<path d="M6 15.500a3.500 3.500 0 0 1-.4-7A4.700 4.700 0 0 1 14.700 9a3.300 3.300 0 0 1-.5 6.500z" />)
export const CloudOffIcon = icon(<path d="m3 3 14 14M6.600 7A4.700 4.700 0 0 0 5.600 8.500a3.500 3.500 0 0 0 .4 7h8M9 5.300A4.700 4.700 0 0 1 14.700 9a3.300 3.300 0 0 1 2.100 5.100" />)
export const SyncIcon = icon(<path d="M15.800 8A6.200 6.200 0 0 0 4.700 6.800L4 8M4 4v4h4M4.200 12a6.200 6.200 0 0 0 11.100 1.200l.7-1.200M16 16v-4h-4" />)
export const EyeIcon = icon(
  <>
    <path d="M2.500 10S5.500 5 10 5s7.500 5 7.500 5-3 5-7.500 5-7.500-5-7.500-5z" />
    <circle cx="10" cy="10" r="2.200" />
  </>,
)
export const StopIcon = icon(
  <>
    <circle cx="10" cy="10" r="7" />
    <path d="M10 6.500V10.800M10 13.500h0" />
  </>,
)

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M9 9l7 7.500L23 9M16 16.500V24" />
      <circle cx="9" cy="9" r="3" />
      <circle cx="23" cy="9" r="3" />
      <circle cx="16" cy="24" r="3" />
    </svg>
  )
}
